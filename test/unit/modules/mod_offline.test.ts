import { beforeEach, describe, expect, test } from "vitest";
import { parseBareJid } from "../../../core/jid.ts";
import type { ModuleContext, PersonalStore } from "../../../core/module.ts";
import { type SqlValue, StorageError } from "../../../core/storage/db.ts";
import { viewText } from "../../../core/xml/framer.ts";
import modOffline from "../../../modules/mod_offline/index.ts";
import type { OfflineStore } from "../../../modules/mod_offline/store.ts";
import { type FakeClient, FakeServer } from "../../support/fake-server.ts";
import { whole } from "../../support/personal.ts";
import { allSteps } from "../../support/steps.ts";
import { runner } from "./operations.ts";

const JULIET = parseBareJid("juliet@localhost");
const chat = (body: string, inside = "") =>
  `<message to='juliet@localhost' type='chat'><body>${body}</body>${inside}</message>`;
const bodies = (client: FakeClient) => client.received().map((text) => /<body>(.*?)<\/body>/.exec(text)?.[1] ?? text);

let server: FakeServer;
let ctx: ModuleContext;
let romeo: FakeClient;
async function verona(config: Record<string, unknown> = {}, access: Record<string, number | string> = {}) {
  server = new FakeServer({ users: ["juliet"], access });
  ctx = await server.startModule(modOffline, config);
  romeo = server.connect("romeo@localhost/orchard");
}
beforeEach(() => verona());

async function comesOnline(resource = "balcony", priority = 0): Promise<FakeClient> {
  const juliet = server.connect(`juliet@localhost/${resource}`);
  juliet.setPresence(viewText("<presence/>"), priority);
  await server.host.hooks.notify("resend_offline_messages", { session: juliet });
  await server.settle();
  return juliet;
}
const stored = async () => (await server.db.query<{ n: number }>("SELECT count(*) AS n FROM offline_message"))[0].n;
const condition = (client: FakeClient) => /<error[^>]*><([\w-]+)/.exec(client.received()[0] ?? "")?.[1];

test("XEP-0160: a message waits for its addressee, and says when it was stored (XEP-0203)", async () => {
  await romeo.sends("<message to='juliet@localhost/gone' id='m2' type='chat'><body>Wake up</body></message>");
  romeo.hears();
  server.clock.advance(60_000);
  (await comesOnline()).hears(
    "<message from='romeo@localhost/orchard' id='m2' to='juliet@localhost/gone' type='chat'><body>Wake up</body><delay from='localhost' stamp='2026-11-22T12:00:00.000000Z' xmlns='urn:xmpp:delay'>Offline Storage</delay></message>",
  );
});

test("what comes while the clock is behind is as young as it is, once the clock is right", async () => {
  const DAY = 86_400_000;
  await romeo.sends(chat("before"));
  const { time } = server.clock;
  // A machine that has begun its day in another year.
  server.setBy = -400 * DAY;
  await romeo.sends(chat("meanwhile"), chat("too"));
  server.setBy = 60_000;
  const store = ctx.store as OfflineStore;
  expect(await store.countBefore("localhost", time)).toBe(0);
  expect(await allSteps(store.deleteBefore("localhost", time, 500))).toBe(0);
  expect(await store.countBefore("localhost", time + 60_000)).toBe(3);
});

test("messages come in the order in which they were sent, and once", async () => {
  await romeo.sends(chat("1"), chat("2"), chat("3"));
  expect(bodies(await comesOnline())).toEqual(["1", "2", "3"]);
  expect(bodies(await comesOnline("chamber"))).toEqual([]);
  expect(await stored()).toBe(0);
});

test("more than a page of messages come in order", async () => {
  for (let i = 0; i < 450; i++) await romeo.sends(chat(String(i)));
  expect(bodies(await comesOnline())).toEqual(Array.from({ length: 450 }, (_, i) => String(i)));
});

test("RFC 6121 §8.5.2.1: a session of negative priority gets nothing, and nothing is lost", async () => {
  await romeo.sends(chat("1"));
  expect(bodies(await comesOnline("balcony", -1))).toEqual([]);
  expect(bodies(await comesOnline("chamber", 0))).toEqual(["1"]);
});

