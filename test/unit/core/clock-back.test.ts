// The machine's clock is set back while the server runs, between two runs, and after a kill: ids go on in order, so that
// the archive keeps the order in which messages came, and nothing that waits for a time waits for the clock to catch up.

import { afterEach, expect, test } from "vitest";
import { parseBareJid, parseFullJid } from "../../../core/jid.ts";
import { createOperationNode } from "../../../core/node-operations.ts";
import { viewText } from "../../../core/xml/framer.ts";
import modMam from "../../../modules/mod_mam/index.ts";
import { PreferenceStore } from "../../../modules/mod_mam/prefs/index.ts";
import modOffline from "../../../modules/mod_offline/index.ts";
import type { MemoryDb } from "../../support/memory-db.ts";
import { type StubNode, stubNode } from "../../support/stub-node.ts";

const HOUR = 3_600_000;
const ALICE = parseFullJid("alice@localhost/phone");
const BOB = parseBareJid("bob@localhost");

/** What the machine says the time is, and a clock that nobody sets. */
interface Clock {
  time: number;
  steady: number;
}

const stubs = new Set<StubNode>();
afterEach(async () => {
  for (const stub of stubs) await stub.node.stop();
  stubs.clear();
});

async function start(clock: Clock, db?: MemoryDb): Promise<StubNode> {
  const stub = await stubNode({
    modules: [modMam, modOffline],
    more: "[modules.mod_mam]\nuser_prefs_store = 'rdbms'\n[modules.mod_mam.pm]\n",
    users: db === undefined ? ["alice", "bob"] : [],
    now: () => clock.time,
    steady: () => clock.steady,
    db,
  });
  stubs.add(stub);
  return stub;
}

async function send({ node }: StubNode, body: string): Promise<void> {
  const stanza = viewText(`<message to='bob@localhost' type='chat'><body>${body}</body></message>`);
  stanza.from = ALICE;
  stanza.to = BOB;
  await createOperationNode(node, { commit: "", stop() {}, restart() {} }).stanzas.send(stanza);
}

/** Bodies in an archive, in the order of their ids. */
async function archive({ db }: StubNode, user: string): Promise<string[]> {
  const rows = await db.query<{ message: string | Uint8Array }>(
    `SELECT message FROM mam_message m JOIN mam_server_user u ON u.id = m.user_id WHERE user_name = ? ORDER BY m.id`,
    [user],
  );
  return rows.map((row) => /<body>(.*)<\/body>/.exec(Buffer.from(row.message).toString())?.[1] ?? "");
}

test("archives keep their order over a clock that is set back, a restart and a kill", async () => {
  const clock = { time: Date.parse("2026-11-26T12:00:00Z"), steady: 0 };
  const first = await start(clock);
  await send(first, "1");
  clock.time -= HOUR;
  await send(first, "2");
  clock.time += 5;
  await send(first, "3");
  await first.node.stop();
  stubs.delete(first);
  // An orderly restart, earlier still.
  clock.time -= HOUR;
  const second = await start(clock, first.db);
  await send(second, "4");
  await send(second, "5");
  // A kill: nothing is closed. (Its timers are stopped at the end of the test.)
  clock.time -= HOUR;
  const third = await start(clock, first.db);
  await send(third, "6");
  const all = ["1", "2", "3", "4", "5", "6"];
  expect(await archive(third, "alice")).toEqual(all);
  expect(await archive(third, "bob")).toEqual(all);
  expect(third.log.lines.join("\n")).toContain("clock_behind_message_ids");
  const ids = Array.from({ length: 1000 }, () => third.node.messageId());
  expect(ids).toEqual([...new Set(ids)].sort((a, b) => (a < b ? -1 : 1)));
});

test("what waits for a time waits so long, wherever the clock is set", async () => {
  const clock = { time: Date.parse("2026-11-26T12:00:00Z"), steady: 0 };
  const { node } = await start(clock);
  let ran = 0;
  node.after(1000, () => {
    ran++;
  });
  const pass = (ms: number): void => {
    clock.time += ms;
    clock.steady += ms;
    node.wheel.turn();
  };
  clock.time -= HOUR;
  pass(500);
  clock.time += 25 * HOUR;
  pass(400);
  expect(ran).toBe(0);
  pass(350);
  expect(ran).toBe(1);
  expect(Math.round(node.steady() - node.startedAt)).toBe(1250);
});

test("what another server has said of archiving counts after a minute, wherever the clock is set", async () => {
  const clock = { time: Date.parse("2026-11-26T12:00:00Z"), steady: 0 };
  const stub = await start(clock);
  await send(stub, "kept");
  await new PreferenceStore(stub.db).save(BOB, { default: "N", jids: new Map() });
  clock.time -= HOUR;
  clock.steady += 61_000;
  await send(stub, "not kept");
  expect(await archive(stub, "bob")).toEqual(["kept"]);
});

test("the times of what has a place in an order grow over a clock that is set back and a restart", async () => {
  const clock = { time: Date.parse("2026-11-26T12:00:00Z"), steady: 0 };
  const first = await start(clock);
  const before = [first.node.tick(), first.node.tick()];
  clock.time -= HOUR;
  before.push(first.node.tick());
  await first.node.stop();
  stubs.delete(first);
  clock.time -= HOUR;
  const second = await start(clock, first.db);
  const all = [...before, second.node.tick(), second.node.tick()];
  expect(all).toEqual([...new Set(all)].sort((a, b) => a - b));
});
