// The PROXY protocol, versions 1 and 2 (haproxy.org/download/3.0/doc/proxy-protocol.txt): a proxy in front of a
// listener says with its first bytes for which client it speaks.
import { isIP } from "node:net";

/** Who the connection is from. */
export interface ProxySource {
  /** The client's address; undefined when the proxy speaks for itself (LOCAL) or does not say (UNKNOWN, UNSPEC). */
  readonly address?: string;
  readonly port?: number;
  /** What was received beyond the header: the client's own first bytes. */
  readonly rest: Uint8Array;
}

/** "more": the header is not whole yet; "bad": there is none, and the connection is to be closed. */
export type ProxyResult = ProxySource | "more" | "bad";

const V1_START = Buffer.from("PROXY ");
const V2_SIGNATURE = Buffer.from("\r\n\r\n\0\r\nQUIT\n", "latin1");
const V1_MOST_BYTES = 107;
const V2_FIXED = 16;
/** Addresses and extensions of version 2: the specification's own bound is 65,535, its real headers have below 600. */
const V2_MOST_LENGTH = 4096;

const COMMAND_LOCAL = 0;
const COMMAND_PROXY = 1;
const AF_INET = 1;
const AF_INET6 = 2;
const STREAM = 1;

/** Collects the first bytes of a connection, in whatever pieces they come, until they hold a header. */
export class ProxyReader {
  #bytes: Buffer = Buffer.alloc(0);

  /** Takes a piece, which it copies as long as it answers "more". Not to be called again after another answer. */
  feed(piece: Uint8Array): ProxyResult {
    this.#bytes = Buffer.concat([this.#bytes, piece]);
    const bytes = this.#bytes;
    if (startsAlike(bytes, V2_SIGNATURE)) return bytes.length < V2_FIXED ? "more" : version2(bytes);
    return startsAlike(bytes, V1_START) ? version1(bytes) : "bad";
  }
}

/** Whether the shorter of both is the start of the longer. */
function startsAlike(bytes: Buffer, expected: Buffer): boolean {
  const length = Math.min(bytes.length, expected.length);
  return bytes.compare(expected, 0, length, 0, length) === 0;
}

/** `PROXY TCP4 192.0.2.1 198.51.100.1 56324 5222\r\n`, at most 107 bytes. */
function version1(bytes: Buffer): ProxyResult {
  const end = bytes.subarray(0, V1_MOST_BYTES).indexOf("\r\n");
  if (end < 0) return bytes.length < V1_MOST_BYTES ? "more" : "bad";
  const rest = bytes.subarray(end + 2);
  const [, family, source = "", destination = "", port = "", destinationPort = "", ...others] = bytes
    .toString("latin1", 0, end)
    .split(" ");
  // What follows UNKNOWN must be passed over.
  if (family === "UNKNOWN") return { rest };
  const kind = family === "TCP4" ? 4 : family === "TCP6" ? 6 : undefined;
  if (kind === undefined || others.length > 0 || isIP(source) !== kind || isIP(destination) !== kind) return "bad";
  if (!isPort(port) || !isPort(destinationPort)) return "bad";
  return { address: plain(source), port: Number(port), rest };
}

function isPort(text: string): boolean {
  return /^(?:0|[1-9]\d{0,4})$/.test(text) && Number(text) <= 65_535;
}

function version2(bytes: Buffer): ProxyResult {
  const [version, command] = [bytes[12]! >> 4, bytes[12]! & 15];
  const [family, protocol] = [bytes[13]! >> 4, bytes[13]! & 15];
  const length = bytes.readUInt16BE(14);
  if (version !== 2 || command > COMMAND_PROXY || family > 3 || protocol > 2 || length > V2_MOST_LENGTH) return "bad";
  if (bytes.length < V2_FIXED + length) return "more";
  const body = bytes.subarray(V2_FIXED, V2_FIXED + length);
  const rest = bytes.subarray(V2_FIXED + length);
  // A proxy that checks whether we are alive speaks for itself; other families than IP tell no address to use.
  if (command === COMMAND_LOCAL || protocol !== STREAM) return { rest };
  if (family === AF_INET) {
    if (length < 12) return "bad";
    return { address: body.subarray(0, 4).join("."), port: body.readUInt16BE(8), rest };
  }
  if (family === AF_INET6) {
    if (length < 36) return "bad";
    return { address: plain(ipv6(body.subarray(0, 16))), port: body.readUInt16BE(32), rest };
  }
  return { rest };
}

function ipv6(bytes: Buffer): string {
  return Array.from({ length: 8 }, (_, i) => bytes.readUInt16BE(i * 2).toString(16)).join(":");
}

/** One way to write each address, that of RFC 5952; an IPv4 address within IPv6 (::ffff:192.0.2.1) is that IPv4 address. */
function plain(address: string): string {
  if (!address.includes(":")) return address;
  const text = new URL(`http://[${address}]/`).hostname.slice(1, -1);
  const mapped = /^::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/.exec(text);
  if (mapped === null) return text;
  const [high, low] = [Number.parseInt(mapped[1]!, 16), Number.parseInt(mapped[2]!, 16)];
  return [high >> 8, high & 255, low >> 8, low & 255].join(".");
}
