// What a feature keeps that was taken out of the configuration goes with its user and his domain, and is exported: the
// feature may come back, and somebody else may have the name by then.
import { afterAll, beforeAll, expect, test } from "vitest";
import { type BareJid, makeBare } from "../../core/jid.ts";
import type { PersonalStore } from "../../core/module.ts";
import type { Db } from "../../core/storage/db.ts";
import { MODULES } from "../../modules/index.ts";
import { FILL } from "../storage/fill.ts";
import { Graphql } from "../support/graphql.ts";
import { retrieved } from "../support/personal.ts";
import { StoryServer } from "../support/story-server.ts";

/** What keeps the data of features that nobody runs: all but these. */
const RUNNING = ["mod_cache_users", "mod_presence", "mod_disco"];
const keeping = MODULES.filter(({ store }) => store !== undefined);

let server: StoryServer;
beforeAll(async () => {
  const none = Object.fromEntries(keeping.map(({ name }) => [name, null]));
  server = await StoryServer.start({ general: { host_types: ["dynamic"] }, modules: none });
});
afterAll(() => server.close());

const dbs = (): Set<Db> => new Set([server.node.pools.embedded, server.db]);

/** Somebody of whom each feature keeps something, in each database. */
async function filled(local: string, domain: string): Promise<BareJid> {
  const jid = makeBare(local, domain);
  await server.addAccount(local, domain, "secret");
  for (const db of dbs()) {
    for (const { name, store } of keeping) await FILL[name](store?.(db) as PersonalStore, jid, db);
  }
  return jid;
}

/** Features that keep something of somebody. */
async function keepersOf(jid: BareJid): Promise<string[]> {
  const found: string[] = [];
  for (const db of dbs()) {
    for (const { name, store } of keeping) {
      const tables = await (store?.(db) as PersonalStore | undefined)?.personalData(jid);
      for (const { rows, more } of tables ?? []) {
        const pages = [rows];
        for await (const page of more ?? []) pages.push(page);
        if (pages.some((page) => page.length > 0)) found.push(name);
      }
    }
  }
  return [...new Set(found)];
}

test("nobody keeps anything, in this configuration", () => {
  expect([...server.node.hostOf("localhost")!.modules.keys()]).toEqual(expect.arrayContaining(RUNNING));
  expect([...server.node.hostOf("localhost")!.stores.keys()]).toEqual([]);
});

test("a user's data are exported", async () => {
  const jid = await filled("exported", "localhost");
  const files = Object.keys(await retrieved(new Graphql(server, { assertions: 0 }).ctl, jid));
  expect(files).toEqual(
    expect.arrayContaining(["account", "roster", "vcard", "mam_pm", "inbox", "offline", "private"]),
  );
});

test("a user's data go with him, and no others", async () => {
  const [gone, other] = [await filled("gone", "localhost"), await filled("other", "localhost")];
  const before = await keepersOf(other);
  expect(before.length).toBeGreaterThan(15);
  expect(await server.node.removeUser(gone)).toBe(true);
  expect(await keepersOf(gone)).toEqual([]);
  expect(await keepersOf(other)).toEqual(before);
});

test("a domain's data go with it", async () => {
  await server.node.domains.add("gone.example", "dynamic");
  const jid = await filled("somebody", "gone.example");
  await server.node.domains.remove("gone.example", "dynamic", true);
  expect(await keepersOf(jid)).toEqual([]);
});
