// Nothing is left of who was removed: every table is searched for the name, whatever features there are.
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { UserStore } from "../../core/auth/store.ts";
import { type BareJid, makeBare, withResource } from "../../core/jid.ts";
import type { PersonalStore } from "../../core/module.ts";
import type { Db } from "../../core/storage/db.ts";
import { inspect } from "../../core/storage/inspect.ts";
import { MONGOOSEIM_TABLES } from "../../core/storage/migrations/0001_mongooseim.ts";
import { viewText } from "../../core/xml/framer.ts";
import { MODULES } from "../../modules/index.ts";
import type { TokenStore } from "../../modules/mod_auth_token/store.ts";
import type { BlocklistStore } from "../../modules/mod_blocklist/store.ts";
import type { BroadcastStore } from "../../modules/mod_broadcast/store.ts";
import type { FastTokenStore } from "../../modules/mod_fast_auth_token/store.ts";
import type { InviteStore } from "../../modules/mod_invites/store.ts";
import type { LastStore } from "../../modules/mod_last/store.ts";
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
import { whole } from "../support/personal.ts";
import { onEachDatabase, type TestDatabase } from "./db_each.ts";

interface PrivateStore extends PersonalStore {
  multiSetData(jid: BareJid, entries: readonly { namespace: string; data: string }[]): Promise<void>;
}

/** Puts something into every table that the feature has. A feature with a store that is not here fails the test. */
const FILL: Readonly<Record<string, (store: PersonalStore, user: BareJid, db: Db) => Promise<void>>> = {
  mod_roster: async (_store, user, db) => {
    const item = { ...newItem("contact@elsewhere"), groups: ["group"] };
    await new RosterStore(db).write(user, item, { groups: true, version: "v1" });
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
  mod_pubsub_old: async (generic, user) => {
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
    const item = { id: "i", publisher: user, payload: "<x/>", at: 1 };
    await store.publish(node, item, { newest: 1, since: 0 });
    for (const at of [own, node]) await store.setLast(at, item);
    await store.putSubscription(node, { jid: user, state: "subscribed", subid: "s", options: undefined });
  },
  mod_vcard: (store, user) =>
    (store as VcardStore).setVcard(user, viewText("<vCard xmlns='vcard-temp'><FN>x</FN></vCard>").element),
};

const keeping = MODULES.filter((module) => module.store !== undefined);

onEachDatabase("removal", (database: TestDatabase) => {
  let db: Db;
  let stores: Map<string, PersonalStore>;
  let accounts: UserStore;
  /** All tables with data, those that are referred to last. */
  let tables: string[];
  const USER = makeBare("thirteenletters", "one.example");
  const SAME_NAME = makeBare("thirteenletters", "two.example");
  const SAME_DOMAIN = makeBare("someoneelse", "one.example");
  /** Begins like the user, and holds what LIKE takes for wildcards. */
  const SIMILAR = makeBare("thirteenletters_%", "one.example");
  const ALL = [USER, SAME_NAME, SAME_DOMAIN, SIMILAR];

  beforeAll(async () => {
    db = await database.open();
    const referring = MONGOOSEIM_TABLES.map(({ name }) => name).toReversed();
    const others = [...(await inspect(db)).tables.keys()].filter(
      (name) => !referring.includes(name) && !/^sqlite_|migrations$/.test(name),
    );
    tables = [...others, ...referring];
  });
  beforeEach(async () => {
    await db.transaction(tables.map((name) => ({ sql: `DELETE FROM ${name}` })));
    stores = new Map(keeping.map((module) => [module.name, module.store?.(db) as PersonalStore]));
    accounts = new UserStore(db);
    for (const user of ALL) {
      await accounts.create(user.local, user.domain, { plain: "p" });
      for (const [name, store] of stores) await FILL[name](store, user, db);
    }
  });
  afterAll(() => db.close());

  /** Tables with a row that `test` finds something in. */
  async function tablesWith(test: (values: unknown[]) => boolean): Promise<string[]> {
    const found: string[] = [];
    for (const name of tables) {
      const rows = await db.query(`SELECT * FROM ${name}`);
      if (rows.some((row) => test(Object.values(row)))) found.push(name);
    }
    return found;
  }
  const tablesOf = (user: BareJid): Promise<string[]> =>
    tablesWith((values) => (values.includes(user.local) && values.includes(user.domain)) || values.includes(user.text));
  const tablesOfDomain = (domain: string): Promise<string[]> =>
    tablesWith((values) => values.some((v) => typeof v === "string" && (v === domain || v.endsWith(`@${domain}`))));

  test.each(keeping.map(({ name }) => name))("%s has something in its tables before", (name) => {
    expect(Object.keys(FILL)).toContain(name);
  });

  test("every feature keeps something of the user", async () => {
    expect((await tablesOf(USER)).length).toBeGreaterThan(keeping.length);
  });

  test("of a user leaves no row in any table, and the rows of all others", async () => {
    const before = await tablesOf(SIMILAR);
    await accounts.remove(USER.local, USER.domain);
    for (const store of stores.values()) await store.removeUser(USER);
    expect(await tablesOf(USER)).toEqual([]);
    for (const user of [SAME_NAME, SAME_DOMAIN, SIMILAR]) expect(await tablesOf(user)).toEqual(before);
  });

  test("of a domain leaves no row in any table, and the rows of the other domain", async () => {
    const before = await tablesOfDomain("two.example");
    await accounts.removeDomain("one.example");
    for (const store of stores.values()) await store.removeDomain("one.example");
    expect(await tablesOfDomain("one.example")).toEqual([]);
    expect(await tablesOfDomain("two.example")).toEqual(before);
  });

  test("of who has nothing is no error", async () => {
    const nobody = makeBare("nobody", "nowhere.example");
    for (const store of stores.values()) {
      await store.removeUser(nobody);
      await store.removeDomain(nobody.domain);
    }
  });

  describe.each(keeping.map(({ name }) => name))("personal data of %s", (name) => {
    test("is a table of texts, as wide as its columns say, and of this user only", async () => {
      const tables = await whole((stores.get(name) as PersonalStore).personalData(USER));
      for (const { columns, rows } of tables) {
        expect(rows).toHaveLength(1);
        for (const row of rows) expect(row.map((value) => typeof value)).toEqual(columns.map(() => "string"));
      }
    });

    test("is an empty table for who has none", async () => {
      const tables = await whole((stores.get(name) as PersonalStore).personalData(makeBare("nobody", "one.example")));
      expect(tables.map(({ rows }) => rows)).toEqual(tables.map(() => []));
    });
  });
});
