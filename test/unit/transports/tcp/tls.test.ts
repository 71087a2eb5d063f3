import { execFile, execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, utimesSync, writeFileSync } from "node:fs";
import * as net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as tls from "node:tls";
import type { Socket, TCPSocketListener } from "bun";
import { afterEach, beforeAll, describe, expect, test } from "vitest";
import { Log } from "../../../../core/log/log.ts";
import { MemorySink } from "../../../../core/log/sink.ts";
import type { TlsProfile } from "../../../../core/tls/profile.ts";
import { selfSigned } from "../../../../core/tls/selfsigned.ts";
import type { TlsSettings } from "../../../../core/tls/settings.ts";
import { CertificateStore } from "../../../../core/tls/store.ts";
import { ClientHelloReader } from "../../../../transports/tcp/clienthello.ts";
import type { TlsInfo } from "../../../../transports/tcp/tls.ts";
import { TlsDoor } from "../../../../transports/tcp/tls.ts";

let dir: string;
let authority: TlsSettings;

beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), "tls-"));
  mkdirSync(join(dir, "tls"));
  putPair("own", 1, "own.example");
  putPair("tls/a", 1, "a.example");
  putPair("tls/b", 1, "b.example");
  makeClientCertificates();
  authority = { cacertfile: join(dir, "ca.crt") };
});

function putPair(name: string, stamp: number, domain: string): void {
  const made = selfSigned([domain], Date.now());
  for (const [file, text] of [
    [`${name}.crt`, made.certificate],
    [`${name}.key`, made.key],
  ] as const) {
    writeFileSync(join(dir, file), text);
    utimesSync(join(dir, file), stamp, stamp);
  }
}

/** An authority, Romeo's certificate signed by it, the same revoked, and one that Romeo signed himself. */
function makeClientCertificates(): void {
  const names = "otherName:1.3.6.1.5.5.7.8.5;UTF8:romeo@a.example,DNS:a.example,email:romeo@a.example";
  writeFileSync(
    join(dir, "ca.cnf"),
    `[ca]\ndefault_ca=d\n[d]\ndatabase=${dir}/index\ndefault_md=sha256\ndefault_crl_days=30\ncrlnumber=${dir}/crlnumber\n[names]\nsubjectAltName=${names}\n`,
  );
  writeFileSync(join(dir, "index"), "");
  writeFileSync(join(dir, "crlnumber"), "01\n");
  const openssl = (...args: string[]) => execFileSync("openssl", args, { cwd: dir, stdio: "ignore" });
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
  openssl("req", "-x509", ...key, "-keyout", "ca.key", "-out", "ca.crt", "-subj", "/CN=ca");
  openssl(
    "req",
    "-x509",
    ...key,
    "-keyout",
    "romeo.key",
    "-out",
    "selfsigned.crt",
    "-subj",
    "/CN=Romeo",
    "-addext",
    `subjectAltName=${names}`,
  );
  openssl("req", "-new", "-key", "romeo.key", "-out", "romeo.csr", "-subj", "/CN=Romeo");
  const sign = ["-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", "ca.cnf", "-extensions", "names"];
  openssl("x509", "-req", "-in", "romeo.csr", ...sign, "-out", "romeo.crt");
  openssl("ca", "-config", "ca.cnf", "-keyfile", "ca.key", "-cert", "ca.crt", "-gencrl", "-out", "none.crl");
  openssl("ca", "-config", "ca.cnf", "-keyfile", "ca.key", "-cert", "ca.crt", "-revoke", "romeo.crt");
  openssl("ca", "-config", "ca.cnf", "-keyfile", "ca.key", "-cert", "ca.crt", "-gencrl", "-out", "romeo.crl");
}

/** A connection of the listener under test: `<starttls to='DOMAIN'/>` or direct TLS; in TLS it is an echo. */
class Conn {
  secure: Socket<Conn> | undefined;
  hello: ClientHelloReader | undefined;
  info: TlsInfo | undefined;
  readonly events: string[] = [];
  readonly done = Promise.withResolvers<void>();
  readonly ended = Promise.withResolvers<void>();
}

class Server {
  readonly conns: Conn[] = [];
  readonly store: CertificateStore;
  readonly listener: TCPSocketListener<Conn>;

