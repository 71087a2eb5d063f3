// What features ask of their stores for one user, for tests of how it is found. FILL has put something there before.
import { type BareJid, makeBare } from "../../core/jid.ts";
import type { PersonalStore } from "../../core/module.ts";
import type { Db } from "../../core/storage/db.ts";
import type { TokenStore } from "../../modules/mod_auth_token/store.ts";
import type { BlocklistStore } from "../../modules/mod_blocklist/store.ts";
import type { FastTokenStore } from "../../modules/mod_fast_auth_token/store.ts";
import { ANY_TIME } from "../../modules/mod_inbox/bin.ts";
import type { InboxStore } from "../../modules/mod_inbox/store.ts";
import type { InviteStore } from "../../modules/mod_invites/store.ts";
import type { LastStore } from "../../modules/mod_last/store.ts";
import { PreferenceStore } from "../../modules/mod_mam/prefs/store.ts";
import type { MamStore } from "../../modules/mod_mam/store.ts";
import type { OfflineStore } from "../../modules/mod_offline/store.ts";
import type { OfflineMarkerStore } from "../../modules/mod_offline_chatmarkers/store.ts";
import type { Lists } from "../../modules/mod_privacy/lists.ts";
import type { PepStore } from "../../modules/mod_pubsub/store.ts";
import type { PubsubOldStore } from "../../modules/mod_pubsub_old/store.ts";
import { RosterStore } from "../../modules/mod_roster/store.ts";
import type { AnnouncementStore } from "../../modules/mod_service_admin/store.ts";
import type { MarkerStore } from "../../modules/mod_smart_markers/store.ts";
import type { ReportStore } from "../../modules/mod_spam_reporting/store.ts";
import type { HeldStore } from "../../modules/mod_stream_management/store.ts";
import type { VcardStore } from "../../modules/mod_vcard/store.ts";
import type { Affiliation, PubsubNode } from "../../modules/pubsub/model.ts";
import type { PubsubStore } from "../../modules/pubsub/store.ts";

interface PrivateStore extends PersonalStore {
  multiGetData(jid: BareJid, namespaces: readonly string[]): Promise<unknown>;
}

const CONTACT = makeBare("contact", "elsewhere");

/** What both features do with a node of a user. */
async function useNode(store: PubsubStore, user: BareJid, node: PubsubNode): Promise<void> {
  await store.nodes(user, "", 10);
  await store.countNodes(user);
  await store.configure(node, node.config);
  await store.setAffiliations(node, new Map<string, Affiliation>([[CONTACT.text, "publisher"]]));
  await store.setAffiliations(node, new Map<string, Affiliation>([[CONTACT.text, "none"]]));
  await store.affiliationsOf(user, user);
  const subscription = { jid: CONTACT, state: "pending", subid: "s", options: undefined } as const;
  await store.putSubscription(node, subscription);
  await store.subscriptionsOf(user, CONTACT);
  await store.dropSubscriptions(node, [subscription]);
  for (const id of ["1", "2", "3"]) {
    await store.publish(
      node,
      { id, publisher: user, payload: "<x/>", at: 10_000 + Number(id) },
      { newest: 2, since: 1 },
    );
  }
  await store.trim(node, { newest: 2, since: 2 });
  await store.item(node, "3");
  await store.itemsById(node, ["2", "3"]);
  await store.newest(node, 1);
  await store.page(node, { max: 1 });
  await store.page(node, { max: 1, after: "2" });
  await store.page(node, { max: 1, before: "3" });
  await store.retract(node, "3");
  await store.purgePublisher(node, user);
  await store.purge(node);
}

