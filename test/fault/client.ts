// A small XMPP client for load: plain TCP, PLAIN, stream management. It hands on each first-level element as text and
// understands only what a load test needs; it trusts that what the server sends is well-formed.

import type { Socket } from "bun";

/** End of the first first-level element of `text`, or -1 when it is not all there. */
function elementEnd(text: string): number {
  let depth = 0;
  for (let at = text.indexOf("<"); at >= 0; ) {
    const end = text.indexOf(">", at);
    if (end < 0) return -1;
    if (text[at + 1] === "/") depth--;
    else if (text[end - 1] !== "/") depth++;
    if (depth <= 0) return end + 1;
    at = text.indexOf("<", end);
  }
  return -1;
}

export const attribute = (element: string, name: string): string | undefined =>
  new RegExp(`^<[^>]* ${name}=['"]([^'"]*)`).exec(element)?.[1];

export interface LoadEvents {
  /** A message, presence or iq that `ask` does not wait for. */
  stanza(element: string): void;
  /** The server has handled so many of our stanzas since <enable/>. */
  acknowledged(h: number): void;
}

export class LoadClient {
  /** Resolves when the connection is gone, whoever ended it. */
  readonly gone: Promise<void>;
  /** Names the stream for `resume`. */
  streamId = "";
  /** Stanzas received since <enabled/>. */
  received = 0;
  private tellGone: () => void = () => {};
  private isGone = false;
  private text = "";
  private readonly decoder = new TextDecoder();
  private socket!: Socket<undefined>;
  private managed = false;
  /** Bytes that the kernel did not take. */
  private rest = Buffer.alloc(0);
  private readonly waiting: { wants: RegExp; resolve(element: string): void; reject(error: Error): void }[] = [];

  private constructor(
    readonly user: string,
    private readonly events: LoadEvents,
    readonly domain: string,
  ) {
    this.gone = new Promise((resolve) => {
      this.tellGone = resolve;
    });
  }

  /** Connects and opens a stream. */
  static async connect(port: number, user: string, events: LoadEvents, domain = "localhost"): Promise<LoadClient> {
    const client = new LoadClient(user, events, domain);
    client.socket = await Bun.connect({
      hostname: "127.0.0.1",
      port,
      socket: {
        data: (_, bytes) => client.feed(bytes),
        drain: () => client.drain(),
        close: () => client.ended(),
        error: () => client.ended(),
      },
    });
    await client.open();
    return client;
  }

  /** Connects, authenticates, binds and, unless it is not wanted, turns stream management on. */
  static async login(
    port: number,
    user: string,
    resource: string,
    events: LoadEvents,
    manage = true,
    domain = "localhost",
  ): Promise<LoadClient> {
    const client = await LoadClient.connect(port, user, events, domain);
    await client.authenticate();
    const bind = `<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>${resource}</resource></bind>`;
    await client.ask("bind", `<iq type='set' id='bind'>${bind}</iq>`);
    if (!manage) return client;
    const enabled = client.sees(/^<(enabled|failed)/);
    client.send("<enable xmlns='urn:xmpp:sm:3' resume='true'/>");
    client.streamId = attribute(await enabled, "id") ?? "";
    client.managed = true;
    return client;
  }

  /** Connects and resumes the stream of a client whose connection broke. */
  static async resume(port: number, broken: LoadClient, events: LoadEvents): Promise<LoadClient | undefined> {
    const client = await LoadClient.connect(port, broken.user, events);
    await client.authenticate();
    const resumed = client.sees(/^<(resumed|failed)/);
    client.managed = true;
    client.received = broken.received;
    client.streamId = broken.streamId;
    client.send(`<resume xmlns='urn:xmpp:sm:3' h='${broken.received}' previd='${broken.streamId}'/>`);
    const answer = await resumed;
    if (answer.startsWith("<failed")) {
      client.cut();
      return undefined;
    }
    events.acknowledged(Number(attribute(answer, "h")));
    return client;
  }

