import { beforeEach, describe, expect, test } from "vitest";
import { type BareJid, parseBareJid, parseJid } from "../../../core/jid.ts";
import type { Stanza } from "../../../core/stanza.ts";
import { type Db, type Statement, StorageError } from "../../../core/storage/db.ts";
import { viewText } from "../../../core/xml/framer.ts";
import { Markup } from "../../../core/xml/markup.ts";
import modInbox from "../../../modules/mod_inbox/index.ts";
import { muclightEvent } from "../../../modules/mod_inbox/rooms.ts";
import { InboxStore } from "../../../modules/mod_inbox/store.ts";
import { revive } from "../../../modules/mod_stream_management/revive.ts";
import { type FakeClient, FakeServer } from "../../support/fake-server.ts";

const NS = "erlang-solutions.com:xmpp:inbox:0";
const room = parseBareJid("garden@muclight.localhost");
const AFFILIATIONS = "urn:xmpp:muclight:0#affiliations";

let server: FakeServer;
let store: InboxStore;
let romeo: FakeClient;
let juliet: FakeClient;

async function start(config: Record<string, unknown> = {}): Promise<void> {
  server = new FakeServer({ users: ["romeo", "juliet", "tybalt"] });
  Object.assign(server, {
    serviceOf: (domain: string) => (domain === room.domain ? { module: "mod_muc_light" } : undefined),
  });
  store = (await server.startModule(modInbox, config)).store as InboxStore;
  romeo = server.connect("romeo@localhost/orchard");
  juliet = server.connect("juliet@localhost/balcony");
  for (const client of [romeo, juliet]) await client.sends("<presence/>");
  for (const client of [romeo, juliet]) client.received();
}
beforeEach(() => start());

const chat = (body: string, id = body) =>
  `<message to='juliet@localhost/balcony' type='chat' id='${id}'><body>${body}</body></message>`;
const inbox = async (user: BareJid, box?: string) =>
  (await store.getInbox(user, { order: "asc", ...(box === undefined ? {} : { box }) })).map(
    ({ remote, unread, content }) => `${remote} ${unread} ${/<body>(.*?)<\/body>/.exec(content)?.[1] ?? "-"}`,
  );