  constructor(settings: TlsSettings, direct: boolean) {
    const log = new Log({ sink: new MemorySink() });
    this.store = new CertificateStore({ stateDir: dir, log, now: Date.now });
    const own = { certfile: join(dir, "own.crt"), keyfile: join(dir, "own.key") };
    const profile = this.store.open({ ...own, verify_mode: "none", ...settings }, "listen.c2s[1].tls");
    const door = new TlsDoor<Conn>(
      {
        data: (conn, bytes) => void conn.secure!.write(bytes),
        drain: () => {},
        secured: (conn, info) => {
          conn.events.push("secured");
          conn.info = info;
          conn.done.resolve();
        },
        failed: (conn, reason) => {
          conn.events.push(`failed: ${reason}`);
          conn.done.resolve();
        },
        closed: (conn) => {
          conn.events.push("closed");
          conn.done.resolve();
          conn.ended.resolve();
        },
      },
      "xmpp-client",
    );
    this.listener = Bun.listen<Conn>({
      hostname: "127.0.0.1",
      port: 0,
      socket: {
        open: (socket) => {
          socket.data = new Conn();
          this.conns.push(socket.data);
        },
        data: (socket, bytes) => plainBytes(socket, bytes, door, profile, direct),
      },
    });
  }

  get port(): number {
    return this.listener.port;
  }

  /** What became of the first connection. */
  async first(): Promise<Conn> {
    while (this.conns.length === 0) await Bun.sleep(5);
    await this.conns[0]!.done.promise;
    return this.conns[0]!;
  }
}

function plainBytes(socket: Socket<Conn>, bytes: Buffer, door: TlsDoor<Conn>, profile: TlsProfile, direct: boolean) {
  const conn = socket.data;
  if (conn.secure !== undefined) return;
  if (!direct) {
    const to = /to='([^']*)'/.exec(bytes.toString())?.[1];
    socket.write("<proceed/>");
    conn.secure = door.startTls(socket, conn, profile.find(to)!);
    return;
  }
  conn.hello ??= new ClientHelloReader();
  const hello = conn.hello.feed(bytes);
  if (hello === "bad") socket.end();
  else if (hello !== "more") {
    conn.secure = door.directTls(socket, conn, profile.find(hello.serverName)!, conn.hello.bytes);
  }
}

const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.listener.stop(true);
});

function serve(settings: TlsSettings = {}, how: "direct" | "starttls" = "direct"): Server {
  const server = new Server(settings, how === "direct");
  servers.push(server);
  return server;
}

/** Connects with node:tls, sends "ping" and waits for its echo. */
async function connect(port: number, options: tls.ConnectionOptions = {}): Promise<tls.TLSSocket> {
  const socket = tls.connect({ host: "127.0.0.1", port, rejectUnauthorized: false, ...options });
  await new Promise<void>((resolve, reject) => {
    socket.once("secureConnect", () => socket.write("ping"));
    socket.once("data", () => resolve());
    socket.once("error", reject);
    socket.once("close", () => reject(new Error("closed")));
  });
  return socket;
}

async function commonName(port: number, servername?: string): Promise<string> {
  const socket = await connect(port, servername === undefined ? {} : { servername });
  const { CN } = socket.getPeerCertificate().subject;
  socket.destroy();
  return String(CN);
}

async function afterStartTls(port: number, to: string, options: tls.ConnectionOptions = {}): Promise<tls.TLSSocket> {
  const plain = net.connect(port, "127.0.0.1");
  plain.write(`<starttls to='${to}'/>`);
  await new Promise((resolve) => plain.once("data", resolve));
  return connect(port, { socket: plain, ...options });
}

/** Runs openssl s_client, which says "hi" once it is connected; all that it prints. */
function sClient(port: number, ...args: string[]): Promise<string> {
  const command = ["s_client", "-connect", `127.0.0.1:${port}`, ...args];
  return new Promise((resolve) => {
    const child = execFile("openssl", command, { cwd: dir, timeout: 5000 }, (_error, out, err) => resolve(out + err));
    child.stdin!.write("hi\n");
    setTimeout(() => child.stdin!.end(), 300);
  });
}

