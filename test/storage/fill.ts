// Something for every table that features have, for tests of what is kept and removed.
import { type BareJid, makeBare, withResource } from "../../core/jid.ts";
import type { PersonalStore } from "../../core/module.ts";
import type { Db } from "../../core/storage/db.ts";
import { viewText } from "../../core/xml/framer.ts";
import type { TokenStore } from "../../modules/mod_auth_token/store.ts";
import type { BlocklistStore } from "../../modules/mod_blocklist/store.ts";
import type { BroadcastStore } from "../../modules/mod_broadcast/store.ts";
import type { FastTokenStore } from "../../modules/mod_fast_auth_token/store.ts";
import type { InboxStore } from "../../modules/mod_inbox/store.ts";
import type { InviteStore } from "../../modules/mod_invites/store.ts";
import type { LastStore } from "../../modules/mod_last/store.ts";
import type { MamStore } from "../../modules/mod_mam/store.ts";
import type { OfflineStore } from "../../modules/mod_offline/store.ts";
import type { OfflineMarkerStore } from "../../modules/mod_offline_chatmarkers/store.ts";
import { EVERY_KIND, PrivacyList } from "../../modules/mod_privacy/list.ts";
import type { Lists } from "../../modules/mod_privacy/lists.ts";
import type { PepStore } from "../../modules/mod_pubsub/store.ts";
import { nodeDefaults } from "../../modules/mod_pubsub_old/plugins.ts";
import type { PubsubOldStore } from "../../modules/mod_pubsub_old/store.ts";
import { newItem } from "../../modules/mod_roster/item.ts";
import { RosterStore } from "../../modules/mod_roster/store.ts";
import type { AnnouncementStore } from "../../modules/mod_service_admin/store.ts";
import type { MarkerStore } from "../../modules/mod_smart_markers/store.ts";
import type { ReportStore } from "../../modules/mod_spam_reporting/store.ts";
import type { HeldStore } from "../../modules/mod_stream_management/store.ts";
import type { VcardStore } from "../../modules/mod_vcard/store.ts";
import type { Affiliation, NodeConfig } from "../../modules/pubsub/model.ts";

interface PrivateStore extends PersonalStore {
  multiSetData(jid: BareJid, entries: readonly { namespace: string; data: string }[]): Promise<void>;
}

