// listen.c2s[].tls: whom the server lets in by its certificate, and by which ciphers.
import { execFile, execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect } from "vitest";
import type { Client } from "../support/client.ts";
import { stage } from "../support/story.ts";

const NS_TLS = "urn:ietf:params:xml:ns:xmpp-tls";

const dir = mkdtempSync(join(tmpdir(), "tls-options-"));
afterAll(() => rmSync(dir, { recursive: true }));
const openssl = (...args: string[]) => execFileSync("openssl", args, { cwd: dir, stdio: "ignore" });
const rsa = ["-newkey", "rsa:2048", "-nodes"];
openssl("req", "-x509", ...rsa, "-keyout", "server.key", "-out", "server.crt", "-subj", "/CN=localhost");
openssl("req", "-x509", ...rsa, "-keyout", "ca.key", "-out", "ca.crt", "-subj", "/CN=ca");

const pair = { certfile: join(dir, "server.crt"), keyfile: join(dir, "server.key") };
const listener = (tls: object) => ({ port: 0, ip_address: "127.0.0.1", tls: { ...pair, ...tls } });

/** STARTTLS as far as the server goes along; true when the client is in TLS and got the features. */
async function getsIn(c: Client): Promise<boolean> {
  c.sendsRaw(`<starttls xmlns='${NS_TLS}'/>`);
  await c.hears(`<proceed xmlns="${NS_TLS}"/>`);
  void c.wire.startTls!().then(() => c.sendsHeader());
  return c.next().then(
    () => true,
    () => false,
  );
}

describe("verify_mode = peer", () => {
  const cacertfile = join(dir, "ca.crt");
  const { story } = stage({
    listen: {
      c2s: [
        listener({ mode: "starttls_required", verify_mode: "peer", cacertfile }),
        listener({ mode: "starttls_required", verify_mode: "peer", cacertfile, disconnect_on_failure: false }),
      ],
    },
  });

  story(
    "a client without a certificate is cut off, and no error is logged",
    {},
    async ({ stranger, server }) => {
      const c = await stranger().connects(server.target("tcp", 0));
      await c.opens();
      expect(await getsIn(c)).toBe(false);
      c.tally.assertions++;
    },
    { door: "tcp", covers: ["connect_SUITE:verify_peer_disconnects_when_client_has_no_cert"] },
  );

  story(
    "unless disconnect_on_failure is off: then it logs in with its password",
    {},
    async ({ actor, server }) => {
      const c = await (await actor("romeo")).connects(server.target("tcp", 1));
      await c.opens();
      expect(await getsIn(c)).toBe(true);
      await c.authenticates();
      await c.binds();
    },
    { door: "tcp", covers: ["connect_SUITE:verify_peer_ignores_when_client_has_no_cert"] },
  );
});

describe("ciphers", () => {
  const WANTED = "ECDHE-RSA-AES256-GCM-SHA384";
  const OTHERS = ["ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-RSA-CHACHA20-POLY1305"];
  const { story } = stage({
    listen: {
      c2s: [
        listener({ mode: "tls", verify_mode: "none" }),
        listener({ mode: "tls", verify_mode: "none", ciphers: WANTED, versions: ["tlsv1.2"] }),
      ],
    },
  });

  /** Whether OpenSSL's client comes to an agreement with this cipher of TLS 1.2. */
  const agrees = (port: number, cipher: string): Promise<boolean> =>
    new Promise((resolve) => {
      const args = ["s_client", "-connect", `127.0.0.1:${port}`, "-cipher", cipher, "-tls1_2"];
      const child = execFile("openssl", args, (error, out) => resolve(error === null && out.includes(cipher)));
      child.stdin?.end();
    });

  story(
    `${WANTED} is among those that a client may use`,
    {},
    async ({ server, stranger }) => {
      const { port } = server.target("tcp", 0);
      const working = await Promise.all([WANTED, ...OTHERS].map((cipher) => agrees(port, cipher)));
      expect(working).toEqual([true, true, true]);
      stranger().tally.assertions++;
    },
    {
      door: "tcp",
      covers: [
        "connect_SUITE:clients_can_connect_with_ECDHE-RSA-AES256-GCM-SHA384",
        "connect_SUITE:clients_can_connect_with_advertised_ciphers",
      ],
    },
  );

  story(
    `and the only one where tls.ciphers says so`,
    {},
    async ({ server, stranger }) => {
      const { port } = server.target("tcp", 1);
      expect(await agrees(port, WANTED)).toBe(true);
      for (const cipher of OTHERS) expect(await agrees(port, cipher)).toBe(false);
      stranger().tally.assertions++;
    },
    { door: "tcp", covers: ["connect_SUITE:clients_can_connect_with_ECDHE-RSA-AES256-GCM-SHA384_only"] },
  );

  story(
    "SSL 3 is not spoken",
    {},
    async ({ server, stranger }) => {
      const { port } = server.target("tcp", 0);
      // ClientHello of SSL 3.0: version, 32 random bytes, no session, one suite, no compression.
      const body = Buffer.concat([Buffer.from([3, 0]), Buffer.alloc(32, 7), Buffer.from([0, 0, 2, 0, 0x2f, 1, 0])]);
      const hello = Buffer.concat([Buffer.from([0x16, 3, 0, 0, body.length + 4, 1, 0, 0, body.length]), body]);
      const answer = await new Promise<Buffer>((resolve) => {
        const got: Buffer[] = [];
        const socket = connect(port, "127.0.0.1", () => socket.write(hello));
        socket.on("data", (data) => got.push(Buffer.from(data)));
        socket.on("error", () => {});
        socket.on("close", () => resolve(Buffer.concat(got)));
      });
      // An alert, if anything.
      expect([0, 0x15]).toContain(answer.length === 0 ? 0 : answer[0]);
      stranger().tally.assertions++;
    },
    { door: "tcp", covers: ["connect_SUITE:should_fail_with_sslv3"] },
  );
});
