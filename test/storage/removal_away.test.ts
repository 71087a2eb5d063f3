// PostgreSQL is killed, or takes no writes, in the middle of a removal or an export: what was begun comes to its end when it
// is back, and an export is whole or is not there.
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SQL } from "bun";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type BareJid, makeBare } from "../../core/jid.ts";
import type { PersonalStore } from "../../core/module.ts";
import { MODULES } from "../../modules/index.ts";
import { Graphql } from "../support/graphql.ts";
import { OwnPostgres, postgresBin } from "../support/own_postgres.ts";
import { readExport, whole } from "../support/personal.ts";
import { StoryServer } from "../support/story-server.ts";
import { FILL } from "./fill.ts";

/** Longer than what failed waits for its next try. */
const PATIENCE = 30_000;

const keeping = MODULES.filter(({ store }) => store !== undefined);

describe.skipIf(postgresBin() === undefined)("PostgreSQL is away", () => {
  let postgres: OwnPostgres;
  let server: StoryServer;
  let dir: string;
  let made = 0;

  beforeAll(async () => {
    dir = mkdtempSync(join(tmpdir(), "removal-away-"));
    postgres = await OwnPostgres.create();
    const at = { host: "127.0.0.1", port: postgres.port, username: "mongooseim", password: "mongooseim" };
    const connection = { driver: "pgsql", database: "postgres", ...at };
    server = await StoryServer.start({
      general: { host_types: ["dynamic"] },
      outgoing_pools: { rdbms: { default: { workers: 4, connection } } },
      auth: { methods: ["rdbms"], password: { format: "plain" }, internal: null, rdbms: {} },
      modules: { mod_mam: { pm: {} }, mod_inbox: { backend: "rdbms" }, mod_private: { backend: "rdbms" } },
    });
  }, 60_000);
  afterAll(async () => {
    await server.close();
    await postgres.remove();
    rmSync(dir, { recursive: true });
  });

  /** Somebody of whom each feature keeps something. */
  async function filled(domain: string): Promise<BareJid> {
    const jid = makeBare(`user${++made}`, domain);
    await server.addAccount(jid.local, domain, "secret");
    for (const { name, store } of keeping) await FILL[name](store?.(server.db) as PersonalStore, jid, server.db);
    return jid;
  }

  /** Features that keep something of somebody. */
  async function keepersOf(jid: BareJid): Promise<string[]> {
    const found: string[] = [];
    for (const { name, store } of keeping) {
      const tables = await whole((await (store?.(server.db) as PersonalStore | undefined)?.personalData(jid)) ?? []);
      if (tables.some(({ rows }) => rows.length > 0)) found.push(name);
    }
    return found;
  }

  const exists = ({ local, domain }: BareJid): Promise<boolean> =>
    server.node.hostOf("localhost")!.auth.exists(local, domain, { storedOnly: true });

  async function until(holds: () => Promise<boolean>): Promise<void> {
    const end = Date.now() + PATIENCE;
    while (!(await holds().catch(() => false))) {
      expect(Date.now()).toBeLessThan(end);
      await Bun.sleep(50);
    }
  }

  async function readOnly(on: boolean): Promise<void> {
    const sql = new SQL(postgres.url());
    await sql.unsafe(`ALTER SYSTEM SET default_transaction_read_only = ${on ? "on" : "off"}`);
    await sql.unsafe("SELECT pg_reload_conf()");
    await sql.close();
    await Bun.sleep(100);
  }

  const FAULTS: Readonly<Record<string, { begin(): Promise<void>; end(): Promise<void> }>> = {
    killed: { begin: () => postgres.kill(), end: () => postgres.start() },
    "read-only": { begin: () => readOnly(true), end: () => readOnly(false) },
  };

  /** Begins something, and has the fault a moment later, for a second. Resolves when both are over. */
  async function during<T>(fault: string, begin: () => Promise<T>): Promise<T | Error> {
    const done = begin().catch((error: Error) => error);
    await Bun.sleep(5);
    await FAULTS[fault].begin();
    await Bun.sleep(1000);
    await FAULTS[fault].end();
    const result = await done;
    await until(async () => (await server.db.query("SELECT 1 AS one")).length === 1);
    return result;
  }

  test.each(Object.keys(FAULTS))(
    "the removal of an account comes to its end (%s)",
    async (fault) => {
      const jid = await filled("localhost");
      const before = await keepersOf(jid);
      expect(before.length).toBeGreaterThan(15);
      const said = await during(fault, () => server.node.removeUser(jid));
      const marks = () => server.node.pools.embedded.query("SELECT 1 AS one FROM mongooseim_removals");
      await until(async () => (await marks()).length === 0);
      // Of a removal whose account could not be taken nothing is gone.
      const there = await exists(jid);
      expect(await keepersOf(jid)).toEqual(there ? before : []);
      if (said === true) expect(there).toBe(false);
    },
    PATIENCE * 2,
  );

  test.each(Object.keys(FAULTS))(
    "the removal of a domain comes to its end (%s)",
    async (fault) => {
      const domain = `gone${++made}.example`;
      const { domains } = server.node;
      await domains.add(domain, "dynamic");
      const jid = await filled(domain);
      await during(fault, () => domains.remove(domain, "dynamic", true));
      await domains.refresh();
      if ((await domains.details(domain))?.status === "ENABLED") await domains.remove(domain, "dynamic", true);
      await until(async () => (await domains.details(domain)) === undefined);
      expect(await keepersOf(jid)).toEqual([]);
    },
    PATIENCE * 2,
  );

  test.each(Object.keys(FAULTS))(
    "an export is whole, or there is none (%s)",
    async (fault) => {
      const { local, domain } = await filled("localhost");
      const file = join(dir, `${local}.zip`);
      const args = { username: local, domain, resultFilepath: file };
      const { ctl } = new Graphql(server, { assertions: 0 });
      const answer = await during(fault, () => ctl.calls("gdpr.retrievePersonalData", args));
      if (answer instanceof Error) throw answer;
      if (answer.body.errors !== undefined) expect(existsSync(file)).toBe(false);
      else expect(Object.keys(readExport(file)).length).toBeGreaterThan(15);
    },
    PATIENCE * 2,
  );
});