describe("direct TLS", () => {
  test.each([
    ["a.example", "a.example"],
    ["B.EXAMPLE", "b.example"],
    ["own.example", "own.example"],
    ["unknown.example", "own.example"],
    [undefined, "own.example"],
  ])("SNI %s gets the certificate of %s", async (name, certificate) => {
    expect(await commonName(serve().port, name)).toBe(certificate);
  });

  test("openssl is served too", async () => {
    expect(await sClient(serve().port, "-servername", "a.example")).toMatch(/CN = a\.example[\s\S]*\nhi\n/);
  });

  test("ALPN xmpp-client is agreed on", async () => {
    const server = serve();
    const socket = await connect(server.port, { ALPNProtocols: ["http/1.1", "xmpp-client"] });
    expect([socket.alpnProtocol, (await server.first()).info!.alpn]).toEqual(["xmpp-client", "xmpp-client"]);
    socket.destroy();
  });

  test("ALPN without xmpp-client is refused with the alert no_application_protocol (RFC 7301 §3.2)", async () => {
    const server = serve();
    expect(await sClient(server.port, "-alpn", "http/1.1")).toContain("alert number 120");
    const conn = await server.first();
    await conn.ended.promise;
    expect(conn.events).toEqual([expect.stringMatching(/^failed: /), "closed"]);
  });

  test("no ALPN is served", async () => {
    const server = serve();
    (await connect(server.port)).destroy();
    expect((await server.first()).info!.alpn).toBeUndefined();
  });

  test("a ClientHello that comes byte by byte is read", async () => {
    const server = serve();
    const relay = net.createServer((client) => {
      const target = net.connect(server.port, "127.0.0.1");
      target.setNoDelay(true);
      target.pipe(client);
      client.once("data", async (hello) => {
        for (const byte of hello as Buffer) {
          target.write(Buffer.from([byte]));
          await Bun.sleep(0);
        }
        client.pipe(target);
      });
      for (const socket of [client, target]) socket.on("error", () => {});
    });
    await new Promise<void>((resolve) => relay.listen(0, "127.0.0.1", resolve));
    expect(await commonName((relay.address() as net.AddressInfo).port, "b.example")).toBe("b.example");
    relay.close();
  });

  test("what is no TLS ends the connection", async () => {
    const server = serve();
    const socket = net.connect(server.port, "127.0.0.1");
    socket.write("<stream:stream to='a.example'>");
    await new Promise((resolve) => socket.once("close", resolve));
    expect(server.conns[0]!.events).toEqual([]);
  });

  test("a handshake that breaks off is told as failed and closed", async () => {
    const server = serve();
    const socket = net.connect(server.port, "127.0.0.1");
    const hello = await firstBytesOfClient();
    socket.write(hello);
    await new Promise((resolve) => socket.once("data", resolve));
    socket.end(Buffer.alloc(50));
    const conn = await server.first();
    await conn.ended.promise;
    expect(conn.events.at(-1)).toBe("closed");
    expect(conn.events).not.toContain("secured");
  });

  test("a connection that ends is told once", async () => {
    const server = serve();
    const socket = await connect(server.port);
    socket.end();
    const conn = await server.first();
    await conn.ended.promise;
    await Bun.sleep(50);
    expect(conn.events).toEqual(["secured", "closed"]);
  });

  test("eight megabytes to a slow reader arrive whole", async () => {
    const server = serve();
    const socket = await connect(server.port);
    const { secure } = await server.first();
    const bytes = Buffer.alloc(1 << 23, "x");
    let sent = 0;
    let received = 0;
    socket.on("data", (piece: Buffer) => {
      received += piece.length;
    });
    socket.pause();
    const send = () => {
      sent += Math.max(0, secure!.write(bytes, sent, bytes.length - sent));
    };
    send();
    expect(sent).toBeLessThan(bytes.length);
    setTimeout(() => socket.resume(), 50);
    while (received < bytes.length) {
      await Bun.sleep(5);
      if (sent < bytes.length) send();
    }
    expect(received).toBe(bytes.length);
    socket.destroy();
  });
});

