// A server on the database of a MongooseIM: its users find everything as they left it, and what the server writes is what
// MongooseIM would have written.
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import type { Db } from "../../core/storage/db.ts";
import { asks } from "../support/archive.ts";
import type { Client } from "../support/client.ts";
import { readTerm } from "../support/erlang-reader.ts";
import { inboxOf } from "../support/inbox.ts";
import { childOf, show, textOf, type XElement } from "../support/match.ts";
import { type MongooseimDialect, mongooseimSchema } from "../support/mongooseim-ddl.ts";
import { archiveId, fillMongooseim, passwordOf } from "../support/mongooseim-rows.ts";
import { type Changes, StoryServer } from "../support/story-server.ts";
import { ScramClient } from "../unit/core/sasl/client.ts";
import { mysqlOptions, openEmptyDatabase, pgsqlOptions } from "./db_each.ts";
import { usersOf } from "./server_suite.ts";

const NS_SASL = "urn:ietf:params:xml:ns:xmpp-sasl";
type Hash = "sha1" | "sha256" | "sha512";
const NAMES: Readonly<Record<Hash, string>> = { sha1: "SCRAM-SHA-1", sha256: "SCRAM-SHA-256", sha512: "SCRAM-SHA-512" };

for (const dialect of ["pgsql", "mysql"] as const) {
  const on = process.env[`TEST_${dialect.toUpperCase()}`] !== undefined;
  describe.skipIf(!on)(`a server on MongooseIM's database, ${dialect}`, () => suite(dialect));
}

