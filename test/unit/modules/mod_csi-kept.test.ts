// What an inactive client's messages are worth when the process is killed: as much as their senders were told.
import { afterEach, describe, expect, test } from "vitest";
import type { Node } from "../../../core/node.ts";
import { MODULES } from "../../../modules/index.ts";
import type { MemoryDb } from "../../support/memory-db.ts";
import { StubClient } from "../../support/stub-conn.ts";
import { stubNode } from "../../support/stub-node.ts";

const NAMES = ["mod_stream_management", "mod_presence", "mod_roster", "mod_offline", "mod_csi"];
const modules = MODULES.filter(({ name }) => NAMES.includes(name));
const nodes: Node[] = [];

async function nodeOn(db?: MemoryDb) {
  const made = await stubNode({
    modules,
    db,
    users: db ? [] : ["alice", "bob"],
    more: "[modules.mod_csi]\nbuffer_max = 3\n",
  });
  nodes.push(made.node);
  return made;
}

afterEach(async () => {
  for (const node of nodes.splice(0)) await node.stop();
});

const bodies = async (db: MemoryDb): Promise<(string | undefined)[]> => {
  const rows = await db.query<{ stanza: string }>("SELECT stanza FROM mongooseim_held_stanzas ORDER BY id");
  return rows.map(({ stanza }) => /<body>(.*)<\/body>/.exec(stanza)?.[1]);
};

async function forgotten(db: MemoryDb): Promise<void> {
  for (let i = 0; i < 300 && (await bodies(db)).length > 0; i++) await new Promise((resolve) => setTimeout(resolve, 5));
  expect(await bodies(db)).toEqual([]);
}

const INACTIVE = "<inactive xmlns='urn:xmpp:csi:0'/>";
const ACTIVE = "<active xmlns='urn:xmpp:csi:0'/>";

async function inactiveBob(node: Node, more = ""): Promise<StubClient> {
  const bob = await StubClient.logIn(node, "bob@localhost/phone");
  bob.sends(`${more}<presence/>`);
  await bob.hears("<presence");
  bob.sends(INACTIVE);
  return bob;
}

async function managedAlice(node: Node): Promise<StubClient> {
  const alice = await StubClient.logIn(node, "alice@localhost/laptop");
  alice.sends("<enable xmlns='urn:xmpp:sm:3'/>");
  await alice.hears("<enabled");
  return alice;
}

const chat = (body: string, more = ""): string =>
  `<message to='bob@localhost' type='chat'><body>${body}</body>${more}</message>`;

/** Alice sends, and waits until the server says that it has handled so many stanzas. */
async function sends(alice: StubClient, text: string, h: number): Promise<void> {
  alice.sends(`${text}<r xmlns='urn:xmpp:sm:3'/>`);
  await alice.hears(`<a xmlns='urn:xmpp:sm:3' h='${h}'/>`);
}