/** The ClientHello of node:tls. */
async function firstBytesOfClient(options: tls.ConnectionOptions = {}): Promise<Buffer> {
  const server = net.createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const socket = tls.connect({ host: "127.0.0.1", port: (server.address() as net.AddressInfo).port, ...options });
  socket.on("error", () => {});
  const [peer] = (await new Promise((resolve) => server.once("connection", (it) => resolve([it])))) as [net.Socket];
  const bytes = await new Promise<Buffer>((resolve) => peer.once("data", resolve));
  socket.destroy();
  peer.destroy();
  server.close();
  return bytes;
}

describe("STARTTLS", () => {
  test.each(["a.example", "b.example"])("gets the certificate that the stream's to asks for: %s", async (domain) => {
    const server = serve({}, "starttls");
    const socket = await afterStartTls(server.port, domain);
    expect(socket.getPeerCertificate().subject.CN).toBe(domain);
    expect((await server.first()).events).toEqual(["secured"]);
    socket.destroy();
  });

  test("a client that does not speak TLS then is told as failed", async () => {
    const server = serve({}, "starttls");
    const plain = net.connect(server.port, "127.0.0.1");
    plain.write("<starttls to='a.example'/>");
    await new Promise((resolve) => plain.once("data", resolve));
    plain.write("<stream:stream>");
    const conn = await server.first();
    await conn.ended.promise;
    expect(conn.events).toEqual([expect.stringMatching(/^failed: /), "closed"]);
  });
});

describe("channel binding", () => {
  test.each(["TLSv1.3", "TLSv1.2"] as const)("the exporter is the client's on %s", async (version) => {
    const server = serve();
    const socket = await connect(server.port, { minVersion: version, maxVersion: version });
    const { info } = await server.first();
    expect(info!.protocol).toBe(version);
    // Bun's types want a context, OpenSSL and RFC 9266 have none.
    const exported = (socket.exportKeyingMaterial as (length: number, label: string) => Buffer).call(
      socket,
      32,
      "EXPORTER-Channel-Binding",
    );
    expect(Buffer.from(info!.exporter()).toString("hex")).toBe(exported.toString("hex"));
    socket.destroy();
  });

  test.each(["-tls1_3", "-tls1_2"])("the exporter is openssl's on %s", async (version) => {
    const server = serve();
    const label = ["-keymatexport", "EXPORTER-Channel-Binding", "-keymatexportlen", "32"];
    const printed = sClient(server.port, version, ...label);
    const exported = Buffer.from((await server.first()).info!.exporter()).toString("hex");
    expect((await printed).toLowerCase()).toContain(`keying material: ${exported}`);
  });

  test("the end point is the hash of the certificate that the client was shown", async () => {
    const server = serve();
    const socket = await connect(server.port, { servername: "b.example" });
    const shown = socket.getPeerCertificate().fingerprint256.replaceAll(":", "").toLowerCase();
    expect(Buffer.from((await server.first()).info!.endpoint()!).toString("hex")).toBe(shown);
    socket.destroy();
  });

  test("the cipher suite has its standard name", async () => {
    const server = serve();
    const socket = await connect(server.port);
    expect((await server.first()).info!.cipher).toBe(socket.getCipher().standardName!);
    socket.destroy();
  });
});

