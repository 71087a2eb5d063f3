// outgoing_pools.rdbms.*.connection.tls: each mode against a PostgreSQL with TLS, and against one without.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { stringify } from "smol-toml";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openPools } from "../../cmd/rdbms.ts";
import { moduleSchemas } from "../../cmd/server.ts";
import { formatProblem, parseConfig } from "../../core/config/index.ts";
import { Log, MemorySink } from "../../core/log/index.ts";
import { OwnPostgres, postgresBin } from "../support/own_postgres.ts";

const canRun = postgresBin() !== undefined && Bun.which("openssl") !== null;

describe.skipIf(!canRun || process.env["TEST_PGSQL"] === undefined)("TLS to PostgreSQL", () => {
  const dir = mkdtempSync(join(tmpdir(), "pgsql-tls-"));
  const at = (name: string): string => join(dir, name);
  let secure: OwnPostgres;
  let plain: OwnPostgres;

  const openssl = (...words: string[]): void => {
    const run = Bun.spawnSync(["openssl", ...words], { cwd: dir });
    if (!run.success) throw new Error(run.stderr.toString());
  };
  /** An authority, a certificate of the server for localhost that it signs, and one that is signed by itself. */
  function certificates(): void {
    const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30"];
    openssl("req", "-x509", ...key, "-keyout", "ca.key", "-out", "ca.crt", "-subj", "/CN=Test CA");
    openssl("req", ...key.slice(0, 4), "-keyout", "server.key", "-out", "server.csr", "-subj", "/CN=db", "-nodes");
    writeFileSync(at("ext"), "subjectAltName=DNS:db.example.org");
    openssl(
      "x509",
      "-req",
      "-in",
      "server.csr",
      "-CA",
      "ca.crt",
      "-CAkey",
      "ca.key",
      "-days",
      "30",
      "-out",
      "server.crt",
      "-extfile",
      "ext",
    );
    openssl("req", "-x509", ...key, "-keyout", "other.key", "-out", "other.crt", "-subj", "/CN=Other CA");
    // Ours towards the database, the key under a passphrase; and a list that revokes the database's.
    openssl("req", ...key.slice(0, 4), "-keyout", "us.plain", "-out", "us.csr", "-subj", "/CN=mongooseim", "-nodes");
    openssl("pkcs8", "-topk8", "-in", "us.plain", "-out", "us.key", "-v2", "aes256", "-passout", "pass:open sesame");
    openssl("x509", "-req", "-in", "us.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-days", "30", "-out", "us.crt");
    writeFileSync(at("index"), "");
    const section = "database=index\ndefault_md=sha256\ndefault_crl_days=30\n";
    writeFileSync(at("ca.cnf"), `[ca]\ndefault_ca=own\n[own]\n${section}`);
    const ca = ["ca", "-config", "ca.cnf", "-keyfile", "ca.key", "-cert", "ca.crt"];
    openssl(...ca, "-gencrl", "-out", "none.crl");
    openssl(...ca, "-revoke", "server.crt");
    openssl(...ca, "-gencrl", "-out", "revoked.crl");
  }

  beforeAll(async () => {
    certificates();
    const files = {
      "server.crt": readFileSync(at("server.crt"), "utf8"),
      "server.key": readFileSync(at("server.key"), "utf8"),
      "ca.crt": readFileSync(at("ca.crt"), "utf8"),
    };
    secure = await OwnPostgres.create(["ssl=on", "ssl_ca_file=ca.crt"], files);
    plain = await OwnPostgres.create();
  }, 60_000);
  afterAll(async () => {
    await secure?.remove();
    await plain?.remove();
    rmSync(dir, { recursive: true });
  });

  interface Session {
    ssl: boolean;
    version: string | null;
    cipher: string | null;
    client_dn: string | null;
  }
  const version = ({ ssl, version: name }: Session): string => (ssl ? (name ?? "TLS") : "clear text");

  /** Connects with these options; says how, or why not. */
  async function connects(
    server: OwnPostgres,
    tls: Record<string, unknown>,
    say: (session: Session) => string | null = version,
  ): Promise<string | null> {
    const connection = {
      driver: "pgsql",
      host: "127.0.0.1",
      port: server.port,
      database: "postgres",
      username: "mongooseim",
      password: "mongooseim",
      tls,
    };
    const text = stringify({
      general: { hosts: ["localhost"], default_server_domain: "localhost" },
      auth: { methods: ["internal"], internal: {} },
      outgoing_pools: { rdbms: { default: { workers: 1, connection } } },
    });
    const { config, problems } = parseConfig(text, { file: "tls.toml", modules: moduleSchemas() });
    if (!config) throw new Error(problems.map(formatProblem).join("\n"));
    const stateDir = mkdtempSync(join(dir, "state-"));
    const log = new Log({ sink: new MemorySink(), level: "info" });
    try {
      const pools = await openPools(config, { stateDir, log, patienceMs: 0 });
      const [row] = await pools
        .db("rdbms")
        .query<Session>("SELECT ssl, version, cipher, client_dn FROM pg_stat_ssl WHERE pid = pg_backend_pid()");
      const { wire } = pools.db("rdbms").stats();
      expect(wire?.received.bytes).toBeGreaterThan(0);
      await pools.close();
      return say(row);
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    }
  }
  const named = { server_name_indication: { host: "db.example.org" } };

  test("nothing verified, not required: TLS where the server has it, clear text where not", async () => {
    expect(await connects(secure, { verify_mode: "none" })).toBe("TLSv1.3");
    expect(await connects(plain, { verify_mode: "none" })).toBe("clear text");
  });

  test("required: never in clear text", async () => {
    expect(await connects(secure, { verify_mode: "none", required: true })).toBe("TLSv1.3");
    expect(await connects(plain, { verify_mode: "none", required: true })).toMatch(/the server has no TLS$/);
    expect(await connects(plain, { verify_mode: "peer", cacertfile: at("ca.crt") })).toMatch(/the server has no TLS$/);
  });

  test("peer: the certificate must be of a trusted authority, and for the name that is asked for", async () => {
    expect(await connects(secure, { cacertfile: at("ca.crt"), ...named })).toBe("TLSv1.3");
    expect(await connects(secure, { cacertfile: at("other.crt"), ...named })).toMatch(
      /^Cannot reach PostgreSQL .*certificate/i,
    );
    expect(await connects(secure, { cacertfile: at("ca.crt") })).toMatch(/^Cannot reach PostgreSQL /);
    const other = { server_name_indication: { host: "other.example.org" } };
    expect(await connects(secure, { cacertfile: at("ca.crt"), ...other })).toMatch(/^Cannot reach PostgreSQL /);
  });

  test("server_name_indication off: the name is not sent, and must still be right", async () => {
    const off = (host?: string) => ({
      server_name_indication: { enabled: false, ...(host === undefined ? {} : { host }) },
    });
    expect(await connects(secure, { cacertfile: at("ca.crt"), ...off("db.example.org") })).toBe("TLSv1.3");
    expect(await connects(secure, { cacertfile: at("ca.crt"), ...off("other.example.org") })).toMatch(/^Cannot reach/);
  });

  test("disconnect_on_failure off: verified, and used all the same", async () => {
    expect(await connects(secure, { cacertfile: at("other.crt"), disconnect_on_failure: false, required: true })).toBe(
      "TLSv1.3",
    );
  });

  test("selfsigned_peer takes what is signed by itself, and nothing else that is not trusted", async () => {
    const tls = { verify_mode: "selfsigned_peer", cacertfile: at("other.crt"), ...named };
    expect(await connects(secure, tls)).toMatch(/certificate is not trusted/);
    const files = {
      "server.crt": readFileSync(at("ca.crt"), "utf8"),
      "server.key": readFileSync(at("ca.key"), "utf8"),
    };
    const own = await OwnPostgres.create(["ssl=on"], files);
    expect(await connects(own, tls)).toBe("TLSv1.3");
    expect(await connects(own, { ...tls, verify_mode: "peer" })).toMatch(/^Cannot reach/);
    await own.remove();
  });

  test("versions", async () => {
    expect(await connects(secure, { verify_mode: "none", required: true, versions: ["tlsv1.2"] })).toBe("TLSv1.2");
  });

  test("ciphers", async () => {
    const some = { verify_mode: "none", required: true, versions: ["tlsv1.2"] };
    for (const ciphers of ["ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-ECDSA-AES128-GCM-SHA256"])
      expect(await connects(secure, { ...some, ciphers }, ({ cipher }) => cipher)).toBe(ciphers);
    expect(await connects(secure, { ...some, ciphers: "NONE-SUCH" })).toBe(
      'Cannot use "NONE-SUCH" as outgoing_pools.rdbms.default.connection.tls.ciphers: none of these cipher suites exists',
    );
  });

  test("a certificate of our own, with the passphrase of its key", async () => {
    const own = { verify_mode: "none", required: true, certfile: at("us.crt"), keyfile: at("us.key") };
    const name = ({ client_dn }: Session) => client_dn;
    expect(await connects(secure, { verify_mode: "none" }, name)).toBeNull();
    expect(await connects(secure, { ...own, password: "open sesame" }, name)).toBe("/CN=mongooseim");
    expect(await connects(secure, { ...own, keyfile: at("us.plain") }, name)).toBe("/CN=mongooseim");
    for (const password of [undefined, "wrong"])
      expect(await connects(secure, password === undefined ? own : { ...own, password })).toMatch(
        /^Cannot (read|use) .*us\.key/,
      );
  });

  test("a certificate on one of crl_files is not taken", async () => {
    const peer = { cacertfile: at("ca.crt"), ...named };
    expect(await connects(secure, { ...peer, crl_files: [at("none.crl")] })).toBe("TLSv1.3");
    expect(await connects(secure, { ...peer, crl_files: [at("revoked.crl")] })).toMatch(/^Cannot reach .*revoked/);
  });
});
