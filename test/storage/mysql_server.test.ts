// A whole server whose accounts, rosters and messages are in MariaDB; and what it does when that is killed.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { stringify } from "smol-toml";
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import { moduleSchemas, type RunningServer, startServer } from "../../cmd/server.ts";
import { formatProblem, parseConfig } from "../../core/config/index.ts";
import { Log, MemorySink } from "../../core/log/index.ts";
import type { Db } from "../../core/storage/db.ts";
import { openMysql } from "../../core/storage/mysql/client.ts";
import { Client } from "../support/client.ts";
import { show, type XElement } from "../support/match.ts";
import { MysqlProcess } from "./mysql_process.ts";

/** Longest time until a request is given up. */
const GIVEN_UP_MS = 9000;

describe.skipIf(process.env["TEST_MYSQL"] === undefined)("a server on MySQL", () => {
  const stateDir = mkdtempSync(join(tmpdir(), "mysql-server-"));
  const clients: Client[] = [];
  let mysql: MysqlProcess;
  let db: Db;
  let server: RunningServer;

  beforeAll(async () => {
    mysql = new MysqlProcess();
    await mysql.start();
    server = await start();
    const { port, password } = mysql;
    db = await openMysql({ host: "127.0.0.1", port, database: "test", username: "test", password, maxPauseMs: 500 });
  }, 60_000);
  afterEach(() => {
    for (const client of clients.splice(0)) client.wire.cut();
  });
  afterAll(async () => {
    await server.close();
    await db.close();
    await mysql.remove();
    rmSync(stateDir, { recursive: true });
  });

  function start(password = mysql.password, dir = stateDir): Promise<RunningServer> {
    const connection = {
      driver: "mysql",
      host: "127.0.0.1",
      port: mysql.port,
      database: "test",
      username: "tls",
      password,
      query_timeout: 1000,
      tls: { verify_mode: "none" },
    };
    const kept = { backend: "rdbms" };
    const text = stringify({
      general: { hosts: ["localhost"], default_server_domain: "localhost" },
      listen: { c2s: [{ port: 0, ip_address: "127.0.0.1" }] },
      outgoing_pools: { rdbms: { default: { workers: 3, connection } } },
      auth: { methods: ["rdbms"], rdbms: {} },
      modules: { mod_roster: kept, mod_offline: kept, mod_private: kept, mod_vcard: kept, mod_presence: {} },
    });
    const { config, problems } = parseConfig(text, { file: "mysql.toml", modules: moduleSchemas() });
    if (!config) throw new Error(problems.map(formatProblem).join("\n"));
    return startServer(config, { stateDir: dir }, new Log({ sink: new MemorySink(), level: "info", format: "json" }));
  }

  const target = () => ({ door: "tcp" as const, port: server.listeners.tcp[0].port });
  async function account(local: string): Promise<void> {
    expect(await server.node.hostOf("localhost")?.auth.create(local, "localhost", "secret")).toBe("ok");
  }
  function client(local: string): Client {
    const made = new Client({ local, domain: "localhost", password: "secret" }, { assertions: 0 });
    clients.push(made);
    return made;
  }
  const online = async (local: string): Promise<Client> => (await client(local).logsIn(target())).comesOnline();
  const answerTo = (who: Client, id: string): Promise<XElement> =>
    vi.waitFor(
      () => {
        const found = who.waiting.find((e) => e.attrs["id"] === id);
        if (!found) throw new Error(`no answer to ${id}`);
        return found;
      },
      { timeout: GIVEN_UP_MS, interval: 20 },
    );
  /** Tries until it works: what "service resumes by itself" means. */
  const eventually = <T>(attempt: () => Promise<T>): Promise<T> =>
    vi.waitFor(attempt, { timeout: 20_000, interval: 100 });

  test("keeps accounts, rosters, vCards and private elements there, over TLS", async () => {
    await account("juliet");
    const juliet = await online("juliet");
    juliet.sends`<iq type="set" id="r"><query xmlns="jabber:iq:roster"><item jid="nurse@localhost" name="Nürse 🐎"/></query></iq>`;
    juliet.sends`<iq type="set" id="v"><vCard xmlns="vcard-temp"><FN>Juliet</FN></vCard></iq>`;
    juliet.sends`<iq type="set" id="p"><query xmlns="jabber:iq:private"><x xmlns="urn:x">ż</x></query></iq>`;
    for (const id of ["r", "v", "p"]) expect((await answerTo(juliet, id)).attrs["type"]).toBe("result");
    const of = "WHERE server = 'localhost' AND username = 'juliet'";
    expect(await db.query(`SELECT jid, nick FROM rosterusers ${of}`)).toEqual([
      { jid: "nurse@localhost", nick: "Nürse 🐎" },
    ]);
    expect(await db.query(`SELECT username FROM users ${of}`)).toEqual([{ username: "juliet" }]);
    expect(await db.query(`SELECT username FROM vcard ${of}`)).toHaveLength(1);
    expect(await db.query(`SELECT namespace FROM private_storage ${of}`)).toEqual([{ namespace: "urn:x" }]);
  });

  test("names that differ in an accent only are different accounts", async () => {
    await account("jose");
    await account("josé");
    const jose = await online("jose");
    jose.sends`<iq type="set" id="r"><query xmlns="jabber:iq:roster"><item jid="nurse@localhost"/></query></iq>`;
    expect((await answerTo(jose, "r")).attrs["type"]).toBe("result");
    const other = await online("josé");
    other.sends`<iq type="get" id="r"><query xmlns="jabber:iq:roster"/></iq>`;
    expect(show(await answerTo(other, "r"))).not.toContain("nurse");
  });

  test("while MySQL is killed clients are told what cannot be done, and nothing stored is lost", async () => {
    for (const name of ["a", "b", "absent"]) await account(name);
    const [one, two] = [await online("a"), await online("b")];
    one.sends`<message to="absent@localhost" type="chat" id="before"><body>stored</body></message>`;
    await one.settled();
    await mysql.kill();
    try {
      const late = client("absent");
      await late.connects(target());
      await late.opens();
      late.sendsRaw(
        `<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>${btoa("\0absent\0secret")}</auth>`,
      );
      one.sends`<message to="absent@localhost" type="chat" id="lost"><body>not stored</body></message>`;
      two.sends`<iq type="get" id="vcard"><vCard xmlns="vcard-temp"/></iq>`;
      await vi.waitFor(() => expect(show(late.waiting[0])).toContain("temporary-auth-failure"), GIVEN_UP_MS);
      expect((await answerTo(one, "lost")).attrs["type"]).toBe("error");
      expect((await answerTo(two, "vcard")).attrs["type"]).toBe("error");
      two.sends`<message to="${one.full}" type="chat" id="online"><body>still here</body></message>`;
      expect(show(await answerTo(one, "online"))).toContain("still here");
    } finally {
      await mysql.start();
    }
    const back = await eventually(async () => client("absent").logsIn(target()));
    back.sends`<presence/>`;
    expect(show(await answerTo(back, "before"))).toContain("stored");
    await back.settled();
    expect(back.waiting.some((e) => e.attrs["id"] === "lost")).toBe(false);
    two.sends`<iq type="get" id="private"><query xmlns="jabber:iq:private"><x xmlns="urn:x"/></query></iq>`;
    expect((await answerTo(two, "private")).attrs["type"]).toBe("result");
  }, 60_000);

  test("does not wait for a database that lets it not in, and says so in one line", async () => {
    const started = performance.now();
    const refusal = await start("wrong", join(stateDir, "other")).then(
      () => "it started",
      (error: Error) => error.message,
    );
    expect(refusal).toMatch(/^Cannot reach MySQL at "127\.0\.0\.1:\d+": Access denied for user [^\n]+$/);
    expect(performance.now() - started).toBeLessThan(5000);
  });
});
