// The removal of an account is finished, whatever comes between: an end of the process, a database that is away.
import { afterAll, beforeAll, expect, test } from "vitest";
import { makeBare } from "../../core/jid.ts";
import { holdNext } from "../support/held-call.ts";
import { STORIES_AUTH } from "../support/story-database.ts";
import { StoryServer } from "../support/story-server.ts";

let server: StoryServer;
beforeAll(async () => {
  server = await StoryServer.start();
});
afterAll(() => server.close());

const host = () => server.node.hostOf("localhost")!;
const marks = () => server.node.pools.embedded;
const kept = (table: string, column: string, local: string) =>
  (table === "mongooseim_removals" ? marks() : server.db).query(`SELECT 1 FROM ${table} WHERE ${column} = ?`, [local]);

/** An account with something in a table of a feature. */
async function account(local: string) {
  const jid = makeBare(local, "localhost");
  expect(await host().auth.create(local, "localhost", "secret")).toBe("ok");
  await server.db.upsert("last", { server: "localhost", username: local }, { seconds: 1, state: "" });
  return jid;
}

async function until(holds: () => Promise<boolean>): Promise<void> {
  for (const end = Date.now() + 5000; !(await holds()); await Bun.sleep(20)) expect(Date.now()).toBeLessThan(end);
}

test("a removal that the process did not live to finish goes on at the next start", async () => {
  const jid = await account("romeo");
  host().hooks.add("stuck", { remove_user: { at: 1, run: () => new Promise<void>(() => {}) } }, {});
  void server.node.removeUser(jid);
  await until(async () => !(await host().auth.exists("romeo", "localhost", { storedOnly: true })));
  expect(await kept("mongooseim_removals", "username", "romeo")).toHaveLength(1);
  expect(await kept("last", "username", "romeo")).toHaveLength(1);
  expect(await host().auth.create("romeo", "localhost", "another's")).toBe("exists");
  await server.restarts({});
  await until(async () => (await kept("mongooseim_removals", "username", "romeo")).length === 0);
  expect(await kept("last", "username", "romeo")).toEqual([]);
  expect(await host().auth.create("romeo", "localhost", "another's")).toBe("ok");
});

test("a feature that cannot remove its data is asked again, and the name is not free meanwhile", async () => {
  const jid = await account("juliet");
  let away = true;
  const run = (): void => {
    if (away) throw new Error("the database is away");
  };
  host().hooks.add("away", { remove_user: { at: 1, run } }, {});
  expect(await server.node.removeUser(jid)).toBe(true);
  expect(server.logged.some(({ what, user }) => what === "user_data_not_removed" && user === jid.text)).toBe(true);
  expect(await host().auth.create("juliet", "localhost", "another's")).toBe("exists");
  expect(await kept("mongooseim_removals", "username", "juliet")).toHaveLength(1);
  away = false;
  await server.restarts({});
  await until(async () => (await kept("mongooseim_removals", "username", "juliet")).length === 0);
  expect(await host().auth.create("juliet", "localhost", "another's")).toBe("ok");
});

test("a removal that was begun and did not take the account is forgotten at the next start", async () => {
  await account("paris");
  await marks().upsert("mongooseim_removals", { server: "localhost", username: "paris" }, { began_at: 1 });
  await server.restarts({});
  await until(async () => (await kept("mongooseim_removals", "username", "paris")).length === 0);
  expect(await host().auth.checkPassword("paris", "localhost", "secret")).toBe(true);
  expect(await kept("last", "username", "paris")).toHaveLength(1);
});

test("what takes longer than a removal waits for leaves nothing: the name is not free before", async () => {
  const jid = await account("rosaline");
  const gate = Promise.withResolvers<void>();
  const late = gate.promise.then(() =>
    server.db.upsert("last", { server: "localhost", username: "rosaline" }, { seconds: 2, state: "" }),
  );
  void server.node.underWay.add(late);
  expect(await server.node.removeUser(jid)).toBe(true);
  expect(await kept("last", "username", "rosaline")).toEqual([]);
  expect(await host().auth.create("rosaline", "localhost", "another's")).toBe("exists");
  expect(await kept("mongooseim_removals", "username", "rosaline")).toHaveLength(1);
  gate.resolve();
  await late;
  await until(async () => (await host().auth.create("rosaline", "localhost", "another's")) === "ok");
  expect(await kept("last", "username", "rosaline")).toEqual([]);
  expect(await kept("mongooseim_removals", "username", "rosaline")).toEqual([]);
});

test("who asks once more while a removal goes on does not take its mark away", async () => {
  const jid = await account("mercutio");
  host().hooks.add("slow", { remove_user: { at: 1, run: () => new Promise<void>(() => {}) } }, {});
  void server.node.removeUser(jid);
  await until(async () => !(await host().auth.exists("mercutio", "localhost", { storedOnly: true })));
  expect(await server.node.removeUser(jid)).toBe(false);
  expect(await kept("mongooseim_removals", "username", "mercutio")).toHaveLength(1);
  await server.restarts({});
  await until(async () => (await kept("mongooseim_removals", "username", "mercutio")).length === 0);
  expect(await kept("last", "username", "mercutio")).toEqual([]);
});

test("of two who ask at once, whichever removes the account, nothing is left after a kill", async () => {
  const jid = await account("benvolio");
  host().hooks.add("slow", { remove_user: { at: 1, run: () => new Promise<void>(() => {}) } }, {});
  const answers = [server.node.removeUser(jid), server.node.removeUser(jid)];
  await until(async () => !(await host().auth.exists("benvolio", "localhost", { storedOnly: true })));
  await Promise.race([Promise.all(answers), Bun.sleep(300)]);
  expect(await kept("mongooseim_removals", "username", "benvolio")).toHaveLength(1);
  await server.restarts({});
  await until(async () => (await kept("mongooseim_removals", "username", "benvolio")).length === 0);
  expect(await kept("last", "username", "benvolio")).toEqual([]);
});

test("a removal that goes on after the features have stopped leaves the rest to the next start", async () => {
  const jid = await account("tybalt");
  const held = holdNext(server.db, "execute");
  const removing = server.node.removeUser(jid);
  await held.come;
  await server.node.stop();
  held.go();
  await removing.catch(() => undefined);
  expect(await kept("mongooseim_removals", "username", "tybalt")).toHaveLength(1);
  await server.restarts({});
  await until(async () => (await kept("mongooseim_removals", "username", "tybalt")).length === 0);
  expect(await kept("last", "username", "tybalt")).toEqual([]);
}, 20_000);

test("a removal goes on at the next start where another method says that everybody is there", async () => {
  const jid = await account("capulet");
  host().hooks.add("stuck", { remove_user: { at: 1, run: () => new Promise<void>(() => {}) } }, {});
  void server.node.removeUser(jid);
  await until(async () => !(await host().auth.exists("capulet", "localhost", { storedOnly: true })));
  await server.restarts({ auth: { methods: [STORIES_AUTH, "pki"], pki: {} } });
  await until(async () => (await kept("mongooseim_removals", "username", "capulet")).length === 0);
  expect(await kept("last", "username", "capulet")).toEqual([]);
}, 20_000);
