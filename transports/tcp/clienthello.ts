// Reads a TLS ClientHello before any TLS is done, to choose the certificate by the name that the client asks for.

/** What a client asks for. */
export interface ClientHello {
  /** The domain of server_name (RFC 6066 §3), in lower case. */
  readonly serverName?: string;
  /** The protocols of ALPN (RFC 7301), none when the client does not use it. */
  readonly alpn: readonly string[];
}

/** "more": the ClientHello is not whole yet; "bad": it will never be one. */
export type HelloResult = ClientHello | "more" | "bad";

/** A ClientHello that is longer, in all its records, is refused. */
export const MOST_HELLO_BYTES = 16_384;

const RECORD_HEADER = 5;
const HANDSHAKE_HEADER = 4;
const HANDSHAKE_RECORD = 0x16;
const CLIENT_HELLO = 1;
const SERVER_NAME = 0;
const ALPN = 16;
const HOST_NAME = 0;
const NONE = new Uint8Array(0);
const DOMAIN = /^[a-z0-9_](?:[a-z0-9_.-]{0,252}[a-z0-9_])?$/;

/** Collects the first bytes of a connection, in whatever pieces they come, until they hold a ClientHello. */
export class ClientHelloReader {
  #bytes: Uint8Array = NONE;
  /** Nothing new can be told before this many bytes are there: pieces of one byte cost no parsing. */
  #needed = RECORD_HEADER;

  /** Everything received so far: the TLS engine has to see it too. Valid until the call that fed the last piece ends. */
  get bytes(): Uint8Array {
    return this.#bytes;
  }

  /** Takes a piece, which it copies only if it has to wait. Not to be called again after "bad" or a ClientHello. */
  feed(piece: Uint8Array): HelloResult {
    this.#bytes = this.#bytes.length === 0 ? piece : Buffer.concat([this.#bytes, piece]);
    const waits = this.#bytes.length < this.#needed && this.#bytes[0] === HANDSHAKE_RECORD;
    const result = waits ? "more" : this.#parse();
    if (result === "more" && this.#bytes === piece) this.#bytes = Buffer.from(piece);
    return result;
  }

  /** Joins the records' contents until they hold the whole handshake message (RFC 8446 §5.1, RFC 5246 §6.2.1). */
  #parse(): HelloResult {
    const bytes = this.#bytes;
    const fragments: Uint8Array[] = [];
    let joined = 0;
    let message = HANDSHAKE_HEADER;
    for (let at = 0; at < MOST_HELLO_BYTES; ) {
      if (bytes.length > at && bytes[at] !== HANDSHAKE_RECORD) return "bad";
      if (bytes.length > at + 1 && bytes[at + 1] !== 3) return "bad";
      if (bytes.length < at + RECORD_HEADER) return this.#wait(at + RECORD_HEADER);
      const length = bytes[at + 3]! * 256 + bytes[at + 4]!;
      const end = at + RECORD_HEADER + length;
      if (length === 0 || end > MOST_HELLO_BYTES) return "bad";
      if (bytes.length < end) return this.#wait(end);
      fragments.push(bytes.subarray(at + RECORD_HEADER, end));
      joined += length;
      if (joined >= HANDSHAKE_HEADER && message === HANDSHAKE_HEADER) {
        const start = join(fragments);
        const body = start[1]! * 65_536 + start[2]! * 256 + start[3]!;
        if (start[0] !== CLIENT_HELLO || body === 0) return "bad";
        message = HANDSHAKE_HEADER + body;
      }
      if (joined >= message && message > HANDSHAKE_HEADER) {
        return parseHello(join(fragments).subarray(HANDSHAKE_HEADER, message)) ?? "bad";
      }
      at = end;
    }
    return "bad";
  }

  #wait(needed: number): "more" {
    this.#needed = needed;
    return "more";
  }
}

/** Nearly always there is one fragment, and nothing to copy. */
function join(fragments: readonly Uint8Array[]): Uint8Array {
  return fragments.length === 1 ? fragments[0]! : Buffer.concat(fragments);
}

/** The body of a ClientHello (RFC 8446 §4.1.2); undefined when its lengths do not fit. */
function parseHello(body: Uint8Array): ClientHello | undefined {
  const cursor = new Cursor(body);
  cursor.take(2 + 32); // version, random
  cursor.take(cursor.number(1)); // session id
  const suites = cursor.number(2);
  if (suites === 0 || suites % 2 === 1) return undefined;
  cursor.take(suites);
  cursor.take(cursor.number(1)); // compression methods
  let serverName: string | undefined;
  let alpn: string[] = [];
  if (cursor.left > 0) {
    const extensions = cursor.inner(2);
    if (cursor.left > 0) return undefined;
    while (extensions.left > 0 && !extensions.overrun) {
      const type = extensions.number(2);
      const data = extensions.inner(2);
      if (type === SERVER_NAME) serverName = parseServerName(data);
      else if (type === ALPN) alpn = parseAlpn(data);
      if (data.overrun) return undefined;
    }
    if (extensions.overrun) return undefined;
  }
  if (cursor.overrun) return undefined;
  return serverName === undefined ? { alpn } : { serverName, alpn };
}

function parseServerName(data: Cursor): string | undefined {
  const list = data.inner(2);
  let found: string | undefined;
  while (list.left > 0 && !list.overrun) {
    const type = list.number(1);
    const name = text(list.take(list.number(2))).toLowerCase();
    // A name that is no domain finds no certificate: the listener's default answers.
    if (type === HOST_NAME && DOMAIN.test(name)) found ??= name;
  }
  if (list.overrun) data.fail();
  return found;
}

function parseAlpn(data: Cursor): string[] {
  const list = data.inner(2);
  const names: string[] = [];
  while (list.left > 0 && !list.overrun) names.push(text(list.take(list.number(1))));
  if (list.overrun) data.fail();
  return names;
}

function text(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).latin1Slice();
}

/** Reads forward; a read past the end gives zeros and is remembered. */
class Cursor {
  readonly #bytes: Uint8Array;
  #at = 0;
  overrun = false;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get left(): number {
    return this.#bytes.length - this.#at;
  }

  take(length: number): Uint8Array {
    if (length > this.left) {
      this.fail();
      return NONE;
    }
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at);
  }

  number(size: number): number {
    let number = 0;
    for (const byte of this.take(size)) number = number * 256 + byte;
    return number;
  }

  /** What follows its own length of `size` bytes. */
  inner(size: number): Cursor {
    const length = this.number(size);
    const inner = new Cursor(this.take(length));
    if (this.overrun) inner.fail();
    return inner;
  }

  fail(): void {
    this.overrun = true;
    this.#at = this.#bytes.length;
  }
}