test("two sessions that come at the same time do not both get a message", async () => {
  await romeo.sends(chat("1"));
  const [a, b] = await Promise.all([comesOnline("a"), comesOnline("b")]);
  expect([...bodies(a), ...bodies(b)]).toEqual(["1"]);
});

test("a message that is being stored while its addressee comes back is delivered", async () => {
  const { insertMany } = server.db;
  let juliet: FakeClient | undefined;
  server.db.insertMany = async function (this: typeof server.db, ...args) {
    juliet ??= await comesOnline();
    return insertMany.apply(this, args);
  };
  await romeo.sends(chat("1"));
  await server.settle();
  expect(bodies(juliet!)).toEqual(["1"]);
});

describe("while the database is away", () => {
  const away = () => Promise.reject(new StorageError("unavailable", "The test has it fail"));

  test("what a session is to be given comes when it is back, once and in order", async () => {
    for (let i = 0; i < 450; i++) await romeo.sends(chat(String(i)));
    const store = ctx.store as OfflineStore;
    const { popMessages } = store;
    let pages = 0;
    store.popMessages = (...args) => (++pages === 2 ? away() : popMessages.apply(store, args));
    const juliet = await comesOnline();
    expect(bodies(juliet)).toHaveLength(200);
    await romeo.sends(chat("now"));
    expect(bodies(juliet)).toEqual(["now"]);
    server.clock.advance(10_000);
    await server.settle();
    expect(bodies(juliet)).toEqual(Array.from({ length: 250 }, (_, i) => String(i + 200)));
    expect(await stored()).toBe(0);
  });

  test("what was given and could not be deleted is not given to the same session again", async () => {
    await romeo.sends(chat("1"), chat("2"));
    const store = ctx.store as OfflineStore;
    store.delete = away;
    const juliet = await comesOnline();
    expect(bodies(juliet)).toEqual(["1", "2"]);
    server.clock.advance(10_000);
    await server.settle();
    Reflect.deleteProperty(store, "delete");
    server.clock.advance(10_000);
    await server.settle();
    expect(bodies(juliet)).toEqual([]);
    expect(await stored()).toBe(0);
  });

  test("nothing comes to a session that is gone when it is back, nor to one that wants none", async () => {
    await romeo.sends(chat("1"));
    const store = ctx.store as OfflineStore;
    store.popMessages = away;
    const [gone, shy] = [await comesOnline("gone"), await comesOnline("shy")];
    Reflect.deleteProperty(store, "popMessages");
    server.forget(gone);
    shy.setPresence(viewText("<presence/>"), -1);
    server.clock.advance(10_000);
    await server.settle();
    expect([...bodies(gone), ...bodies(shy)]).toEqual([]);
    expect(await stored()).toBe(1);
  });
});

test("a session that ends while it is being given its messages leaves the rest to the next one", async () => {
  await romeo.sends(chat("1"), chat("2"));
  const juliet = server.connect("juliet@localhost/balcony");
  juliet.setPresence(viewText("<presence/>"), 0);
  server.hook({ xmpp_presend_element: (_stanza, session) => server.forget(session as FakeClient) });
  await server.host.hooks.notify("resend_offline_messages", { session: juliet });
  expect(bodies(juliet)).toEqual(["1"]);
  server.host.hooks.remove("test");
  expect(bodies(await comesOnline())).toEqual(["2"]);
});