  /** Makes the account (XEP-0077). The password is "password". */
  static async register(port: number, user: string): Promise<void> {
    const client = await LoadClient.connect(port, user, { stanza() {}, acknowledged() {} });
    const fields = `<username>${user}</username><password>password</password>`;
    const answer = await client.ask(
      "reg",
      `<iq type='set' id='reg'><query xmlns='jabber:iq:register'>${fields}</query></iq>`,
    );
    if (attribute(answer, "type") !== "result" && !answer.includes("<conflict")) {
      throw new Error(`Cannot register ${user}: ${answer}`);
    }
    client.cut();
  }

  private async authenticate(): Promise<void> {
    const success = this.sees(/^<(success|failure)/);
    const plain = Buffer.from(`\0${this.user}\0password`).toString("base64");
    this.send(`<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>${plain}</auth>`);
    const answer = await success;
    if (answer.startsWith("<failure")) throw new Error(`Cannot log in as ${this.user}: ${answer}`);
    await this.open();
  }

  private async open(): Promise<void> {
    const features = this.sees(/^<stream:features/);
    this.send(
      `<?xml version='1.0'?><stream:stream to='${this.domain}' version='1.0' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>`,
    );
    await features;
  }

  /** Sends a request and waits for its answer. */
  ask(id: string, iq: string): Promise<string> {
    const answer = this.sees(new RegExp(`^<iq[^>]* id='${id}'`));
    this.send(iq);
    return answer;
  }

  /** Waits until the server has handled everything sent before. */
  async settled(id: string): Promise<void> {
    await this.ask(id, `<iq type='get' id='${id}' to='${this.domain}'><ping xmlns='urn:xmpp:ping'/></iq>`);
  }

  /** The next element that matches. */
  private sees(wants: RegExp): Promise<string> {
    if (this.isGone) return Promise.reject(new Error(`${this.user}: the connection is gone`));
    return new Promise((resolve, reject) => this.waiting.push({ wants, resolve, reject }));
  }

  send(text: string): void {
    const bytes = Buffer.from(text);
    if (this.rest.length > 0) {
      this.rest = Buffer.concat([this.rest, bytes]);
      return;
    }
    const taken = this.socket.write(bytes);
    if (taken >= 0 && taken < bytes.length) this.rest = Buffer.from(bytes.subarray(taken));
  }

  private drain(): void {
    if (this.rest.length === 0) return;
    const bytes = this.rest;
    this.rest = Buffer.alloc(0);
    const taken = this.socket.write(bytes);
    if (taken >= 0 && taken < bytes.length) this.rest = Buffer.from(bytes.subarray(taken));
  }

  /** Closes the stream as RFC 6120 §4.4 says: what the server has sent before its own end still arrives. */
  async close(): Promise<void> {
    this.send("</stream:stream>");
    await Promise.race([this.gone, Bun.sleep(5_000)]);
    this.cut();
  }

  /** Breaks the connection. */
  cut(): void {
    this.socket.terminate();
    this.ended();
  }

  pause(): void {
    this.socket.pause();
  }

  unpause(): void {
    this.socket.resume();
  }

  private ended(): void {
    if (this.isGone) return;
    this.isGone = true;
    for (const { reject } of this.waiting.splice(0)) reject(new Error(`${this.user}: the connection is gone`));
    this.tellGone();
  }

  private feed(bytes: Uint8Array): void {
    this.text += this.decoder.decode(bytes, { stream: true });
    // The server's stream header is an element that does not end.
    const header = /^(<\?xml[^>]*>)?<stream:stream[^>]*>/.exec(this.text);
    if (header !== null) this.text = this.text.slice(header[0].length);
    for (let end = elementEnd(this.text); end > 0; end = elementEnd(this.text)) {
      const element = this.text.slice(0, end);
      this.text = this.text.slice(end);
      this.take(element);
    }
  }

  private take(element: string): void {
    const isStanza = /^<(message|presence|iq)[ >/]/.test(element);
    if (isStanza && this.managed) this.received++;
    const at = this.waiting.findIndex(({ wants }) => wants.test(element));
    if (at >= 0) this.waiting.splice(at, 1)[0].resolve(element);
    else if (isStanza) this.events.stanza(element);
    else if (element.startsWith("<a ")) this.events.acknowledged(Number(attribute(element, "h")));
    else if (element.startsWith("<r ")) this.send(`<a xmlns='urn:xmpp:sm:3' h='${this.received}'/>`);
  }
}
