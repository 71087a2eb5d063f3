// A test client: sends raw XML, and takes what the server sends one element after the other.
import { expect } from "vitest";
import { type Door, TcpWire, WebSocketWire, type Wire, type WireEvents } from "./client-wire.ts";
import { mismatch, NS_CLIENT, parseTemplate, parseWhole, show, type XElement } from "./match.ts";

const NS_SM = "urn:xmpp:sm:3";
const NS_FRAMING = "urn:ietf:params:xml:ns:xmpp-framing";
/** Milliseconds that an expected element may take. */
const PATIENCE = 3000;

/** Where a client connects to. */
export interface Target {
  door: Door;
  port: number;
  tls?: boolean;
  path?: string;
  serverName?: string;
  protocol?: string;
}

export interface Account {
  local: string;
  domain: string;
  password: string;
}

/** Counts what a story has checked: one that checks nothing proves nothing. */
export interface Tally {
  assertions: number;
}

export class Client implements WireEvents {
  wire!: Wire;
  /** The last stream header. */
  streamHeader: XElement | undefined;
  features: XElement | undefined;
  full = "";
  /** The server closed its stream. */
  streamEnded = false;
  /** The connection is gone. */
  gone = false;
  closeCode: number | undefined;
  /** Stanzas received since stream management was enabled. */
  received = 0;
  /** The id that resumes this client's stream. */
  resumeId = "";
  managed = false;
  /** Show the server's <r/> instead of passing over it. */
  showsRequests = false;
  private readonly queue: XElement[] = [];
  private unreadable: Error | undefined;
  private wake: (() => void) | undefined;
  private pings = 0;
  private headers = 0;

  constructor(
    readonly account: Account,
    readonly tally: Tally,
    /** Makes sure that the server is done with what the other clients of the story have sent. */
    private readonly settleOthers: (except: Client) => Promise<void> = async () => {},
  ) {}

  get local(): string {
    return this.account.local;
  }
  get domain(): string {
    return this.account.domain;
  }
  get bare(): string {
    return `${this.local}@${this.domain}`;
  }
  get resource(): string {
    return this.full.slice(this.full.indexOf("/") + 1);
  }

  // --- What the wire tells --------------------------------------------------------------------------------------------

  header(e: XElement): void {
    this.streamHeader = e;
    this.headers++;
    this.woken();
  }
  element(e: XElement): void {
    if (e.ns === NS_SM && e.name === "r" && !this.showsRequests) return;
    if (e.ns === NS_CLIENT) this.received++;
    this.queue.push(e);
    this.woken();
  }
  streamEnd(): void {
    this.streamEnded = true;
    this.woken();
  }
  closed(code?: number): void {
    this.gone = true;
    this.closeCode = code;
    this.woken();
  }
  broken(error: Error): void {
    this.unreadable ??= error;
    this.woken();
  }

  private woken(): void {
    this.wake?.();
  }

  /** Waits until `ready`; false when it does not come about in time. */
  private async until(ready: () => boolean, patience = PATIENCE): Promise<boolean> {
    const deadline = Date.now() + patience;
    while (!ready()) {
      if (this.unreadable) throw new Error(`${this.name} got what cannot be read: ${this.unreadable.message}`);
      const left = deadline - Date.now();
      if (left <= 0) return false;
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, left);
        this.wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
    return true;
  }

  private get name(): string {
    return this.full || this.bare;
  }

  // --- Connecting -----------------------------------------------------------------------------------------------------

  async connects(target: Target): Promise<this> {
    this.streamEnded = false;
    this.gone = false;
    this.wire =
      target.door === "tcp"
        ? await TcpWire.open(target, this)
        : await WebSocketWire.open(
            `${target.tls ? "wss" : "ws"}://127.0.0.1:${target.port}${target.path ?? "/ws-xmpp"}`,
            this,
            target.protocol,
          );
    return this;
  }

  /** Sends a stream header, as the door has it, without waiting. */
  sendsHeader(to: string | undefined = this.domain, more = "version='1.0'"): void {
    const address = to === undefined ? "" : ` to='${to}'`;
    this.wire.restart();
    this.wire.send(
      this.wire.door === "tcp"
        ? `<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'${address} ${more}>`
        : `<open xmlns='${NS_FRAMING}'${address} ${more}/>`,
    );
  }

  /** Opens a stream and takes the server's header and features. */
  async opens(to = this.domain): Promise<XElement> {
    const before = this.headers;
    this.sendsHeader(to);
    if (!(await this.until(() => this.headers > before))) throw new Error(`${this.name} got no stream header`);
    this.features = await this.next();
    if (this.features.name !== "features") throw new Error(`Features expected, got ${show(this.features)}`);
    return this.features;
  }