describe("messages for an inactive client", () => {
  test("are on disk before their sender's acknowledgement", async () => {
    const { node, db } = await nodeOn();
    const bob = await inactiveBob(node);
    await sends(await managedAlice(node), chat("one"), 1);
    expect(await bodies(db)).toEqual(["one"]);
    expect(bob.rest).not.toContain("<body>");
  });

  test("reach the user at another node's start when the first was killed", async () => {
    const { node, db } = await nodeOn();
    await inactiveBob(node);
    const alice = await managedAlice(node);
    await sends(alice, chat("one"), 1);
    await sends(alice, chat("two"), 2);
    // The first node is dead: nothing of it runs any more.
    nodes.splice(0);
    node.wheel.stop();
    const second = await nodeOn(db);
    await forgotten(db);
    const back = await StubClient.logIn(second.node, "bob@localhost/tablet");
    back.sends("<presence/>");
    await back.hears("<body>one</body>");
    expect(back.rest).toContain("urn:xmpp:delay");
    await back.hears("<body>two</body>");
  });

  test("are forgotten on disk when they have been written", async () => {
    const { node, db } = await nodeOn();
    const bob = await inactiveBob(node);
    await sends(await managedAlice(node), chat("one"), 1);
    bob.sends(ACTIVE);
    await bob.hears("<body>one</body>");
    await forgotten(db);
  });

  test("are forgotten on disk when there were too many to wait", async () => {
    const { node, db } = await nodeOn();
    const bob = await inactiveBob(node);
    await sends(await managedAlice(node), ["1", "2", "3", "4"].map((n) => chat(n)).join(""), 4);
    await bob.hears("<body>4</body>");
    await forgotten(db);
  });

  test("stay on disk while the client does not read", async () => {
    const { node, db } = await nodeOn();
    const bob = await inactiveBob(node);
    await sends(await managedAlice(node), chat("one"), 1);
    bob.conn.backlog = 4711;
    bob.sends(ACTIVE);
    await bob.hears("<body>one</body>");
    await new Promise((resolve) => setTimeout(resolve, 600));
    expect(await bodies(db)).toEqual(["one"]);
    bob.conn.backlog = 0;
    await forgotten(db);
  });

  test("go to the offline store when the client's stream ends, and come once", async () => {
    const { node, db } = await nodeOn();
    const bob = await inactiveBob(node);
    await sends(await managedAlice(node), chat("one"), 1);
    bob.conn.owner?.closedConn();
    await forgotten(db);
    const back = await StubClient.logIn(node, "bob@localhost/tablet");
    back.sends("<presence/>");
    await back.hears("<body>one</body>");
    expect(back.rest).not.toContain("<body>");
  });

  test("stay on disk until they are in the offline store", async () => {
    const { node, db } = await nodeOn();
    const bob = await inactiveBob(node);
    await sends(await managedAlice(node), chat("one"), 1);
    const insertMany = db.insertMany.bind(db);
    const writes = Promise.withResolvers<void>();
    db.insertMany = (table, columns, rows) =>
      (table === "offline_message" ? writes.promise : Promise.resolve()).then(() => insertMany(table, columns, rows));
    bob.conn.owner?.closedConn();
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(await bodies(db)).toEqual(["one"]);
    writes.resolve();
    await forgotten(db);
    expect(await db.query("SELECT packet FROM offline_message")).toHaveLength(1);
  });

  test("come once after a stop in order, even right after they were written", async () => {
    const { node, db } = await nodeOn();
    const bob = await inactiveBob(node);
    await sends(await managedAlice(node), chat("one"), 1);
    bob.sends(ACTIVE);
    await bob.hears("<body>one</body>");
    await nodes.splice(0)[0].stop();
    expect(await bodies(db)).toEqual([]);
  });

  test("wait through a broken connection too (XEP-0198)", async () => {
    const { node, db } = await nodeOn();
    const bob = await inactiveBob(node, "<enable xmlns='urn:xmpp:sm:3' resume='true'/>");
    const alice = await managedAlice(node);
    await sends(alice, chat("one"), 1);
    bob.conn.owner?.closedConn();
    await sends(alice, chat("two"), 2);
    // "one" is the stream's now, like "two".
    for (let i = 0; i < 200 && (await bodies(db)).length > 2; i++)
      await new Promise((resolve) => setTimeout(resolve, 5));
    expect((await bodies(db)).toSorted()).toEqual(["one", "two"]);
    expect(await db.query("SELECT DISTINCT stream_id FROM mongooseim_held_stanzas")).toHaveLength(1);
  });

  test("are held for each of two clients that were to have them, and come once after a kill", async () => {
    const { node, db } = await nodeOn();
    await inactiveBob(node);
    const second = await StubClient.logIn(node, "bob@localhost/tablet");
    second.sends("<presence/>");
    await second.hears("<presence");
    second.sends(INACTIVE);
    const alice = await managedAlice(node);
    await sends(alice, chat("one") + chat("one"), 2);
    expect(await bodies(db)).toEqual(["one", "one", "one", "one"]);
    nodes.splice(0);
    node.wheel.stop();
    const next = await nodeOn(db);
    await forgotten(db);
    const back = await StubClient.logIn(next.node, "bob@localhost/phone");
    back.sends("<presence/><iq type='get' id='end' to='localhost'><x xmlns='y'/></iq>");
    await back.hears("id='end'");
    expect(back.conn.written.split("<body>one</body>")).toHaveLength(3);
  });

  test("for two clients: when one ends, the other has them, once", async () => {
    const { node } = await nodeOn();
    const bob = await inactiveBob(node);
    const second = await StubClient.logIn(node, "bob@localhost/tablet");
    second.sends("<presence/>");
    await second.hears("<presence");
    second.sends(INACTIVE);
    await sends(await managedAlice(node), chat("one"), 1);
    bob.conn.owner?.closedConn();
    await bob.stream.ending;
    second.sends(`${ACTIVE}<iq type='get' id='end' to='localhost'><x xmlns='y'/></iq>`);
    await second.hears("<body>one</body>");
    await second.hears("id='end'");
    expect(second.conn.written.split("<body>one</body>")).toHaveLength(2);
  });

  test.each([
    [
      "a chat state",
      "<message to='bob@localhost' type='chat'><active xmlns='http://jabber.org/protocol/chatstates'/></message>",
    ],
    ["XEP-0334: no-store", chat("secret", "<no-store xmlns='urn:xmpp:hints'/>")],
    ["presence", "<presence to='bob@localhost/phone'/>"],
  ])("are not written to the disk when they are %s", async (_what, text) => {
    const { node, db } = await nodeOn();
    await inactiveBob(node);
    await sends(await managedAlice(node), text, 1);
    expect(await bodies(db)).toEqual([]);
  });

  test("go to the client at once when the disk is full", async () => {
    const { node, db } = await nodeOn();
    const bob = await inactiveBob(node);
    const alice = await managedAlice(node);
    db.failing = true;
    alice.sends(chat("one"));
    await bob.hears("<body>one</body>");
    db.failing = false;
  });
});

test("XEP-0334: a message marked no-store is not held for a broken stream either", async () => {
  const { node, db } = await nodeOn();
  const bob = await StubClient.logIn(node, "bob@localhost/phone");
  bob.sends("<enable xmlns='urn:xmpp:sm:3' resume='true'/><presence/>");
  await bob.hears("<presence");
  const alice = await managedAlice(node);
  const noStore = "<no-store xmlns='urn:xmpp:hints'/>";
  await sends(alice, chat("early", noStore), 1);
  bob.conn.owner?.closedConn();
  await sends(alice, chat("late", noStore) + chat("kept"), 3);
  expect(await bodies(db)).toEqual(["kept"]);
});
