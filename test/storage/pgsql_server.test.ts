// A whole server whose accounts, rosters, messages and domains are in PostgreSQL; and what it does without it.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { renderMetrics } from "../../core/node-metrics.ts";
import type { Db } from "../../core/storage/db.ts";
import { openPgsql } from "../../core/storage/pgsql.ts";
import { Graphql } from "../support/graphql.ts";
import { show } from "../support/match.ts";
import { StoryServer } from "../support/story-server.ts";
import { pgsqlOptions } from "./db_each.ts";
import { ServerRelay } from "./server_relay.ts";
import { answerTo, eventually, isMissedByNobody, keepsAllOf, keptIn, survives, usersOf } from "./server_suite.ts";

describe.skipIf(process.env["TEST_PGSQL"] === undefined)("a server on PostgreSQL", () => {
  const database = `server_${crypto.randomUUID().replaceAll("-", "")}`;
  let maintenance: Db;
  let db: Db;
  let relay: ServerRelay;
  let server: StoryServer;
  const users = usersOf(() => server);

  const configured = (name = database) => {
    const { username, password = "" } = pgsqlOptions();
    const connection = { driver: "pgsql", host: "127.0.0.1", port: relay.port, database: name, username, password };
    return { ...keptIn(connection), general: { host_types: ["dynamic"] } };
  };
  const restart = (patienceMs = 500): Promise<void> => server.restarts(configured(), patienceMs);
  beforeAll(async () => {
    maintenance = await openPgsql(pgsqlOptions());
    await maintenance.execute(`CREATE DATABASE ${database}`);
    const { host, port } = pgsqlOptions();
    relay = await new ServerRelay({ host, port: port ?? 5432 }).start();
    server = await StoryServer.start(configured());
    db = await openPgsql(pgsqlOptions(database));
  });
  afterAll(async () => {
    await server.close();
    await db.close();
    await relay.stop();
    await maintenance.execute(`DROP DATABASE ${database} WITH (FORCE)`);
    await maintenance.close();
  });
  const admin = () => new Graphql(server, { assertions: 0 }).admin;

  test("keeps accounts, rosters, vCards, private elements and last activity there", () =>
    keepsAllOf("juliet", users, db));

  test("delivers what was stored before a restart", async () => {
    await users.account("sender");
    await users.account("sleeper");
    const sender = await users.online("sender");
    sender.sends`<message to="sleeper@localhost" type="chat" id="m"><body>Zażółć</body></message>`;
    await sender.settled();
    expect(await db.query("SELECT from_jid FROM offline_message WHERE username = 'sleeper'")).toEqual([
      { from_jid: sender.full },
    ]);
    await restart();
    const sleeper = await users.logIn("sleeper");
    sleeper.sends`<presence/>`;
    expect(show(await answerTo(sleeper, "m"))).toContain("Zażółć");
    await sleeper.settled();
    await eventually(async () => expect(await db.query("SELECT id FROM offline_message")).toEqual([]));
  });

  test("serves a domain that an operation adds, also after a restart, until one removes it", async () => {
    const domain = "new.example";
    (await admin().calls("domain.addDomain", { domain, hostType: "dynamic" })).includes({ domain, status: null });
    await users.account("romeo", domain);
    await users.online("romeo", domain);
    await restart();
    const romeo = await users.online("romeo", domain);
    const removed = await admin().calls("domain.removeDomain", { domain, hostType: "dynamic" });
    removed.includes({ status: "DELETED" });
    await romeo.receivesStreamError("host-gone");
    expect(await db.query("SELECT username FROM users WHERE server = 'new.example'")).toEqual([]);
    expect(await db.query("SELECT domain FROM domain_settings")).toEqual([]);
  });

  test.each([
    { name: "stopped", fail: () => relay.stop(), mend: async () => void (await relay.start()), doneLater: "never" },
    { name: "frozen", fail: async () => relay.freeze(), mend: async () => relay.thaw(), doneLater: "perhaps" },
  ] as const)(
    "while PostgreSQL is $name clients are told what cannot be done, and service resumes",
    (outage) => survives(outage, users),
    60_000,
  );

  test("a restart of PostgreSQL is missed by nobody", () =>
    isMissedByNobody(
      { name: "restarted", fail: () => relay.stop(), mend: async () => void (await relay.start()) },
      users,
    ));

  test("does not start without its database, and says so in one line", async () => {
    await relay.stop();
    await expect(restart()).rejects.toThrow(/^Cannot reach PostgreSQL at "127\.0\.0\.1:\d+": .+$/);
    expect(server.logged.filter(({ what }) => what === "database_not_reached").length).toBeGreaterThan(0);
    await relay.start();
    await restart();
    expect((await users.online("juliet")).full).toContain("juliet@localhost/");
  });

  test("starts when its database comes a little later", async () => {
    await relay.stop();
    const starting = restart(10_000);
    await Bun.sleep(400);
    await relay.start();
    await starting;
    expect((await users.online("juliet")).full).toContain("juliet@localhost/");
  });

  test("does not wait for a database that lets it not in", async () => {
    const started = performance.now();
    await expect(server.restarts(configured("nobody_made_it"))).rejects.toThrow(
      /database "nobody_made_it" does not exist/,
    );
    expect(performance.now() - started).toBeLessThan(3000);
    await restart();
  });

  test("says once when the database goes and once when it is back, and refuses at once between", async () => {
    const juliet = await users.online("juliet");
    const before = server.logged.length;
    const said = (what: string) => server.logged.slice(before).filter((line) => line.what === what);
    await relay.stop();
    const asks = async (id: string): Promise<number> => {
      const begun = performance.now();
      juliet.sends`<iq type="get" id="${id}"><query xmlns="jabber:iq:private"><x xmlns="urn:x"/></query></iq>`;
      expect((await answerTo(juliet, id)).attrs["type"]).toBe("error");
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
    juliet.sends`<iq type="get" id="back"><query xmlns="jabber:iq:private"><x xmlns="urn:x"/></query></iq>`;
    expect((await answerTo(juliet, "back")).attrs["type"]).toBe("result");
    expect(renderMetrics(server.node)).toContain('storage_up{database="rdbms"} 1');
  });
});