describe("what is stored", () => {
  test.each([
    ["chat", "<body>x</body>", true],
    ["normal", "<body>x</body>", true],
    ["chat", "<received xmlns='urn:xmpp:receipts' id='1'/>", true],
    ["normal", "<x xmlns='jabber:x:conference' jid='r@muc'/>", true],
    ["chat", "<composing xmlns='http://jabber.org/protocol/chatstates'/>", false],
    ["chat", "<composing xmlns='http://jabber.org/protocol/chatstates'/><thread>t</thread>", false],
    ["chat", "<body>x</body><active xmlns='http://jabber.org/protocol/chatstates'/>", true],
    ["chat", "<body>x</body><no-store xmlns='urn:xmpp:hints'/>", false],
    ["chat", "<composing xmlns='http://jabber.org/protocol/chatstates'/><store xmlns='urn:xmpp:hints'/>", true],
    ["chat", "", false],
    ["headline", "<body>x</body>", false],
    ["error", "<body>x</body>", false],
    ["groupchat", "<body>x</body>", false],
  ])("a message of type %s with %s: %s", async (type, payload, kept) => {
    await romeo.sends(`<message to='juliet@localhost' type='${type}'>${payload}</message>`);
    expect(await stored()).toBe(kept ? 1 : 0);
  });

  test.each([
    [true, 1],
    [false, 0],
  ])("groupchat of MUC Light with store_groupchat_messages = %s", async (store_groupchat_messages, n) => {
    await verona({ store_groupchat_messages });
    const stanza = viewText("<message to='juliet@localhost' type='groupchat'><body>x</body></message>");
    stanza.from = parseBareJid("room@muclight.localhost");
    stanza.to = JULIET;
    await server.host.hooks.route(server.host.hooks.offlineGroupchat, stanza);
    await stanza.storing;
    expect(await stored()).toBe(n);
  });

  test("a carbon copy that comes back undelivered is dropped", async () => {
    const stanza = viewText(chat("copy"));
    stanza.from = stanza.to = JULIET;
    stanza.copy = true;
    await server.route(stanza);
    expect(await stored()).toBe(0);
  });

  test("children that a feature took out or added are stored so", async () => {
    server.hook({
      filter_local_packet: (stanza) => {
        stanza.removeChild(1);
        stanza.appended += "<added xmlns='a'/>";
      },
    });
    await romeo.sends(chat("1", "<fake xmlns='f'/>"));
    const [text] = (await comesOnline()).received();
    expect(text).toContain("<body>1</body><added xmlns='a'/><delay");
  });

  test("a delay that the server had put on it becomes the time of storing", async () => {
    server.hook({
      filter_local_packet: (stanza) => {
        stanza.appended +=
          "<delay from='localhost' stamp='2026-11-22T11:00:00.500Z' xmlns='urn:xmpp:delay'>SM Storage</delay>";
      },
    });
    await romeo.sends(chat("1"));
    const [text] = (await comesOnline()).received();
    expect(text.match(/stamp='[^']+'/g)).toEqual(["stamp='2026-11-22T11:00:00.500000Z'"]);
  });
});

test("what comes when a session has just ended is stored after what waited for that", async () => {
  const { endings } = ctx.store as OfflineStore;
  await romeo.sends(chat("counted"));
  const ended = Promise.withResolvers<void>();
  const ends = [ended.promise, undefined];
  endings.older = () => ends.shift();
  const waits = romeo.sends(chat("1"));
  await server.settle();
  const comes = romeo.sends(chat("2"));
  await server.settle();
  expect(await stored()).toBe(1);
  ended.resolve();
  await Promise.all([waits, comes]);
  expect(bodies(await comesOnline())).toEqual(["counted", "1", "2"]);
});

test("a sender's resource may be longer than the column of his address", async () => {
  const full = `romeo@localhost/${"r".repeat(1000)}`;
  await server.connect(full).sends(chat("1"));
  expect(await server.db.query("SELECT from_jid FROM offline_message")).toEqual([{ from_jid: "romeo@localhost" }]);
  const [text] = (await comesOnline()).received();
  expect(text).toContain(` from='${full}'`);
  expect(text.match(/ from=/g)).toHaveLength(2);
});

describe("expiry (XEP-0023)", () => {
  test.each(["-5", "0", "", "1e3", "9999999999", "99999999999999999999999"])(
    "of %j seconds is none: no column holds a time that far",
    async (seconds) => {
      await romeo.sends(chat("1", `<x xmlns='jabber:x:expire' seconds='${seconds}'/>`));
      expect(await server.db.query("SELECT expire FROM offline_message")).toEqual([{ expire: null }]);
      expect(bodies(await comesOnline())).toEqual(["1"]);
    },
  );

  const brief = chat("1", "<x xmlns='jabber:x:expire' seconds='10'/>");

  test.each([
    [9_000, ["1"]],
    [11_000, []],
  ])("of 10 seconds, after %i ms", async (ms, heard) => {
    await romeo.sends(brief);
    server.clock.advance(ms);
    expect(bodies(await comesOnline())).toEqual(heard);
    expect(await stored()).toBe(0);
  });

  test("deleteExpiredMessages deletes what has expired, deleteOldMessages what is old", async () => {
    await romeo.sends(brief, chat("2"));
    server.clock.advance(11_000);
    const { run } = runner(server, modOffline, ctx);
    expect(await run('mutation { offline { deleteExpiredMessages(domain: "localhost") } }')).toEqual({
      offline: { deleteExpiredMessages: "Removed 1 messages" },
    });
    server.clock.advance(2 * 86_400_000);
    const old = (days: number) => run(`mutation { offline { deleteOldMessages(domain: "localhost", days: ${days}) } }`);
    expect(await old(3)).toEqual({ offline: { deleteOldMessages: "Removed 0 messages" } });
    expect(await old(2)).toEqual({ offline: { deleteOldMessages: "Removed 1 messages" } });
    expect(await run('mutation { offline { deleteOldMessages(domain: "elsewhere", days: 1) } }')).toEqual([
      "domain_not_found",
    ]);
  });
});

describe("bounds", () => {
  test("the sender of one message too many is told resource-constraint", async () => {
    await verona({}, { max_user_offline_messages: 2 });
    await romeo.sends(chat("1"), chat("2"));
    romeo.hears();
    await romeo.sends(chat("3"));
    expect(condition(romeo)).toBe("resource-constraint");
    expect(bodies(await comesOnline())).toEqual(["1", "2"]);
  });

  test("where no rule says how many, the option does", async () => {
    await verona({ max_user_messages: 2 });
    await romeo.sends(chat("1"), chat("2"));
    romeo.hears();
    await romeo.sends(chat("3"));
    expect(condition(romeo)).toBe("resource-constraint");
  });

  test("messages that come in one moment do not pass the bound together", async () => {
    await verona({}, { max_user_offline_messages: 3 });
    const nurse = server.connect("nurse@localhost/house");
    await Promise.all([romeo.sends(chat("1"), chat("2"), chat("3")), nurse.sends(chat("4"), chat("5"), chat("6"))]);
    expect(await stored()).toBe(3);
  });

  test("there is room again after the messages were delivered", async () => {
    await verona({}, { max_user_offline_messages: 1 });
    await romeo.sends(chat("1"), chat("2"));
    romeo.received();
    const juliet = await comesOnline();
    await juliet.ends();
    await romeo.sends(chat("3"));
    romeo.hears();
  });

  test("the count is asked for once, not for every message", async () => {
    await verona({}, { max_user_offline_messages: 100 });
    await romeo.sends(chat("1"), chat("2"), chat("3"));
    expect(server.db.log.filter((sql) => sql.includes("count(*)"))).toHaveLength(1);
  });

  test("what cannot be stored is told to the sender, and makes room", async () => {
    await verona({}, { max_user_offline_messages: 1 });
    const { insertMany } = server.db;
    server.db.insertMany = async (): Promise<void> => {
      throw new StorageError("full", "disk full");
    };
    await romeo.sends(chat("1"));
    expect(condition(romeo)).toBe("internal-server-error");
    server.db.insertMany = insertMany;
    await romeo.sends(chat("2"));
    romeo.hears();
  });
});

test("messages of one turn of the event loop are written together", async () => {
  const sizes: number[] = [];
  const { insertMany } = server.db;
  server.db.insertMany = function (
    this: typeof server.db,
    table: string,
    columns: readonly string[],
    rows: readonly (readonly SqlValue[])[],
  ) {
    sizes.push(rows.length);
    return insertMany.call(this, table, columns, rows);
  };
  const senders = Array.from({ length: 20 }, (_, i) => server.connect(`user${i}@localhost/r`));
  await Promise.all(senders.map((sender) => sender.sends(chat("x"))));
  expect(sizes).toEqual([20]);
});

test("an account's messages go with it, and are in its personal data before", async () => {
  await romeo.sends(chat("1"));
  const store = ctx.store as PersonalStore;
  const [{ name, columns, rows }] = await whole(store.personalData(JULIET));
  expect([name, columns]).toEqual(["offline", ["timestamp", "from", "to", "packet"]]);
  expect(rows[0].slice(0, 3)).toEqual(["2026-11-22T12:00:00.000000Z", "romeo@localhost/orchard", "juliet@localhost"]);
  await server.removeUser(JULIET);
  expect(await stored()).toBe(0);
});
