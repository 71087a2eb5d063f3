// mod_blocklist: who is kept out, and when.
import { beforeEach, expect, test } from "vitest";
import { parseFullJid } from "../../../core/jid.ts";
import modBlocklist from "../../../modules/mod_blocklist/index.ts";
import { BlocklistStore } from "../../../modules/mod_blocklist/store.ts";
import { FakeServer } from "../../support/fake-server.ts";

const ROMEO = parseFullJid("romeo@localhost/orchard");
let server: FakeServer;
let store: BlocklistStore;
const allowed = (jid = ROMEO, before = true) =>
  server.host.hooks.fold("session_opening_allowed_for_user", before, { jid });

beforeEach(async () => {
  server = new FakeServer({ users: ["romeo", "juliet"] });
  store = (await server.startModule(modBlocklist)).store as BlocklistStore;
});

test("a session is refused to who is blocked, and to nobody else", async () => {
  expect(await allowed()).toBe(true);
  await store.block(ROMEO.bare, undefined);
  expect(await allowed()).toBe(false);
  expect(await allowed(parseFullJid("juliet@localhost/balcony"))).toBe(true);
  expect(server.metric("mod_blocklist", "mod_blocklist_denied_count")).toBe(1);
  await store.unblock(ROMEO.bare);
  expect(await allowed()).toBe(true);
});

test("what another feature has refused stays refused", async () => {
  expect(await allowed(ROMEO, false)).toBe(false);
});

test("a session that was allowed before the user was blocked, and begins after, is ended", async () => {
  await store.block(ROMEO.bare, "late");
  const late = server.connect(ROMEO.text);
  await server.settle();
  expect(late.closed).toMatchObject({ error: { condition: "conflict" }, reason: "kicked" });
});

test("one whom another server has let go is not ended", async () => {
  await store.block(ROMEO.bare, "early");
  await new BlocklistStore(server.db).unblock(ROMEO.bare);
  const romeo = server.connect(ROMEO.text);
  await server.settle();
  expect(romeo.closed).toBeUndefined();
});

test("nobody comes in while it cannot be told who is blocked", async () => {
  server.db.failing = true;
  await expect(allowed()).rejects.toThrow("internal-server-error");
});
