// A whole server whose accounts, rosters, messages and domains are in PostgreSQL; and what it does without it.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { stringify } from "smol-toml";
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import { moduleSchemas, type RunningServer, startServer } from "../../cmd/server.ts";
import { formatProblem, parseConfig } from "../../core/config/index.ts";
import { Log, MemorySink } from "../../core/log/index.ts";
import { renderMetrics } from "../../core/node-metrics.ts";
import type { Db } from "../../core/storage/db.ts";
import { openPgsql } from "../../core/storage/pgsql.ts";
import { Client } from "../support/client.ts";
import { show, type XElement } from "../support/match.ts";
import { pgsqlOptions } from "./db_each.ts";
import { PgsqlRelay } from "./pgsql_relay.ts";

/** Longest time until a request is given up: the query's and the connection's time-out, and some. */
const GIVEN_UP_MS = 9000;

describe.skipIf(process.env["TEST_PGSQL"] === undefined)("a server on PostgreSQL", () => {
  const made = `server_${crypto.randomUUID().replaceAll("-", "")}`;
  let database = made;
  const stateDir = mkdtempSync(join(tmpdir(), "pgsql-server-"));
  const clients: Client[] = [];
  let maintenance: Db;
  let db: Db;
  let relay: PgsqlRelay;
  let server: RunningServer;
  let sink: MemorySink;

  beforeAll(async () => {
    maintenance = await openPgsql(pgsqlOptions());
    await maintenance.execute(`CREATE DATABASE ${database}`);
    const { host, port } = pgsqlOptions();
    relay = await new PgsqlRelay({ host, port: port ?? 5432 }).start();
    server = await start();
    db = await openPgsql(pgsqlOptions(database));
  });
  afterEach(() => {
    for (const client of clients.splice(0)) client.wire.cut();
  });
  afterAll(async () => {
    await server.close();
    await db.close();
    await relay.stop();
    await maintenance.execute(`DROP DATABASE ${database} WITH (FORCE)`);
    await maintenance.close();
    rmSync(stateDir, { recursive: true });
  });

  function start(databasePatienceMs = 500): Promise<RunningServer> {
    const { username, password = "" } = pgsqlOptions();
    const connection = {
      driver: "pgsql",
      host: "127.0.0.1",
      port: relay.port,
      database,
      username,
      password,
      query_timeout: 1000,
    };
    const kept = { backend: "rdbms" };
    const listen = { port: 0, ip_address: "127.0.0.1" };
    const graphql = {
      host: "_",
      path: "/api/graphql",
      schema_endpoint: "admin",
      username: "admin",
      password: "secret",
    };
    const text = stringify({
      general: { hosts: ["localhost"], host_types: ["dynamic"], default_server_domain: "localhost" },
      listen: { c2s: [listen], http: [{ ...listen, handlers: { mongoose_graphql_handler: [graphql] } }] },
      outgoing_pools: { rdbms: { default: { workers: 3, connection } } },
      auth: { methods: ["rdbms"], password: { format: "plain" }, rdbms: {} },
      services: { service_domain_db: {} },
      modules: {
        mod_roster: kept,
        mod_offline: kept,
        mod_last: kept,
        mod_private: kept,
        mod_vcard: kept,
        mod_presence: {},
        mod_disco: {},
        mod_ping: {},
      },
    });
    const { config, problems } = parseConfig(text, { file: "pgsql.toml", modules: moduleSchemas() });
    if (!config) throw new Error(problems.map(formatProblem).join("\n"));
    sink = new MemorySink();
    return startServer(config, { stateDir, databasePatienceMs }, new Log({ sink, level: "info", format: "json" }));
  }

  async function restart(): Promise<void> {
    await server.close();
    server = await start();
  }

  const target = () => ({ door: "tcp" as const, port: server.listeners.tcp[0].port });
  async function account(local: string, domain = "localhost"): Promise<void> {
    expect(await server.node.hostOf(domain)?.auth.create(local, domain, "secret")).toBe("ok");
  }
  function client(local: string, domain = "localhost"): Client {
    const made = new Client({ local, domain, password: "secret" }, { assertions: 0 });
    clients.push(made);
    return made;
  }
  const online = async (local: string, domain = "localhost"): Promise<Client> =>
    (await client(local, domain).logsIn(target())).comesOnline();

  async function graphql(query: string): Promise<{ data?: Record<string, Record<string, unknown>>; errors?: unknown }> {
    const response = await fetch(`http://127.0.0.1:${server.listeners.http[0].port}/api/graphql`, {
      method: "POST",
      headers: { "content-type": "application/json", authorization: `Basic ${btoa("admin:secret")}` },
      body: JSON.stringify({ query }),
    });
    return (await response.json()) as { data?: Record<string, Record<string, unknown>> };
  }

  const answerTo = (who: Client, id: string, timeout = GIVEN_UP_MS): Promise<XElement> =>
    vi.waitFor(
      () => {
        const found = who.waiting.find((e) => e.attrs["id"] === id);
        if (!found) throw new Error(`no answer to ${id}`);
        return found;
      },
      { timeout, interval: 20 },
    );
  /** Tries until it works: what "service resumes by itself" means. */
  const eventually = <T>(attempt: () => Promise<T>): Promise<T> =>
    vi.waitFor(attempt, { timeout: 15_000, interval: 100 });

  test("keeps accounts there, and lets them log in", async () => {
    await account("romeo");
    expect(await db.query("SELECT username, password FROM users WHERE username = 'romeo'")).toEqual([
      { username: "romeo", password: "secret" },
    ]);
    expect((await online("romeo")).full).toContain("romeo@localhost/");
  });

  test("keeps rosters, vCards, private elements and last activity there", async () => {
    await account("juliet");
    const juliet = await online("juliet");
    juliet.sends`<iq type="set" id="r"><query xmlns="jabber:iq:roster"><item jid="nurse@localhost" name="Nürse"/></query></iq>`;
    juliet.sends`<iq type="set" id="v"><vCard xmlns="vcard-temp"><FN>Juliet</FN></vCard></iq>`;
    juliet.sends`<iq type="set" id="p"><query xmlns="jabber:iq:private"><x xmlns="urn:x">ż</x></query></iq>`;
    for (const id of ["r", "v", "p"]) expect((await answerTo(juliet, id)).attrs["type"]).toBe("result");
    juliet.sends`<presence type="unavailable"><status>bye</status></presence>`;
    await juliet.leaves();
    const of = "WHERE server = 'localhost' AND username = 'juliet'";
    expect(await db.query(`SELECT jid, nick FROM rosterusers ${of}`)).toEqual([
      { jid: "nurse@localhost", nick: "Nürse" },
    ]);
    expect(await db.query(`SELECT vcard FROM vcard ${of}`)).toHaveLength(1);
    expect(await db.query(`SELECT namespace FROM private_storage ${of}`)).toEqual([{ namespace: "urn:x" }]);
    await eventually(async () => expect(await db.query(`SELECT state FROM last ${of}`)).toEqual([{ state: "bye" }]));
  });

  test("delivers what was stored before a restart", async () => {
    await account("sender");
    await account("sleeper");
    const sender = await online("sender");
    sender.sends`<message to="sleeper@localhost" type="chat" id="m"><body>Zażółć</body></message>`;
    await sender.settled();
    expect(await db.query("SELECT from_jid FROM offline_message WHERE username = 'sleeper'")).toEqual([
      { from_jid: sender.full },
    ]);
    await restart();
    const sleeper = await client("sleeper").logsIn(target());
    sleeper.sends`<presence/>`;
    expect(show(await answerTo(sleeper, "m"))).toContain("Zażółć");
    await sleeper.settled();
    await eventually(async () => expect(await db.query("SELECT id FROM offline_message")).toEqual([]));
  });

  test("serves a domain that an operation adds, also after a restart, until one removes it", async () => {
    const add = 'mutation { domain { addDomain(domain: "new.example", hostType: "dynamic") { domain status } } }';
    expect(await graphql(add)).toEqual({
      data: { domain: { addDomain: { domain: "new.example", status: null } } },
    });
    await account("romeo", "new.example");
    await online("romeo", "new.example");
    await restart();
    const romeo = await online("romeo", "new.example");
    const remove = 'mutation { domain { removeDomain(domain: "new.example", hostType: "dynamic") { status } } }';
    expect(await graphql(remove)).toEqual({ data: { domain: { removeDomain: { status: "DELETED" } } } });
    await romeo.receivesStreamError("host-gone");
    expect(await db.query("SELECT username FROM users WHERE server = 'new.example'")).toEqual([]);
    expect(await db.query("SELECT domain FROM domain_settings")).toEqual([]);
  });

  describe.each([
    ["is stopped", () => relay.stop(), () => relay.start(), "never"],
    // What was on its way when it froze may be done when it thaws, long after its sender was told an error.
    ["is frozen", async () => relay.freeze(), async () => relay.thaw(), "perhaps"],
  ])("while PostgreSQL %s", (title, fail, mend, deliveredLater) => {
    const [a, b, absent] = ["a", "b", "absent"].map((name) => `${name}-${title.replace(" ", "-")}`);
    beforeAll(async () => {
      for (const name of [a, b, absent]) await account(name);
    });

    test("clients are told what cannot be done, what needs no database goes on, and service resumes", {
      timeout: 60_000,
    }, async () => {
      const [one, two] = [await online(a), await online(b)];
      // The addressee's account is known before the failure.
      one.sends`<message to="${absent}@localhost" type="chat" id="before"><body>stored</body></message>`;
      await one.settled();
      await fail();
      try {
        const late = client(absent);
        await late.connects(target());
        await late.opens();
        const started = Date.now();
        late.sendsRaw(
          `<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>${btoa(`\0${absent}\0secret`)}</auth>`,
        );
        one.sends`<message to="${absent}@localhost" type="chat" id="lost"><body>not stored</body></message>`;
        two.sends`<iq type="get" id="vcard"><vCard xmlns="vcard-temp"/></iq>`;

        const failure = await vi.waitFor(
          () => {
            if (late.waiting.length === 0) throw new Error("no answer to the log-in");
            return late.waiting[0];
          },
          { timeout: GIVEN_UP_MS, interval: 20 },
        );
        expect(show(failure)).toContain("temporary-auth-failure");
        expect((await answerTo(one, "lost")).attrs["type"]).toBe("error");
        expect((await answerTo(two, "vcard")).attrs["type"]).toBe("error");
        expect(Date.now() - started).toBeLessThan(GIVEN_UP_MS);

        two.sends`<message to="${one.full}" type="chat" id="online"><body>still here</body></message>`;
        expect(show(await answerTo(one, "online"))).toContain("still here");
      } finally {
        await mend();
      }
      const back = await eventually(async () => client(absent).logsIn(target()));
      back.sends`<presence/>`;
      expect(show(await answerTo(back, "before"))).toContain("stored");
      await back.settled();
      if (deliveredLater === "never") expect(back.waiting.some((e) => e.attrs["id"] === "lost")).toBe(false);
      two.sends`<iq type="get" id="private"><query xmlns="jabber:iq:private"><x xmlns="urn:x"/></query></iq>`;
      expect((await answerTo(two, "private")).attrs["type"]).toBe("result");
    });
  });

  test("does not start without its database, and says so in one line", async () => {
    await server.close();
    await relay.stop();
    const refusal = await start().then(
      () => "it started",
      (error: Error) => error.message,
    );
    expect(refusal).toMatch(/^Cannot reach PostgreSQL at "127\.0\.0\.1:\d+": .+$/);
    const events = sink.lines.map((line) => JSON.parse(line).what);
    expect(events.filter((what) => what === "database_not_reached").length).toBeGreaterThan(0);
    await relay.start();
    server = await start();
    expect((await online("romeo")).full).toContain("romeo@localhost/");
  });

  test("starts when its database comes a little later", async () => {
    await server.close();
    await relay.stop();
    const starting = start(10_000);
    await Bun.sleep(400);
    await relay.start();
    server = await starting;
    expect((await online("romeo")).full).toContain("romeo@localhost/");
  });

  test("does not wait for a database that lets it not in", async () => {
    await server.close();
    const started = performance.now();
    database = "nobody_made_it";
    const refusal = await start(60_000).catch((error: Error) => error.message);
    expect(refusal).toMatch(/database "nobody_made_it" does not exist/);
    expect(performance.now() - started).toBeLessThan(3000);
    database = made;
    server = await start();
  });

  test("says once when the database goes and once when it is back, and refuses at once between", async () => {
    const romeo = await online("romeo");
    const said = (what: string) => sink.lines.map((line) => JSON.parse(line)).filter((line) => line.what === what);
    await relay.stop();
    const asks = async (id: string): Promise<number> => {
      const begun = performance.now();
      romeo.sends`<iq type="get" id="${id}"><query xmlns="jabber:iq:private"><x xmlns="urn:x"/></query></iq>`;
      expect((await answerTo(romeo, id)).attrs["type"]).toBe("error");
      return performance.now() - begun;
    };
    await asks("first");
    await eventually(async () => expect(said("database_lost")).toHaveLength(1));
    for (let i = 0; i < 20; i++) expect(await asks(`refused-${i}`)).toBeLessThan(500);
    const metrics = renderMetrics(server.node);
    expect(metrics).toContain('storage_up{database="rdbms"} 0');
    await relay.start();
    await eventually(async () => expect(said("database_back")).toHaveLength(1));
    expect(said("database_lost")).toMatchObject([{ pool: "default", host: "127.0.0.1", port: relay.port }]);
    romeo.sends`<iq type="get" id="back"><query xmlns="jabber:iq:private"><x xmlns="urn:x"/></query></iq>`;
    expect((await answerTo(romeo, "back")).attrs["type"]).toBe("result");
    expect(renderMetrics(server.node)).toContain('storage_up{database="rdbms"} 1');
  });
});