describe("client certificates", () => {
  const romeo = ["-cert", "romeo.crt", "-key", "romeo.key"];
  const selfMade = ["-cert", "selfsigned.crt", "-key", "romeo.key"];
  const crl = (name: string) => ({ crl_files: [join(dir, name)] });

  test.each<[string, TlsSettings, string[], string]>([
    ["none asks for none", { verify_mode: "none" }, romeo, "secured, no certificate"],
    ["peer takes what the authority signed", { verify_mode: "peer" }, romeo, "secured, authorized"],
    ["peer refuses what is signed by itself", { verify_mode: "peer" }, selfMade, "DEPTH_ZERO_SELF_SIGNED_CERT"],
    ["peer refuses none", { verify_mode: "peer" }, [], "no client certificate"],
    [
      "selfsigned_peer takes what the authority signed",
      { verify_mode: "selfsigned_peer" },
      romeo,
      "secured, authorized",
    ],
    [
      "selfsigned_peer takes what is signed by itself",
      { verify_mode: "selfsigned_peer" },
      selfMade,
      "secured, authorized",
    ],
    ["selfsigned_peer refuses none", { verify_mode: "selfsigned_peer" }, [], "no client certificate"],
    [
      "without disconnect_on_failure one that is not valid goes through, not authorized",
      { verify_mode: "peer", disconnect_on_failure: false },
      selfMade,
      "secured, DEPTH_ZERO_SELF_SIGNED_CERT",
    ],
    [
      "without disconnect_on_failure none is needed",
      { verify_mode: "peer", disconnect_on_failure: false },
      [],
      "secured, no certificate",
    ],
  ])("verify_mode %s", async (_what, settings, args, outcome) => {
    const server = serve({ ...authority, ...settings });
    const printed = sClient(server.port, ...args);
    const conn = await server.first();
    const { clientCertificate: certificate } = conn.info ?? {};
    const verdict = certificate === undefined ? "no certificate" : (certificate.reason ?? "authorized");
    expect(conn.info === undefined ? conn.events[0] : `secured, ${verdict}`).toContain(outcome);
    await printed;
  });

  test.each([
    ["none.crl", "secured"],
    ["romeo.crl", "failed: client certificate: CERT_REVOKED"],
  ])("with the revocation list %s: %s", async (list, outcome) => {
    const server = serve({ ...authority, ...crl(list), verify_mode: "peer" });
    const printed = sClient(server.port, ...romeo);
    expect((await server.first()).events[0]).toBe(outcome);
    await printed;
  });

  test("their names are read", async () => {
    const server = serve({ ...authority, verify_mode: "peer" });
    const printed = sClient(server.port, ...romeo);
    expect((await server.first()).info!.clientCertificate).toMatchObject({
      authorized: true,
      commonName: "Romeo",
      xmppAddrs: ["romeo@a.example"],
      dnsNames: ["a.example"],
      emails: ["romeo@a.example"],
    });
    await printed;
  });

  test("a refused client is cut off before any of its bytes are taken", async () => {
    const server = serve({ ...authority, verify_mode: "peer" });
    expect(await sClient(server.port, ...selfMade)).not.toMatch(/^hi$/m);
  });

  test("a resumed session has the certificate of the first", async () => {
    const server = serve({ ...authority, verify_mode: "peer", versions: ["tlsv1.2"] });
    await sClient(server.port, ...romeo, "-sess_out", "session.pem");
    expect(await sClient(server.port, ...romeo, "-sess_in", "session.pem")).toContain("Reused");
    await server.conns[1]!.done.promise;
    expect(server.conns[1]!.info!.clientCertificate).toMatchObject({ authorized: true, commonName: "Romeo" });
  });
});

describe("settings", () => {
  test.each([
    [{ versions: ["tlsv1.2"] }, "-tls1_3", "alert"],
    [{ versions: ["tlsv1.3"] }, "-tls1_2", "alert"],
    [{ versions: ["tlsv1.2", "tlsv1.3"] }, "-tls1_2", "TLSv1.2, Cipher"],
  ])("%j with a client of %s: %s", async (settings, version, outcome) => {
    expect(await sClient(serve(settings).port, version)).toContain(outcome);
  });

  test("ciphers choose among the suites of TLS 1.2", async () => {
    const server = serve({ ciphers: "ECDHE-ECDSA-AES256-GCM-SHA384" });
    const ask = (cipher: string) => sClient(server.port, "-tls1_2", "-cipher", cipher);
    expect(await ask("ECDHE-ECDSA-AES128-GCM-SHA256")).toContain("alert");
    expect(await ask("ECDHE-ECDSA-AES256-GCM-SHA384")).toContain("Cipher is ECDHE-ECDSA-AES256-GCM-SHA384");
  });
});

test("a new certificate is shown to new connections, and those that are there stay", async () => {
  putPair("tls/renewed", 1, "renewed.example");
  const server = serve();
  const old = await connect(server.port, { servername: "renewed.example" });
  const before = old.getPeerCertificate().fingerprint256;
  putPair("tls/renewed", 2, "renewed.example");
  expect(server.store.reload().changed).toHaveLength(1);
  const fresh = await connect(server.port, { servername: "renewed.example" });
  expect(fresh.getPeerCertificate().fingerprint256).not.toBe(before);
  old.write("still here");
  expect(String(await new Promise((resolve) => old.once("data", resolve)))).toBe("still here");
  old.destroy();
  fresh.destroy();
});
