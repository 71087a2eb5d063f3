// What a node that is killed leaves behind for those whose streams were broken at that moment (XEP-0198).
import { afterEach, describe, expect, test } from "vitest";
import type { Node } from "../../../core/node.ts";
import { MODULES } from "../../../modules/index.ts";
import type { MemoryDb } from "../../support/memory-db.ts";
import { StubClient } from "../../support/stub-conn.ts";
import { stubNode } from "../../support/stub-node.ts";

const NAMES = ["mod_stream_management", "mod_presence", "mod_roster", "mod_offline"];
const modules = MODULES.filter(({ name }) => NAMES.includes(name));
const nodes: Node[] = [];

async function nodeOn(db?: MemoryDb) {
  const made = await stubNode({ modules, db, users: db ? [] : ["alice", "bob"] });
  nodes.push(made.node);
  return made;
}

const held = (db: MemoryDb) => db.query<{ stanza: string }>("SELECT stanza FROM mongooseim_held_stanzas ORDER BY id");

/** Bob's stream is managed, may be resumed, and has just lost its connection. */
async function brokenBob(node: Node): Promise<{ bob: StubClient; id: string }> {
  const bob = await StubClient.logIn(node, "bob@localhost/phone");
  bob.sends("<enable xmlns='urn:xmpp:sm:3' resume='true'/><presence/>");
  await bob.hears("<enabled");
  const id = /id='(\w+)'/.exec(bob.rest)![1];
  await bob.hears("<presence");
  bob.sends(`<a xmlns='urn:xmpp:sm:3' h='1'/>`);
  return { bob, id };
}

/** Alice sends, and waits until the server says that it has handled so many stanzas. */
async function aliceSends(alice: StubClient, body: string, h: number): Promise<void> {
  alice.sends(`<message to='bob@localhost' type='chat'><body>${body}</body></message><r xmlns='urn:xmpp:sm:3'/>`);
  await alice.hears(`<a xmlns='urn:xmpp:sm:3' h='${h}'/>`);
}

async function managedAlice(node: Node): Promise<StubClient> {
  const alice = await StubClient.logIn(node, "alice@localhost/laptop");
  alice.sends("<enable xmlns='urn:xmpp:sm:3'/>");
  await alice.hears("<enabled");
  return alice;
}

afterEach(async () => {
  for (const node of nodes.splice(0)) await node.stop();
});

describe("messages for a broken stream", () => {
  test("are on disk before their sender's acknowledgement", async () => {
    const { node, db } = await nodeOn();
    const { bob } = await brokenBob(node);
    bob.conn.owner?.closedConn();
    await aliceSends(await managedAlice(node), "one", 1);
    expect((await held(db)).map(({ stanza }) => /<body>(.*)<\/body>/.exec(stanza)?.[1])).toEqual(["one"]);
  });

  test("that came before it broke and were not acknowledged are on disk too", async () => {
    const { node, db } = await nodeOn();
    const { bob } = await brokenBob(node);
    await aliceSends(await managedAlice(node), "early", 1);
    expect(await held(db)).toEqual([]);
    bob.conn.owner?.closedConn();
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(await held(db)).toHaveLength(1);
  });

  test("reach the user at another node's start when the first was killed", async () => {
    const { node, db } = await nodeOn();
    const { bob } = await brokenBob(node);
    bob.conn.owner?.closedConn();
    const alice = await managedAlice(node);
    await aliceSends(alice, "one", 1);
    await aliceSends(alice, "two", 2);
    // The first node is dead: nothing of it runs any more.
    nodes.splice(0);
    node.wheel.stop();

    const second = await nodeOn(db);
    for (let i = 0; i < 200 && (await held(db)).length > 0; i++)
      await new Promise((resolve) => setTimeout(resolve, 10));
    const back = await StubClient.logIn(second.node, "bob@localhost/tablet");
    back.sends("<presence/>");
    await back.hears("<body>one</body>");
    expect(back.rest).toContain("urn:xmpp:delay");
    await back.hears("<body>two</body>");
    expect(await held(db)).toEqual([]);
  });

  test("are forgotten on disk when the stream is resumed", async () => {
    const { node, db } = await nodeOn();
    const { bob, id } = await brokenBob(node);
    bob.conn.owner?.closedConn();
    await aliceSends(await managedAlice(node), "one", 1);
    const again = new StubClient(node);
    again.sends(
      "<stream:stream to='localhost' version='1.0' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>",
    );
    await again.hears("</stream:features>");
    const proof = Buffer.from("\0bob\0secret").toString("base64");
    again.sends(`<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>${proof}</auth>`);
    await again.hears("<success");
    again.sends(
      "<stream:stream to='localhost' version='1.0' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>",
    );
    await again.hears("</stream:features>");
    again.sends(`<resume xmlns='urn:xmpp:sm:3' previd='${id}' h='1'/>`);
    await again.hears("<resumed");
    await again.hears("<body>one</body>");
    for (let i = 0; i < 100 && (await held(db)).length > 0; i++) await new Promise((resolve) => setTimeout(resolve, 5));
    expect(await held(db)).toEqual([]);
  });
});
