// mongooseimctl schema where a database cannot be looked at.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { selfSigned } from "../../../../core/tls/selfsigned.ts";
import { schemaCtl } from "../../../support/schema-ctl.ts";

const dir = mkdtempSync(join(tmpdir(), "schema-"));
afterAll(() => rmSync(dir, { recursive: true }));

/** Runs `schema check` on one pool with these TLS options, and an embedded database that is not there yet. */
async function check(driver: "pgsql" | "mysql", tls: object): Promise<[code: number, lines: string[]]> {
  const connection = { driver, host: "127.0.0.1", port: 1, database: "x", username: "x", password: "x", tls };
  const [code, text] = await schemaCtl(dir, connection, "check");
  return [code, text.trimEnd().split("\n")];
}

const at = "outgoing_pools.rdbms.default.connection.tls";
const file = (name: string, text: string): string => {
  writeFileSync(join(dir, name), text);
  return join(dir, name);
};
const [one, other] = [selfSigned(["a.org"], Date.now()), selfSigned(["a.org"], Date.now())];
const certfile = file("cert.pem", one.certificate);

test.each<[string, object, string]>([
  [
    "no authorities",
    { verify_mode: "peer", cacertfile: join(dir, "none.pem") },
    `Cannot read "${join(dir, "none.pem")}" as ${at}.cacertfile: no such file`,
  ],
  [
    "authorities that are none",
    { verify_mode: "peer", cacertfile: file("text.pem", "hello") },
    `Cannot use "${join(dir, "text.pem")}" as ${at}.cacertfile: it holds no PEM certificates`,
  ],
  [
    "no certificate of one's own",
    { verify_mode: "none", certfile: join(dir, "none.pem"), keyfile: certfile },
    `Cannot read "${join(dir, "none.pem")}" as ${at}.certfile: no such file`,
  ],
  [
    "another's key",
    { verify_mode: "none", certfile, keyfile: file("key.pem", other.key) },
    `Cannot use "${join(dir, "key.pem")}" as ${at}.keyfile: it is not the key of "${certfile}"`,
  ],
])("%s: one line that names the option, and the other databases are looked at", async (_, tls, line) => {
  for (const driver of ["pgsql", "mysql"] as const) {
    const [code, lines] = await check(driver, tls);
    expect(code).toBe(1);
    expect(lines).toEqual([
      expect.stringMatching(/^embedded database \(.*\): not there yet, made when the server starts$/),
      `outgoing_pools.rdbms.default (127.0.0.1:1/x): ${line}`,
    ]);
  }
});