function suite(dialect: MongooseimDialect): void {
  const name = `mim_${crypto.randomUUID().replaceAll("-", "")}`;
  let maintenance: Db;
  let db: Db;
  let server: StoryServer;
  const { client, logIn } = usersOf(() => server, passwordOf);

  function configured(mam: Changes = {}): Changes {
    const { host, port = 0, username, password = "" } = dialect === "pgsql" ? pgsqlOptions() : mysqlOptions();
    const connection = { driver: dialect, host, port, database: name, username, password };
    const kept = { backend: "rdbms" };
    return {
      outgoing_pools: { rdbms: { default: { workers: 3, connection } } },
      auth: { methods: ["rdbms"], password: { format: "scram", scram_iterations: 4096 }, internal: null, rdbms: {} },
      modules: {
        mod_blocklist: kept,
        mod_inbox: kept,
        mod_last: kept,
        mod_mam: { ...kept, user_prefs_store: "rdbms", pm: {}, ...mam },
        mod_offline: kept,
        mod_privacy: kept,
        mod_pubsub_old: kept,
        mod_private: kept,
        mod_roster: kept,
        mod_smart_markers: kept,
        mod_vcard: kept,
        mod_stream_management: null,
      },
    };
  }

  beforeAll(async () => {
    maintenance = await openEmptyDatabase(dialect);
    await maintenance.execute(`CREATE DATABASE ${name}`);
    db = await openEmptyDatabase(dialect, name);
    for (const sql of mongooseimSchema(dialect, "6.6")) await db.execute(sql);
    await fillMongooseim(db);
    server = await StoryServer.start(configured());
  });
  afterAll(async () => {
    await server.close();
    await db.close();
    await maintenance.execute(`DROP DATABASE ${name}${dialect === "pgsql" ? " WITH (FORCE)" : ""}`);
    await maintenance.close();
  });

  async function scram(local: string, hash: Hash): Promise<Client> {
    const c = await client(local).connects(server.target("tcp"));
    await c.opens();
    const { password } = c.account;
    const its = new ScramClient({ hash, username: local, password, nonce: "fyko+d2lbbFgONRv9qkxdawL" });
    c.sendsRaw(`<auth xmlns="${NS_SASL}" mechanism="${NAMES[hash]}">${its.first().toString("base64")}</auth>`);
    const challenge = await c.hears(`<challenge xmlns="${NS_SASL}">{any}</challenge>`);
    const answer = its.final(Buffer.from(textOf(challenge), "base64")).toString("base64");
    c.sendsRaw(`<response xmlns="${NS_SASL}">${answer}</response>`);
    await c.hears(`<success xmlns="${NS_SASL}">${Buffer.from(its.serverSignature()).toString("base64")}</success>`);
    return c;
  }

  async function iq(c: Client, id: string, rest: string): Promise<XElement> {
    c.says(`<iq id="${id}" ${rest}</iq>`);
    const answer = await c.skipsTo((e) => e.name === "iq" && e.attrs["id"] === id);
    expect(answer.attrs["type"], show(answer)).toBe("result");
    return answer;
  }

  test("vCards, private data, privacy lists and last activity are there", async () => {
    const alice = await logIn("alice");
    const vcard = await iq(alice, "v", 'type="get" to="bob@localhost"><vCard xmlns="vcard-temp"/>');
    expect(show(vcard)).toContain("<FN>Bob É</FN>");
    const data = await iq(
      alice,
      "p",
      'type="get"><query xmlns="jabber:iq:private"><storage xmlns="storage:bookmarks"/></query>',
    );
    expect(show(data)).toContain("room@muc.localhost");
    const list = await iq(alice, "l", 'type="get"><query xmlns="jabber:iq:privacy"><list name="blocking"/></query>');
    const [item] = childOf(childOf(list, "query")!, "list")!.children as XElement[];
    expect(item.attrs).toMatchObject({ type: "jid", value: "mallory@elsewhere.org", action: "deny", order: "1" });
    const last = await iq(alice, "a", 'type="get" to="bob@localhost"><query xmlns="jabber:iq:last"/>');
    const query = childOf(last, "query", "jabber:iq:last")!;
    expect(Number(query.attrs["seconds"])).toBeGreaterThan(1_000_000);
    expect(textOf(query)).toBe("gone fishing");
  });

  test.each([["alice"], ["bob"], ["carol"]])("%s logs in with PLAIN", async (local) => {
    expect((await logIn(local)).full).toContain(`${local}@localhost/`);
  });

  test.each<[string, Hash]>([
    ["alice", "sha256"],
    ["bob", "sha512"],
    ["bob", "sha1"],
    ["carol", "sha1"],
  ])("%s logs in with SCRAM, %s", async (local, hash) => {
    expect((await scram(local, hash)).gone).toBe(false);
  });

  test("a wrong password is refused, and a user on the blocklist gets no session", async () => {
    for (const [local, password] of [
      ["bob", "wrong"],
      ["carol", ""],
    ]) {
      const c = await client(local).connects(server.target("tcp"));
      await c.opens();
      c.sendsRaw(
        `<auth xmlns="${NS_SASL}" mechanism="PLAIN">${Buffer.from(`\0${local}\0${password}`).toString("base64")}</auth>`,
      );
      expect((await c.next()).name).toBe("failure");
    }
    const dave = await scram("dave", "sha256");
    await dave.opens();
    dave.says('<iq id="b" type="set"><bind xmlns="urn:ietf:params:xml:ns:xmpp-bind"/></iq>');
    expect((await dave.next()).attrs["type"]).toBe("error");
  });

  test("the roster is there, with its groups and what was asked", async () => {
    const alice = await logIn("alice");
    const answer = await iq(alice, "r", 'type="get"><query xmlns="jabber:iq:roster"/>');
    const items = childOf(answer, "query")!.children.filter((c): c is XElement => typeof c !== "string");
    const shown = items.map(({ attrs, children }) => [
      attrs["jid"],
      attrs["name"] ?? "",
      attrs["subscription"],
      attrs["ask"] ?? "",
      children.map((c) => (typeof c === "string" ? c : textOf(c))).sort(),
    ]);
    expect(shown.sort()).toEqual([
      ["bob@localhost", "Bob ☕", "both", "", ["Friends", "Work"]],
      ["erin@elsewhere.org", "", "none", "subscribe", []],
      ["fay@elsewhere.org", "", "from", "", []],
    ]);
  });

  test("a node of mod_pubsub_old is there with its item", async () => {
    const alice = await logIn("alice");
    const to = "pubsub.localhost";
    const items = await iq(
      alice,
      "i",
      `type="get" to="${to}"><pubsub xmlns="http://jabber.org/protocol/pubsub"><items node="news"/></pubsub>`,
    );
    expect(show(items)).toContain(
      '<item id="first"><entry xmlns="http://www.w3.org/2005/Atom"><title>Old &amp; new</title></entry></item>',
    );
    const owned = `type="get" to="${to}"><pubsub xmlns="http://jabber.org/protocol/pubsub#owner">`;
    const form = show(await iq(alice, "c", `${owned}<configure node="news"/></pubsub>`));
    expect(form).toMatch(/pubsub#access_model[^>]*>.*?<value>whitelist<\/value>/);
    expect(form).toMatch(/pubsub#max_items[^>]*>.*?<value>7<\/value>/);
    expect(show(await iq(alice, "s", `${owned}<subscriptions node="news"/></pubsub>`))).toContain(
      'subscription="subscribed"',
    );
  });

  test("waiting messages come, those with permanent fields too, and what has expired does not", async () => {
    const bob = await logIn("bob");
    bob.sends`<presence/>`;
    const came = (await bob.settles()).filter((e) => e.name === "message");
    expect(came.map((e) => [e.attrs["id"], e.attrs["from"], textOf(childOf(e, "body")!)])).toEqual([
      ["off0", "alice@localhost/desk", "0 é"],
      ["off1", "alice@localhost/desk", "1 é"],
      ["off2", "alice@localhost/desk", "2 é"],
    ]);
    expect(childOf(came[0], "delay", "urn:xmpp:delay")!.attrs["stamp"]).toMatch(/^2023-11-14T22:13:20/);
  });

  test("the archive is there in each of its forms, and is filtered and searched", async () => {
    const alice = await logIn("alice");
    const all = await asks(alice, { rsm: "<max>10</max>" });
    expect([all.count, all.complete, all.messages.length]).toEqual([6, true, 6]);
    for (const { message } of all.messages.slice(0, 5)) {
      expect(message.attrs).toEqual({
        from: "alice@localhost/desk",
        to: "bob@localhost",
        type: "chat",
        id: "a'b\"&<\n",
        "xml:lang": "en",
      });
      expect(textOf(childOf(message, "body")!)).toBe("one & two <three> ]]> four é😀");
      expect(childOf(message, "x", "urn:example:x")).toBeDefined();
    }
    expect(all.ids).toEqual([0, 1, 2, 3, 4, 10].map((n) => archiveId(n).toString(32).toUpperCase()));
    expect(all.messages[0].stamp).toMatch(/^2023-11-14T22:13:20/);
    expect((await asks(alice, { fields: { with: "bob@localhost" } })).messages).toHaveLength(5);
    expect((await asks(alice, { fields: { with: "erin@elsewhere.org" } })).bodies).toEqual(["hi"]);
    expect((await asks(alice, { fields: { with: "erin@elsewhere.org/phone" } })).bodies).toEqual(["hi"]);
    expect((await asks(alice, { fields: { "full-text-search": "word3" } })).ids).toEqual([all.ids[3]]);
    const prefs = await iq(alice, "f", 'type="get"><prefs xmlns="urn:xmpp:mam:2"/>');
    const found = childOf(prefs, "prefs")!;
    expect(found.attrs["default"]).toBe("always");
    expect(show(childOf(found, "never")!)).toContain("<jid>spam@elsewhere.org</jid>");
  });

  test("a message that is damaged takes no other with it", async () => {
    const damaged = archiveId(11);
    await db.insertNew("mam_message", {
      ...{ id: damaged, user_id: 1, from_jid: "bob", remote_bare_jid: "bob", remote_resource: "", direction: "I" },
      ...{ message: Buffer.from([131, 80, 0, 0, 1, 0, 7]), search_body: "", is_groupchat: false },
    });
    const { bodies, ids } = await asks(await logIn("alice"), { rsm: "<max>2</max><before/>" });
    expect(ids[1]).toBe(damaged.toString(32).toUpperCase());
    expect(bodies).toEqual(["hi", "This message cannot be read in the archive"]);
    expect(server.logged.some(({ what }) => what === "archived_message_unreadable")).toBe(true);
    await db.execute("DELETE FROM mam_message WHERE id = ?", [damaged]);
  });

  test("chat markers are there, and go on", async () => {
    const bob = await logIn("bob");
    const alice = await logIn("alice", "desk");
    const fetched = await iq(alice, "m", 'type="get"><query xmlns="esl:xmpp:smart-markers:0" peer="bob@localhost"/>');
    expect(show(fetched)).toMatch(/<marker from="alice@localhost" id="off0" type="displayed"/);
    bob.says(
      '<message to="alice@localhost" type="chat"><displayed xmlns="urn:xmpp:chat-markers:0" id="a1"/></message>',
    );
    const sql = "SELECT to_jid, thread, type, msg_id FROM smart_markers WHERE luser = ?";
    await vi.waitFor(async () => {
      const found = await db.query<Record<string, string | Uint8Array>>(sql, ["bob"]);
      const words = found.map((row) =>
        Object.values(row).map((v) => (typeof v === "string" ? v : Buffer.from(v).toString())),
      );
      expect(words).toEqual([["alice@localhost", "", "D", "a1"]]);
    });
  });

  test("the inbox is there", async () => {
    const { entries } = await inboxOf(await logIn("alice"));
    expect(entries).toMatchObject([{ unread: 3, box: "archive", from: "alice@localhost/desk", to: "bob@localhost" }]);
  });

  test("what the server writes is what MongooseIM would have written", async () => {
    await server.restarts(configured({ db_message_format: "mam_message_compressed_eterm" }));
    const alice = await logIn("alice", "laptop");
    const bob = await (await logIn("bob", "phone")).comesOnline();
    const body = `again ${"and again ".repeat(20)}é`;
    alice.says(
      `<message to="bob@localhost" type="chat" id="w1"><body>${body}</body><origin-id xmlns="urn:xmpp:sid:0" id="o9"/></message>`,
    );
    await bob.skipsTo((e) => e.attrs["id"] === "w1");
    const sql = `SELECT user_id, from_jid, remote_bare_jid, remote_resource, direction, message, origin_id
                 FROM mam_message WHERE id > ? ORDER BY user_id`;
    const rows = await vi.waitFor(async () => {
      const found = await db.query<Record<string, string | number | Uint8Array>>(sql, [archiveId(1000)]);
      expect(found).toHaveLength(2);
      return found;
    });
    const text = (value: string | number | Uint8Array): string =>
      value instanceof Uint8Array ? Buffer.from(value).toString() : String(value);
    const plainRows = rows.map(({ message: _, ...row }) =>
      Object.fromEntries(Object.entries(row).map(([k, v]) => [k, text(v)])),
    );
    const shared = { origin_id: "o9" };
    expect(plainRows).toEqual([
      { user_id: "1", from_jid: "/laptop", remote_bare_jid: "bob", remote_resource: "", direction: "O", ...shared },
      {
        user_id: "2",
        from_jid: "alice/laptop",
        remote_bare_jid: "alice",
        remote_resource: "laptop",
        direction: "I",
        ...shared,
      },
    ]);
    for (const { message } of rows) {
      const bytes = message as Uint8Array;
      expect([...bytes.subarray(0, 2)]).toEqual([131, 80]);
      const [record, element, attributes, children] = readTerm(bytes) as [string, string, object, unknown[]];
      expect([record, element]).toEqual(["xmlel", "message"]);
      expect(attributes).toMatchObject({ from: "alice@localhost/laptop", to: "bob@localhost", type: "chat", id: "w1" });
      expect(children[0]).toEqual(["xmlel", "body", {}, [["xmlcdata", body, "escaped"]]]);
    }
    const [conversation] = await vi.waitFor(async () => {
      const found = await db.query<Record<string, string | number | Uint8Array>>(
        "SELECT remote_bare_jid, msg_id, box, content, timestamp, muted_until, unread_count FROM inbox WHERE luser = ? AND msg_id = ?",
        ["bob", "w1"],
      );
      expect(found).toHaveLength(1);
      return found;
    });
    expect(conversation).toMatchObject({
      remote_bare_jid: "alice@localhost",
      box: "inbox",
      muted_until: 0,
      unread_count: 1,
    });
    expect(text(conversation["content"])).toMatch(/^<message .*from='alice@localhost\/laptop'/);
    expect(Number(conversation["timestamp"])).toBeGreaterThan(1_700_000_000_000_000);
    // Both are read again, beside the old ones.
    expect((await asks(alice, { fields: { with: "bob@localhost" } })).messages.map((m) => m.body).at(-1)).toBe(body);
  });

  test("an account's rows have MongooseIM's letters and texts", async () => {
    const carol = await logIn("carol");
    carol.says(
      `<iq id="s" type="set"><query xmlns="jabber:iq:roster"><item jid="zoe@elsewhere.org" name="Zoë"><group>G</group></item></query></iq>`,
    );
    await carol.skipsTo((e) => e.attrs["id"] === "s");
    carol.says(`<presence type="subscribe" to="zoe@elsewhere.org"/>`);
    await iq(carol, "v", 'type="set"><vCard xmlns="vcard-temp"><FN>Carol Ä</FN></vCard>');
    const own = ["localhost", "carol"];
    const where = "WHERE server = ? AND username = ?";
    await vi.waitFor(async () => {
      const roster = await db.query(`SELECT jid, nick, subscription, ask, askmessage FROM rosterusers ${where}`, own);
      expect(roster).toEqual([{ jid: "zoe@elsewhere.org", nick: "Zoë", subscription: "N", ask: "O", askmessage: "" }]);
    });
    expect(await db.query(`SELECT jid, grp FROM rostergroups ${where}`, own)).toEqual([
      { jid: "zoe@elsewhere.org", grp: "G" },
    ]);
    const [card] = await db.query<{ fn: string; lfn: string }>(`SELECT fn, lfn FROM vcard_search ${where}`, own);
    expect(card).toEqual({ fn: "Carol Ä", lfn: "carol ä" });

    const alice = await logIn("alice");
    alice.says(`<message to="carol@localhost" type="chat" id="later"><body>later</body></message>`);
    await carol.leaves();
    alice.says(`<message to="carol@localhost" type="chat" id="later"><body>later</body></message>`);
    const waiting = await vi.waitFor(async () => {
      const found = await db.query<Record<string, unknown>>(
        `SELECT timestamp, expire, from_jid, permanent_fields FROM offline_message ${where}`,
        own,
      );
      expect(found.length).toBeGreaterThan(0);
      return found[0];
    });
    expect(waiting).toMatchObject({ expire: null, from_jid: alice.full, permanent_fields: null });
    expect(Number(waiting["timestamp"])).toBeGreaterThan(1_700_000_000_000_000);

    expect(await server.node.hostOf("localhost")?.auth.create("newcomer", "localhost", "secret")).toBe("ok");
    const [user] = await db.query<{ password: string; pass_details: string }>(
      "SELECT password, pass_details FROM users WHERE username = ?",
      ["newcomer"],
    );
    const base64 = "[A-Za-z0-9+/]+=*";
    const keys = ["===SHA1===", "==SHA224==", "==SHA256==", "==SHA384==", "==SHA512=="];
    const form = keys.map((mark) => `,${mark}${base64}\\|${base64}\\|${base64}`).join("");
    expect(user.password).toBe("");
    expect(user.pass_details).toMatch(new RegExp(`^==MULTI_SCRAM==,4096${form}$`));
  });

  test("an archive with whole JIDs is read and written with db_jid_format", async () => {
    await server.restarts(configured({ db_jid_format: "mam_jid_rfc" }));
    const carol = await logIn("carol");
    expect((await asks(carol, { fields: { with: "alice@localhost" } })).messages).toHaveLength(1);
    expect((await asks(carol, { fields: { with: "alice@localhost/desk" } })).messages).toHaveLength(1);
  });
}