export const READ: Readonly<Record<string, (store: PersonalStore, user: BareJid, db: Db) => Promise<void>>> = {
  mod_roster: async (_store, user, db) => {
    const store = new RosterStore(db);
    await store.roster(user);
    await store.item(user, CONTACT.text);
    await store.requests(user);
    await store.count(user);
    await store.version(user);
    await store.delete(user, CONTACT.text, "v2");
  },
  mod_inbox: async (generic, user) => {
    const store = generic as InboxStore;
    const key = { user, remote: CONTACT.text };
    for (const order of ["asc", "desc"] as const) {
      await store.getInbox(user, { order, limit: 10 });
      await store.getInbox(user, { order, box: "archive", start: 1, end: 2, unreadOnly: true });
      await store.getInbox(user, { order, box: "bin", limit: 10 });
      await store.getInbox(user, { order, after: { timestamp: 1, remote: "a" }, limit: 10 });
      await store.getInbox(user, { order, before: "end", limit: 10 });
    }
    for await (const _part of store.inParts(user, { order: "desc" }));
    await store.getFullEntry(key);
    await store.getInboxUnread(key);
    await store.setEntryProperties(key, { box: "archive", mutedUntil: 0, read: true });
    await store.resetUnread(key, "1");
    await store.removeInboxRow(key, true);
    await store.bin.emptyOfUser(user, ANY_TIME);
    await store.removeInboxRow(key, false);
  },
  mod_mam: async (generic, user, db) => {
    const { sql } = (generic as MamStore).sql(
      { cache_users: false },
      { flushed: () => undefined, dropped: () => undefined, unfit: () => undefined },
    );
    for (const dir of ["after", "before"] as const) {
      await sql.lookup(user, {}, { dir, max: 5, count: true });
      await sql.lookup(user, {}, { dir, max: 5, count: false });
      await sql.lookup(user, {}, { dir, id: 256n, max: 5, count: true });
      await sql.lookup(user, { with: CONTACT }, { dir, max: 5, count: true });
      await sql.lookup(user, { with: CONTACT, noGroupchat: true }, { dir, id: 256n, max: 5, count: true });
    }
    await sql.lookup(user, {}, { dir: "after", index: 1, max: 5, count: true });
    await sql.lookup(user, { ids: [256n, 257n] }, { dir: "after", max: 5, count: true });
    await sql.bounds(user);
    await sql.present(user, [256n]);
    await sql.byOriginId(user, CONTACT, "in", "o");
    await sql.replace(user, 256n, "<message/>");
    const prefs = new PreferenceStore(db);
    await prefs.load(user);
    await prefs.save(user, { default: "A", jids: new Map([["a@b", "N"]]) });
  },
  mod_offline: async (generic, user) => {
    const store = generic as OfflineStore;
    const waiting = await store.popMessages(user, 0, 2);
    await store.quota.take(user, 1000);
    await store.delete(
      user,
      waiting.map(({ id }) => id),
    );
  },
  mod_pubsub: async (generic, user) => {
    const store = generic as PepStore;
    const node = await store.load(user, "n");
    if (node === undefined) throw new Error("FILL has made it");
    await store.newestOpen(user, "n");
    await store.lastItems(user.domain, [user.local], ["n"]);
    await store.lastItems(user.domain, [user.local], undefined);
    await useNode(store, user, node);
    await store.remove(node);
  },
  mod_pubsub_old: async (generic, user) => {
    const store = generic as PubsubOldStore;
    const node = await store.load(user, "urn:mine");
    if (node === undefined) throw new Error("FILL has made it");
    await store.roots(user, "", 10);
    await store.children(user, "collection", "", 10);
    await store.countOwned(user, user);
    await store.pendingOf(user, user);
    await store.lastItems(user.domain, [user.local], ["urn:mine"]);
    await store.last(node);
    await store.getLast(node);
    await store.dropLast(node, "i");
    await store.dropLast(node);
    // For short lists of what goes then.
    await store.purge(node);
    await useNode(store, user, node);
    await store.remove(node);
  },
  mod_auth_token: async (generic, user) => {
    await (generic as TokenStore).validSequence(user);
    await (generic as TokenStore).revoke(user);
  },
  mod_fast_auth_token: async (generic, jid) => {
    const store = generic as FastTokenStore;
    const owner = { jid, agent: "agent" };
    const token = { text: "t", expires: 1, count: 0, mechanism: 1 };
    await store.read(owner);
    await store.adopt(owner, token, 1);
    await store.countUp(owner, token, 2);
    await store.forget(owner);
  },
  mod_blocklist: async (generic, user) => {
    await (generic as BlocklistStore).isBlocked(user);
    await (generic as BlocklistStore).unblock(user);
  },
  mod_privacy: async (generic, user) => {
    const { store } = generic as Lists;
    const list = await store.defaultList(user);
    if (list === undefined) throw new Error("FILL has made it");
    await store.list(user, list.name);
    await store.names(user);
    await store.replace(user, list, list, true);
    await store.forgetDefault(user);
    await store.remove(user, list.name);
  },
  mod_invites: async (generic, user) => {
    const store = generic as InviteStore;
    await store.find(user.domain, user.text, 1);
    await store.isReserved(user.domain, "name", 1);
    await store.count(user, 1);
    const [invite] = await store.list(user.domain, user.local, 1, 10, 0);
    await store.take(invite.id);
    await store.giveBack(invite.id);
    await store.remove(user.domain, BigInt(invite.id), user.local);
    await store.removeUseless(user, 0);
  },
  mod_spam_reporting: async (generic, user) => {
    const store = generic as ReportStore;
    await store.count(user.domain, { reporter: user });
    await store.list(user.domain, { reporter: user }, 10, 0);
  },
  mod_last: async (generic, user) => {
    await (generic as LastStore).getLast(user);
    await (generic as LastStore).secondsOf(user.domain, [user.local, "other"]);
  },
  mod_offline_chatmarkers: async (generic, user) => {
    const store = generic as OfflineMarkerStore;
    for (const unseen of await store.get(user)) await store.forget(user, unseen);
  },
  mod_smart_markers: async (generic, user) => {
    const store = generic as MarkerStore;
    await store.getConversation(user, CONTACT, "");
    await store.getMarkersTo(user, "");
    const mark = { to: user.text, thread: "", type: "displayed", id: "1" } as const;
    await store.timeOf(mark);
    await store.timeOf({ ...mark, user });
    await store.newest({ ...mark, user });
    await store.later([{ ...mark, user, timestamp: 2 }], 0);
    const room = makeBare("room", "elsewhere");
    await store.forgetIn(room, user);
    await store.forgetRoom(room);
  },
  mod_service_admin: async (generic, user) => {
    await (generic as AnnouncementStore).announced(user);
  },
  mod_private: async (generic, user) => {
    await (generic as PrivateStore).multiGetData(user, ["urn:x", "urn:y"]);
  },
  mod_stream_management: async (generic) => {
    const store = generic as HeldStore;
    await store.release("another");
    await store.remove(1);
  },
  mod_vcard: async (generic, user) => {
    await (generic as VcardStore).getVcard(user);
  },
  mod_broadcast: async () => {},
};