describe("between users", () => {
  test("a message waits for both inboxes, and is delivered though they cannot be written", async () => {
    const waits: boolean[] = [];
    const note = (stanza: Stanza) => void waits.push(stanza.commit !== undefined);
    server.hook({ user_send_message: { at: 75, run: note }, filter_local_packet: { at: 95, run: note } });
    await romeo.sends(chat("one"));
    // The presence of the two is none of its business.
    expect(waits).toEqual([true, true]);
    server.db.failing = true;
    await romeo.sends(chat("two"));
    expect(juliet.received().join()).toMatch(/one.*two/);
    server.db.failing = false;
    expect(server.logged.join()).toContain("inbox_write_failed");
    await romeo.sends(chat("three"));
    expect(await inbox(juliet.jid.bare)).toEqual(["romeo@localhost 2 three"]);
  });

  test("what is not known of an addressee whose message is refused is nobody's fault", async () => {
    const lost: unknown[] = [];
    const note = (reason: unknown): void => void lost.push(reason);
    process.on("unhandledRejection", note);
    try {
      const away = new StorageError("unavailable", "The test has it fail");
      const refuse = (stanza: Stanza): void => stanza.wait(Promise.reject(away));
      const told = (stanza: Stanza): void => void stanza.commit?.catch(() => undefined);
      server.hook({
        user_send_message: { at: 95, run: told },
        filter_local_packet: [
          { at: 60, run: refuse },
          { at: 95, run: told },
        ],
      });
      const answers: (boolean | Promise<boolean>)[] = [Promise.reject(away)];
      server.host.auth.exists = () => answers.pop() ?? true;
      await romeo.sends("<message to='tybalt@localhost' type='chat' id='m'><body>one</body></message>");
      await new Promise((resolve) => setTimeout(resolve, 5));
    } finally {
      process.off("unhandledRejection", note);
    }
    expect(lost).toEqual([]);
  });

  test("one transaction for both ends, and one row for each", async () => {
    server.db.log.length = 0;
    await romeo.sends(chat("one"));
    const inserts = server.db.log.filter((sql) => sql.startsWith("INSERT INTO inbox"));
    expect(inserts).toHaveLength(2);
    await romeo.sends(chat("two"));
    // Nothing else once both are known.
    expect(server.db.log.filter((sql) => sql.startsWith("UPDATE inbox"))).toHaveLength(2);
  });

  test("what the database refuses of one does not take others along", async () => {
    const { db } = server;
    const picky: Db = Object.assign(Object.create(db), {
      transaction: async (statements: readonly Statement[]) => {
        const refused = statements.some(({ params = [] }) => params.includes("poison@localhost"));
        if (refused) throw new StorageError("constraint", "no");
        return db.transaction(statements);
      },
    });
    const failures: number[] = [];
    const other = new InboxStore(picky);
    other.events.failed = (_error, entries) => failures.push(entries);
    const put = (remote: string) =>
      other.setInboxIncrUnread({ user: juliet.jid.bare, remote }, { msgId: "1", content: "<message/>" }, 1);
    await Promise.all(["a@localhost", "poison@localhost", "b@localhost"].map(put));
    expect(failures).toEqual([1]);
    expect(await inbox(juliet.jid.bare)).toEqual(["a@localhost 1 -", "b@localhost 1 -"]);
  });

  test("what privacy lists turn away is not in the inbox", async () => {
    server.hook({
      privacy_check_packet: (acc, { jid, dir }) => (jid.local === "juliet" && dir === "in" ? "block" : acc),
    });
    await romeo.sends(chat("one"));
    expect(await inbox(juliet.jid.bare)).toEqual([]);
    expect(await inbox(romeo.jid.bare)).toEqual(["juliet@localhost 0 one"]);
  });

  test("what was held for a broken stream when the process ended has been counted", async () => {
    await romeo.sends(chat("one"));
    const [text] = juliet.received();
    const stanza = viewText(text);
    expect(revive(stanza, juliet.jid.bare, "localhost", server.clock.time)).toBe(true);
    await server.route(stanza);
    await server.settle();
    expect(await inbox(juliet.jid.bare)).toEqual(["romeo@localhost 1 one"]);
  });

  test("only users have inboxes", async () => {
    await romeo.sends(`<message to='nobody@localhost' type='chat'><body>x</body></message>`);
    await romeo.sends(`<message to='localhost' type='chat'><body>x</body></message>`);
    await romeo.sends(`<message to='tybalt@localhost' type='chat'><body>x</body></message>`);
    const rows = await server.db.query<{ luser: string }>("SELECT luser FROM inbox WHERE luser <> 'romeo'");
    expect(rows).toEqual([{ luser: "tybalt" }]);
  });

  test("what is no message to be read later is left alone", async () => {
    const to = `to='juliet@localhost'`;
    await romeo.sends(
      `<message ${to} type='chat'><composing xmlns='http://jabber.org/protocol/chatstates'/></message>`,
      `<message ${to} type='headline'><body>x</body></message>`,
      `<message ${to} type='error'><body>x</body></message>`,
      `<message ${to} type='groupchat'><body>x</body></message>`,
      `<message ${to}><received xmlns='urn:xmpp:receipts' id='1'/></message>`,
      `<presence ${to}/>`,
    );
    expect(await server.db.query("SELECT * FROM inbox")).toEqual([]);
  });

  test("other features may add to what is shown, and ask for a counter", async () => {
    server.hook({
      extend_inbox_result: (results) => {
        for (const { extra, entry } of results) extra.push(new Markup(`<pinned by='${entry.remote}'/>`));
      },
    });
    await romeo.sends(chat("one"), chat("two"));
    juliet.received();
    await juliet.sends(`<iq type='set' id='i'><inbox xmlns='${NS}'/></iq>`);
    expect(juliet.received()[0]).toContain("<pinned by='romeo@localhost'/>");
    const asked = { user: juliet.jid.bare, remote: romeo.jid.bare };
    expect(await server.host.hooks.fold("inbox_unread_count", undefined, asked)).toBe(2);
    expect(await server.host.hooks.fold("inbox_unread_count", 7, asked)).toBe(7);
  });
});