  /** Waits for the server's stream header. */
  async receivesHeader(): Promise<XElement> {
    expect(await this.until(() => this.streamHeader !== undefined), "a stream header comes").toBe(true);
    return this.streamHeader!;
  }

  /** SASL PLAIN, and the stream after it. */
  async authenticates(): Promise<void> {
    const { local, password } = this.account;
    this.sendsRaw(plain(local, password));
    await this.receives`<success xmlns="urn:ietf:params:xml:ns:xmpp-sasl"/>`;
    await this.opens();
  }

  async binds(resource?: string): Promise<void> {
    const wanted = resource === undefined ? "" : `<resource>${resource}</resource>`;
    this.sendsRaw(
      `<iq xmlns='jabber:client' id='bind' type='set'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>${wanted}</bind></iq>`,
    );
    const answer = await this.receives`<iq id="bind" type="result"/>`;
    const jid = /<jid>([^<]+)<\/jid>/.exec(show(answer))?.[1];
    if (jid === undefined) throw new Error(`No JID in ${show(answer)}`);
    this.full = jid;
  }

  /** From nothing to a bound session. */
  async logsIn(target: Target, resource?: string): Promise<this> {
    await this.connects(target);
    await this.opens();
    await this.authenticates();
    await this.binds(resource);
    return this;
  }

  /** Sends initial presence and takes its own copy. */
  async comesOnline(priority?: number): Promise<this> {
    const inner = priority === undefined ? "" : `<priority>${priority}</priority>`;
    this.sendsRaw(`<presence xmlns='jabber:client'>${inner}</presence>`);
    await this.receives`<presence from="${this.full}" to="${this.full}"/>`;
    return this;
  }

  // --- Talking --------------------------------------------------------------------------------------------------------

  /** Sends text as it is. */
  sendsRaw(text: string | Uint8Array): void {
    this.wire.send(text);
  }

  /** Sends one element; on a WebSocket the namespace of clients is declared when it has none. */
  sends(strings: TemplateStringsArray, ...values: unknown[]): void {
    this.says(String.raw({ raw: strings }, ...values).trim());
  }

  /** As `sends`, for text that was made elsewhere. */
  says(text: string): void {
    this.wire.send(this.wire.door === "tcp" ? text : declared(text));
  }

  /** The next element, whatever it is. */
  async next(): Promise<XElement> {
    if (!(await this.until(() => this.queue.length > 0 || this.gone))) throw new Error(`${this.name} received nothing`);
    const e = this.queue.shift();
    if (e === undefined) throw new Error(`The connection of ${this.name} ended`);
    return e;
  }

  /** What has come and was not asked for yet. */
  get waiting(): readonly XElement[] {
    return this.queue;
  }

  /** The next element is like this; of several, all come next, in any order. Returns the last. */
  async receives(strings: TemplateStringsArray, ...values: unknown[]): Promise<XElement> {
    return this.hears(String.raw({ raw: strings }, ...values));
  }

  /** As `receives`, for a template that was made elsewhere. */
  async hears(template: string): Promise<XElement> {
    this.tally.assertions++;
    const wanted = parseTemplate(template);
    let last: XElement | undefined;
    while (wanted.length > 0) {
      let actual: XElement;
      try {
        actual = await this.next();
      } catch (error) {
        throw new Error(
          `${(error as Error).message}, but should have received\n  ${wanted.map((w) => show(w)).join("\n  ")}`,
        );
      }
      const reasons: string[] = [];
      const hit = wanted.findIndex((w) => {
        const why = mismatch(w, actual);
        if (why !== undefined) reasons.push(why);
        return why === undefined;
      });
      if (hit < 0) {
        throw new Error(
          `${this.name} received\n  ${show(actual)}\nbut should have received\n  ${wanted.map((w) => show(w)).join("\n  ")}\n${reasons.join("\n")}`,
        );
      }
      wanted.splice(hit, 1);
      last = actual;
    }
    return last!;
  }

  /** Drops what comes until an element is the one looked for. */
  async skipsTo(wanted: (e: XElement) => boolean): Promise<XElement> {
    for (;;) {
      const e = await this.next();
      if (wanted(e)) return e;
    }
  }

  /** The first element that is like this; what has come before it stays where it is. */
  async takes(wanted: (e: XElement) => boolean): Promise<XElement> {
    await this.until(() => this.queue.some(wanted) || this.gone);
    const at = this.queue.findIndex(wanted);
    if (at < 0) throw new Error(`${this.name} has not received what was looked for`);
    return this.queue.splice(at, 1)[0];
  }