/** Puts something into every table that the feature has. A feature with a store that is not here fails the test. */
export const FILL: Readonly<Record<string, (store: PersonalStore, user: BareJid, db: Db) => Promise<void>>> = {
  mod_roster: async (_store, user, db) => {
    const item = { ...newItem("contact@elsewhere"), groups: ["group"] };
    await new RosterStore(db).write(user, item, { groups: true, version: "v1" });
  },
  mod_inbox: (store, user) =>
    (store as InboxStore).setInboxIncrUnread(
      { user, remote: "contact@elsewhere" },
      { msgId: "1", content: "<message/>" },
      1,
    ),
  mod_mam: async (store, user) => {
    const silent = { flushed: () => undefined, dropped: () => undefined, unfit: () => undefined };
    const { sql, owners } = (store as MamStore).sql({ cache_users: false }, silent);
    const from = makeBare("contact", "elsewhere");
    const message = { id: 256n, owner: user, from, remote: from, direction: "in" as const, groupchat: false };
    await sql.archive({ ...message, stanza: "<message/>", searchBody: "", originId: undefined });
    const preference = { user_id: await owners.number(user), remote_jid: "", behaviour: "A" };
    await (store as MamStore).db.insertNew("mam_config", preference);
  },
  mod_offline: (store, user) =>
    (store as OfflineStore).writeMessages(user, {
      timestamp: 1,
      expire: undefined,
      from: "a@b/c",
      packet: "<message/>",
    }),
  mod_pubsub: async (store, user) => {
    const pep = store as PepStore;
    const config = { access_model: "whitelist", max_items: 1 } as NodeConfig;
    const node = await pep.create({ service: user, name: "n", config, affiliations: new Map([[user.text, "owner"]]) });
    if (node === undefined) throw new Error("There is such a node");
    await pep.publish(node, { id: "i", publisher: user, payload: "<a/>", at: 1 }, { newest: 1, since: 0 });
    const own = { jid: user, subid: "", options: undefined } as const;
    await pep.putSubscription(node, { ...own, state: "subscribed" });
    await pep.putSubscription(node, { ...own, jid: withResource(user, "r"), state: "pending" });
  },
  mod_auth_token: async (store, user) => {
    await (store as TokenStore).sequence(user, 1);
  },
  mod_fast_auth_token: (store, user) =>
    (store as FastTokenStore).give({ jid: user, agent: "agent" }, { text: "t", expires: 1, count: 0, mechanism: 1 }),
  mod_blocklist: (store, user) => (store as BlocklistStore).block(user, "reason"),
  mod_privacy: (store, user) => {
    const item = { type: "jid", value: user.text, action: "block", order: 1, kinds: EVERY_KIND } as const;
    return (store as Lists).store.replace(user, undefined, new PrivacyList("blocking", [item]), true);
  },
  mod_invites: async (store, user) => {
    await (store as InviteStore).add(user.text, {
      domain: user.domain,
      inviter: user.local,
      kind: "roster",
      account: "",
      mayRegister: false,
      subscribe: true,
      uses: 1,
      createdAt: 1,
      expiresAt: 2,
    });
  },
  mod_spam_reporting: (store, user) =>
    (store as ReportStore).add(
      user,
      [
        {
          reported: makeBare("x", "y"),
          reason: "urn:x",
          text: "",
          stanzaIds: [],
          toOrigin: true,
          toThirdParties: false,
        },
      ],
      1,
    ),
  mod_last: (store, user) => (store as LastStore).setLastInfo(user, { seconds: 1, status: "" }),
  mod_offline_chatmarkers: async (store, user) => {
    await (store as OfflineMarkerStore).maybeStore(user, { thread: "", room: "", since: 1 }, 9);
  },
  mod_smart_markers: async (store, user) => {
    const marker = { user, to: "contact@elsewhere", thread: "", type: "displayed", id: "1", timestamp: 1 } as const;
    await (store as MarkerStore).write([marker], 9);
  },
  // A broadcast is its domain's: in the name of somebody else, since it stays when its sender goes.
  mod_broadcast: async (store, { domain }) => {
    const sender = makeBare("admin", domain);
    const spec = { name: "n", domain, hostType: "h", sender, subject: "s", body: "b", rate: 1, recipientCount: 1 };
    await (store as BroadcastStore).createJob(spec, "node", 60);
  },
  mod_service_admin: async (generic, user) => {
    const store = generic as AnnouncementStore;
    await store.set(user.domain, "motd", { body: "b", setAt: 1 });
    await store.sawMotd(user.domain, [user.local], 1);
  },
  mod_private: (store, user) => (store as PrivateStore).multiSetData(user, [{ namespace: "urn:x", data: "<x/>" }]),
  mod_stream_management: (store, user) => (store as HeldStore).hold(user, "stream", [{ text: "<message/>", at: 1 }]),
  mod_pubsub_old: async (generic, user, db) => {
    const store = generic as PubsubOldStore;
    const config = nodeDefaults("pep");
    const head = { kind: "pep", config, affiliations: new Map<string, Affiliation>() };
    const own = await store.create({ ...head, service: user, name: "urn:mine" });
    const service = makeBare("", "pubsub.elsewhere.example");
    const name = `node of ${user.text}`.replace("@", " at ");
    const affiliations = new Map<string, Affiliation>([
      ["someone@elsewhere.example", "owner"],
      [user.text, "publisher"],
    ]);
    const node = await store.create({ service, name, kind: "flat", config, affiliations });
    if (own === undefined || node === undefined) throw new Error("no node");
    await db.insertNew("pubsub_node_collections", { name: "urn:mine", parent_name: "collection" });
    const item = { id: "i", publisher: user, payload: "<x/>", at: 1 };
    await store.publish(node, item, { newest: 1, since: 0 });
    for (const at of [own, node]) await store.setLast(at, item);
    await store.putSubscription(node, { jid: user, state: "subscribed", subid: "s", options: undefined });
  },
  mod_vcard: (store, user) =>
    (store as VcardStore).setVcard(user, viewText("<vCard xmlns='vcard-temp'><FN>x</FN></vCard>").element),
};