describe("backend rdbms_async", () => {
  beforeEach(() => start({ backend: "rdbms_async", async_writer: { pool_size: 1 } }));

  test("what comes while a write is under way becomes one row an entry", async () => {
    await romeo.sends(chat("zero"));
    server.db.log.length = 0;
    const key = { user: juliet.jid.bare, remote: romeo.jid.bare.text };
    const put = (n: number) => store.setInboxIncrUnread(key, { msgId: `${n}`, content: `<message id='${n}'/>` }, n);
    const first = put(1e15 + 1);
    await new Promise<void>((resolve) => setImmediate(resolve));
    await Promise.all([first, ...Array.from({ length: 50 }, (_, i) => put(1e15 + 2 + i))]);
    expect(server.db.log.filter((sql) => sql.startsWith("INSERT")).length).toBeLessThanOrEqual(2);
    expect(await store.getInboxUnread(key)).toBe(52);
    expect(server.metric("mod_inbox", "async_pool_request_count")).toBe(53);
    expect(server.metric("mod_inbox", "async_pool_flush_timed")).toBeGreaterThan(0);
    expect(store.waiting).toBe(0);
  });
});

describe("the bin", () => {
  test("is emptied of what is old enough, of this host type's domains, again and again", async () => {
    await start({ bin_ttl: 2, bin_clean_after: 3 });
    const HOUR = 3_600_000;
    const key = { user: juliet.jid.bare, remote: "r@r" };
    const foreign = { user: parseBareJid("x@elsewhere.example"), remote: "r@r" };
    const thrown = async (): Promise<void> => {
      for (const k of [key, foreign]) {
        await store.setInbox(k, { msgId: "1", content: "<message/>" }, server.tick());
        await store.setEntryProperties(k, { box: "bin" });
      }
    };
    const there = async () => (await store.getEntryProperties(key)) !== undefined;
    for (let round = 0; round < 2; round++) {
      await thrown();
      for (let hours = 0; hours < 48; hours += 3) {
        expect(await there()).toBe(true);
        server.clock.advance(3 * HOUR);
        await server.settle();
        await Bun.sleep(1);
      }
      server.clock.advance(3 * HOUR);
      await expect.poll(there).toBe(false);
      expect(await store.getEntryProperties(foreign)).toBeDefined();
    }
    await server.stopModule("mod_inbox");
    await thrown();
    server.clock.advance(1000 * HOUR);
    expect(await there()).toBe(true);
  });
});

describe("rooms of MUC Light, by what they send to their occupants", () => {
  /** As the room sends it to somebody. */
  async function sends(to: BareJid, inside: string, speaker?: string, id = "m"): Promise<void> {
    const from = speaker === undefined ? room.text : `${room.text}/${speaker}`;
    const text = `<message from='${from}' to='${to.text}' type='groupchat' id='${id}'>${inside}</message>`;
    const stanza = viewText(text);
    stanza.from = parseJid(from);
    stanza.to = to;
    await server.passes(stanza);
    await stanza.commit;
  }
  const says = (to: BareJid, speaker: string, body: string, id?: string) =>
    sends(to, `<body>${body}</body>`, speaker, id);
  const changes = (to: BareJid, affiliation: string, who = to.text) =>
    sends(
      to,
      `<x xmlns='${AFFILIATIONS}'><version>1</version><user affiliation='${affiliation}'>${who}</user></x><body/>`,
    );
  const me = parseBareJid("juliet@localhost");
  const him = parseBareJid("romeo@localhost");

  test("what is said is unread for all but its speaker", async () => {
    for (const to of [me, him]) await says(to, him.text, "Hi Room!");
    expect(await inbox(him)).toEqual([`${room.text} 0 Hi Room!`]);
    expect(await inbox(me)).toEqual([`${room.text} 1 Hi Room!`]);
    for (const to of [me, him]) await says(to, me.text, "Hi all");
    expect(await inbox(me)).toEqual([`${room.text} 0 Hi all`]);
    expect(await inbox(him)).toEqual([`${room.text} 1 Hi all`]);
  });

  test("a mark of the last message in the room", async () => {
    await says(me, him.text, "Hi Room!", "id-1");
    const mark = (kind: string, id: string) =>
      juliet.sends(
        `<message to='${room.text}' type='groupchat'><${kind} xmlns='urn:xmpp:chat-markers:0' id='${id}'/></message>`,
      );
    await mark("received", "id-1");
    await mark("displayed", "id-0");
    expect(await inbox(me)).toEqual([`${room.text} 1 Hi Room!`]);
    await mark("displayed", "id-1");
    expect(await inbox(me)).toEqual([`${room.text} 0 Hi Room!`]);
  });

  test("changes of the user's own affiliation are shown, others and the room's settings are not", async () => {
    await changes(me, "member");
    await changes(me, "owner", him.text);
    await sends(me, "<x xmlns='urn:xmpp:muclight:0#configuration'><roomname>New</roomname></x><body/>");
    expect(await inbox(me)).toEqual([`${room.text} 1 -`]);
    expect(await inbox(him)).toEqual([]);
  });

  test.each([
    ["rdbms", true, true, [], []],
    ["rdbms", false, true, [], []],
    ["rdbms", true, false, [`${room.text} 2 -`], []],
    ["rdbms", false, false, [`${room.text} 1 Hi`], []],
    ["rdbms_async", true, true, [], [`${room.text} 2 -`]],
    ["rdbms_async", false, true, [], [`${room.text} 1 Hi`]],
    ["rdbms_async", true, false, [`${room.text} 2 -`], []],
    ["rdbms_async", false, false, [`${room.text} 1 Hi`], []],
  ])("who is out of a room: %s, aff_changes %s, remove_on_kicked %s", async (backend, aff, remove, left, bin) => {
    await start({ backend, aff_changes: aff, remove_on_kicked: remove });
    await says(me, him.text, "Hi");
    await changes(me, "none");
    expect(await inbox(me)).toEqual(left);
    expect(await inbox(me, "bin")).toEqual(bin);
  });

  test("without aff_changes a room is there when something is said", async () => {
    await start({ aff_changes: false });
    await changes(me, "member");
    expect(await inbox(me)).toEqual([]);
    await says(me, him.text, "Hi");
    expect(await inbox(me)).toEqual([`${room.text} 1 Hi`]);
  });

  test("kinds of rooms that are not wanted are not in the inbox", async () => {
    await start({ groupchat: ["muc"] });
    await says(me, him.text, "Hi");
    await changes(me, "member");
    expect(await inbox(me)).toEqual([]);
  });

  test("what a message means", () => {
    const event = (from: string, inside: string) => {
      const stanza = viewText(`<message type='groupchat'>${inside}</message>`);
      stanza.from = parseJid(from);
      stanza.to = me;
      return muclightEvent(stanza, me);
    };
    expect(event(`${room.text}/${me.text}`, "<body>x</body>")).toMatchObject({ kind: "message", own: true });
    expect(event(`${room.text}/${him.text}`, "<body>x</body>")).toMatchObject({ kind: "message", own: false, room });
    expect(event(`${room.text}/${him.text}`, "<x xmlns='urn:x'/>")).toBeUndefined();
    expect(event(room.text, "<body>x</body>")).toBeUndefined();
    const x = `<x xmlns='${AFFILIATIONS}'><user affiliation='member'>${me.text}</user></x>`;
    expect(event(room.text, x)).toMatchObject({ kind: "affiliation", affiliation: "member", user: me });
  });
});

