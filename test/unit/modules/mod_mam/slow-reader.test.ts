// A page of big messages and a client that does not read: no more than a little of it is in the server's buffer.
import { afterAll, beforeAll, expect, test } from "vitest";
import modMam from "../../../../modules/mod_mam/index.ts";
import modStreamManagement from "../../../../modules/mod_stream_management/index.ts";
import { StubClient, type StubConn } from "../../../support/stub-conn.ts";
import { type StubNode, stubNode } from "../../../support/stub-node.ts";

const BIG = 60_000;
const COUNT = 20;
/** What a client may leave unread before it gets more (core/c2s/output.ts), and one message. */
const MOST = 256 * 1024 + 2 * BIG;

let stub: StubNode;
beforeAll(async () => {
  stub = await stubNode({
    users: ["romeo", "juliet"],
    modules: [modMam, modStreamManagement],
    more: "[modules.mod_mam]\npm = {}\n[modules.mod_stream_management]\nbuffer_max = 5\nack = false\n",
  });
});
afterAll(() => stub.node.stop());

const query = (id: string): string => `<iq id='${id}' type='set'><query xmlns='urn:xmpp:mam:2'/></iq>`;
const turns = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** From now on what is written stays in the buffer. */
function readsNothing(conn: StubConn): void {
  const before = conn.write.bind(conn);
  conn.write = (bytes: Buffer, n: number) => {
    conn.backlog += n;
    before(bytes, n);
  };
  const beforeText = conn.writeText.bind(conn);
  conn.writeText = (text: string) => {
    conn.backlog += Buffer.byteLength(text);
    return beforeText(text);
  };
}

/** The page and its end, in order. */
function isWhole(written: string): void {
  const numbers = [...written.matchAll(/#(\d+);/g)].map(([, n]) => Number(n));
  expect(numbers).toEqual(Array.from({ length: COUNT }, (_, i) => i + 1));
  expect(written.indexOf("<fin")).toBeGreaterThan(written.lastIndexOf("</result>"));
}

test("it is waited for, and gets the whole page in order when it reads on", { timeout: 30_000 }, async () => {
  const romeo = await StubClient.logIn(stub.node, "romeo@localhost/orchard");
  const juliet = await StubClient.logIn(stub.node, "juliet@localhost/balcony");
  for (let n = 1; n <= COUNT; n++) {
    romeo.sends(`<message to='juliet@localhost/balcony' type='chat'><body>#${n}; ${"x".repeat(BIG)}</body></message>`);
    await juliet.hears(`#${n};`);
  }
  const { conn } = juliet;
  conn.written = "";
  readsNothing(conn);
  juliet.sends(query("slow"));
  await turns(1000);
  expect(conn.backlog).toBeGreaterThan(BIG);
  expect(conn.backlog).toBeLessThan(MOST);
  expect(conn.written).not.toContain("<fin");
  let most = 0;
  for (let rounds = 0; !conn.written.includes("<fin") && rounds < 100; rounds++) {
    most = Math.max(most, conn.backlog);
    conn.backlog = 0;
    await turns(100);
  }
  expect(most).toBeLessThan(MOST);
  isWhole(conn.written);
});

test("a page is no overflow of what waits to be acknowledged (XEP-0198), and is not routed again", async () => {
  const juliet = await StubClient.logIn(stub.node, "juliet@localhost/tomb");
  juliet.sends("<enable xmlns='urn:xmpp:sm:3'/>");
  await juliet.hears("<enabled");
  juliet.sends(query("managed"));
  await juliet.hears("<fin");
  expect(juliet.stream.closed).toBe(false);
  const sm = juliet.stream.sm!;
  expect(sm.unacked().filter(({ copy }) => copy)).toHaveLength(COUNT);
});

test("a managed stream that breaks in the middle of a page has the rest when it is resumed", async () => {
  const juliet = await StubClient.logIn(stub.node, "juliet@localhost/garden");
  juliet.sends("<enable xmlns='urn:xmpp:sm:3' resume='true'/>");
  await juliet.hears("<enabled");
  const [, id] = /<enabled[^>]* id='([^']+)'/.exec(juliet.conn.written)!;
  readsNothing(juliet.conn);
  juliet.sends(query("broken"));
  await turns(500);
  expect(juliet.conn.written).toContain("#1;");
  expect(juliet.conn.written).not.toContain("<fin");
  juliet.conn.owner!.closedConn();
  await turns(300);
  const back = await StubClient.authenticated(stub.node, "juliet@localhost/garden");
  back.sends(`<resume xmlns='urn:xmpp:sm:3' h='0' previd='${id}'/>`);
  await back.hears("<fin");
  isWhole(back.conn.written);
});

test("a session that ends in the middle of a page gets nothing more, and nobody waits for it", async () => {
  const juliet = await StubClient.logIn(stub.node, "juliet@localhost/gone");
  readsNothing(juliet.conn);
  juliet.sends(query("ended"));
  await turns(500);
  const { written } = juliet.conn;
  expect(written).toContain("#1;");
  expect(written).not.toContain("<fin");
  juliet.conn.owner!.closedConn();
  await juliet.stream.worked();
  expect(juliet.conn.written).toBe(written);
  expect(juliet.stream.closed).toBe(true);
});