  /** Nothing has come, and nothing comes from what anybody in the story has sent so far. */
  async receivesNothing(): Promise<void> {
    this.tally.assertions++;
    await this.settleOthers(this);
    const came = await this.settles();
    if (came.length > 0)
      throw new Error(`${this.name} should have received nothing, got\n  ${came.map((e) => show(e)).join("\n  ")}`);
  }

  /** Waits until the server has handled what this client sent; returns (and takes) what came meanwhile. */
  async settles(): Promise<XElement[]> {
    if (this.gone) return this.queue.splice(0);
    const isPong = this.pong();
    if (!(await this.until(() => this.queue.some(isPong) || this.gone))) throw new Error(`${this.name} got no pong`);
    return this.queue.splice(0).filter((e) => !isPong(e));
  }

  /** As `settles`, leaving what came in place. */
  async settled(): Promise<void> {
    if (this.gone) return;
    const isPong = this.pong();
    if (!(await this.until(() => this.queue.some(isPong) || this.gone))) throw new Error(`${this.name} got no pong`);
    const at = this.queue.findIndex(isPong);
    if (at >= 0) this.queue.splice(at, 1);
  }

  /** Asks the server for a sign of life that its answers in order: a ping, or <r/>, which counters do not see. */
  private pong(): (e: XElement) => boolean {
    if (this.managed) {
      this.sendsRaw(`<r xmlns='${NS_SM}'/>`);
      return (e) => e.name === "a" && e.ns === NS_SM;
    }
    const id = `settle-${++this.pings}`;
    this.received--;
    this.sendsRaw(
      `<iq xmlns='jabber:client' type='get' id='${id}' to='${this.domain}'><ping xmlns='urn:xmpp:ping'/></iq>`,
    );
    return (e) => e.name === "iq" && e.attrs["id"] === id;
  }

  /** Turns stream management on, with resumption or without. */
  async managesStream(resume = true): Promise<void> {
    this.sendsRaw(`<enable xmlns='${NS_SM}'${resume ? " resume='true'" : ""}/>`);
    const enabled = await this.next();
    if (enabled.name !== "enabled") throw new Error(`Stream management was not enabled: ${show(enabled)}`);
    this.resumeId = enabled.attrs["id"] ?? "";
    this.managed = true;
    this.received = 0;
  }

  /** Asks for a namespace's <enable/> for this session (carbons). */
  async enables(what: "carbons"): Promise<void> {
    this.says(`<iq type="set" id="enable-${what}"><enable xmlns="urn:xmpp:${what}:2"/></iq>`);
    await this.hears(`<iq type="result" id="enable-${what}"/>`);
  }

  // --- The end --------------------------------------------------------------------------------------------------------

  /** The stream ends with this error, is closed, and so is the connection. */
  async receivesStreamError(condition: string, application = ""): Promise<XElement> {
    const error = await this.hears(
      `<stream:error><${condition} xmlns="urn:ietf:params:xml:ns:xmpp-streams"/>${application}</stream:error>`,
    );
    await this.receivesEnd();
    return error;
  }

  /** The server closes its stream and the connection. */
  async receivesEnd(): Promise<void> {
    this.tally.assertions++;
    expect(await this.until(() => this.streamEnded), `${this.name}: the server closes the stream`).toBe(true);
    await this.losesConnection();
  }

  /** The connection ends. */
  async losesConnection(patience?: number): Promise<void> {
    this.tally.assertions++;
    expect(await this.until(() => this.gone, patience), `${this.name}: the connection ends`).toBe(true);
    expect(this.queue.map((e) => show(e))).toEqual([]);
  }

  /** Closes the stream politely and waits for the server to close it too. */
  async leaves(): Promise<void> {
    this.wire.send(this.wire.door === "tcp" ? "</stream:stream>" : `<close xmlns='${NS_FRAMING}'/>`);
    await this.until(() => this.streamEnded && this.gone);
  }

  /** The network breaks. */
  async breaks(): Promise<void> {
    this.wire.cut();
    await this.until(() => this.gone);
  }
}

/** <auth/> of SASL PLAIN (RFC 4616). */
export function plain(local: string, password: string): string {
  const data = Buffer.from(`\0${local}\0${password}`).toString("base64");
  return `<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>${data}</auth>`;
}

function declared(text: string): string {
  const tag = /^<([\w:.-]+)([^>]*)>/.exec(text);
  if (!tag || /\sxmlns=/.test(tag[2])) return text;
  return `<${tag[1]} xmlns='${NS_CLIENT}'${text.slice(tag[1].length + 1)}`;
}

export { parseWhole };
