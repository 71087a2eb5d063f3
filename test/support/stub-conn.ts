// A client without a socket: a Conn that keeps what the server writes, in front of a real stream machine.
//
//     const alice = await StubClient.logIn(node, "alice@localhost/home");
//     alice.sends("<message to='bob@localhost'><body>Hi</body></message>");
//     await bob.hears("Hi");
import type { C2sOptions, Conn, ConnOwner } from "../../core/c2s/conn.ts";
import { C2S } from "../../core/c2s/stream.ts";
import { parseFullJid } from "../../core/jid.ts";
import type { Node } from "../../core/node.ts";
import { NS_BIND, NS_CLIENT, NS_SASL, NS_STREAM } from "../../core/ns.ts";
import { DEFAULT_LIMITS } from "../../core/xml/scan.ts";

const STUB_OPTIONS: C2sOptions = {
  starttls: "no",
  maxStanzaSize: 65_536,
  stateTimeout: Number.POSITIVE_INFINITY,
  access: "all",
  shaper: "none",
  maxStanzaRate: Number.POSITIVE_INFINITY,
  maxConnectionRate: Number.POSITIVE_INFINITY,
  maxFailedLogins: Number.POSITIVE_INFINITY,
  legacySession: false,
  limits: DEFAULT_LIMITS,
};

/** Everything is taken at once: nothing waits and nothing is lost. */
export class StubConn implements Conn {
  readonly framing = "stream";
  backlog = 0;
  /** All that the server has written. */
  written = "";
  ended = false;
  owner: ConnOwner | undefined;

  constructor(
    readonly secure = false,
    readonly address = "192.0.2.7",
    readonly port = 40_000,
  ) {}

  write(bytes: Buffer, n: number): void {
    this.written += bytes.utf8Slice(0, n);
  }
  writeText(text: string): number {
    this.written += text;
    return Buffer.byteLength(text);
  }
  askLate(): void {
    queueMicrotask(() => this.owner?.late());
  }
  startTls(): void {
    throw new Error("a StubConn has no TLS: make it secure");
  }
  end(): void {
    this.ended = true;
  }
  pause(): void {}
  resume(): void {}
  setOwner(owner: ConnOwner): void {
    this.owner = owner;
  }
}

interface Login {
  readonly password?: string;
  readonly secure?: boolean;
}

export class StubClient {
  readonly stream: C2S;
  private heard = 0;

  constructor(
    readonly node: Node,
    readonly conn = new StubConn(),
  ) {
    this.stream = new C2S(node, conn, STUB_OPTIONS);
    conn.setOwner(this.stream);
  }

  /** Logs in with SASL PLAIN and binds the resource of `jid`. */
  static async logIn(node: Node, jid: string, login: Login = {}): Promise<StubClient> {
    const client = await StubClient.authenticated(node, jid, login);
    const bind = `<bind xmlns='${NS_BIND}'><resource>${parseFullJid(jid).resource}</resource></bind>`;
    client.sends(`<iq id='bind' type='set'>${bind}</iq>`);
    await client.hears("type='result'");
    return client;
  }

  /** As `logIn`, without a resource. */
  static async authenticated(
    node: Node,
    jid: string,
    { password = "secret", secure = false }: Login = {},
  ): Promise<StubClient> {
    const { local, domain } = parseFullJid(jid);
    const client = new StubClient(node, new StubConn(secure));
    const header = `<stream:stream to='${domain}' version='1.0' xmlns='${NS_CLIENT}' xmlns:stream='${NS_STREAM}'>`;
    client.sends(header);
    await client.hears("</stream:features>");
    const proof = Buffer.from(`\0${local}\0${password}`).toString("base64");
    client.sends(`<auth xmlns='${NS_SASL}' mechanism='PLAIN'>${proof}</auth>`);
    if ((await client.hears("<success", "<failure")) === "<failure") throw new Error(client.rest);
    client.sends(header);
    await client.hears("<bind");
    return client;
  }

  sends(text: string): void {
    this.conn.owner?.feed(Buffer.from(text));
  }

  /** Waits until the server has written one of `texts`, after what was heard before; tells which. */
  async hears(...texts: string[]): Promise<string> {
    for (let tries = 0; tries < 500; tries++) {
      for (const text of texts) {
        const at = this.conn.written.indexOf(text, this.heard);
        if (at < 0) continue;
        this.heard = at + text.length;
        return text;
      }
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    throw new Error(`The server did not write ${texts.join(" or ")} but: ${this.rest}`);
  }

  /** What the server has written since the last thing that was heard. */
  get rest(): string {
    return this.conn.written.slice(this.heard);
  }
}