describe("rooms of MUC, by their hook", () => {
  const hears = async (config: Record<string, unknown>): Promise<void> => {
    await start(config);
    const message = viewText(`<message type='groupchat' id='m'><body>Hi Room!</body></message>`);
    message.from = parseJid("garden@muc.localhost/Romeo");
    const [sender, member, away] = ["romeo", "juliet", "x"].map((name) =>
      parseBareJid(`${name}@${name === "x" ? "elsewhere.example" : "localhost"}`),
    );
    const members = [sender, member, away];
    await server.host.hooks.notify("update_inbox_for_muc", {
      room: parseBareJid("garden@muc.localhost"),
      sender,
      members,
      message,
    });
  };

  test("a message is in the inbox of everybody who belongs to the room", async () => {
    await hears({ groupchat: ["muc"] });
    expect(await inbox(romeo.jid.bare)).toEqual(["garden@muc.localhost 0 Hi Room!"]);
    expect(await inbox(juliet.jid.bare)).toEqual(["garden@muc.localhost 1 Hi Room!"]);
    const [{ content }] = await store.getInbox(juliet.jid.bare, { order: "asc" });
    expect(content).toContain("from='garden@muc.localhost/Romeo'");
    expect(await server.db.query("SELECT * FROM inbox")).toHaveLength(2);
  });

  test("unless such rooms are not wanted", async () => {
    await hears({});
    expect(await server.db.query("SELECT * FROM inbox")).toEqual([]);
  });
});

describe("options", () => {
  const parse = (config: Record<string, unknown>) => modInbox.config.safeParse(config).success;

  test("boxes have names that are not taken and that the table holds", () => {
    expect(parse({ boxes: ["other", "spam"] })).toBe(true);
    for (const box of ["all", "inbox", "archive", "bin", "", "x".repeat(65)])
      expect(parse({ boxes: [box] })).toBe(false);
    expect(parse({ boxes: ["a", "a"] })).toBe(false);
  });
});
