// The part of DER (ITU-T X.690) that certificates need: reading a tree of values and writing one.

/** One value: its tag byte and its contents, `whole` with tag and length. */
export interface Der {
  readonly tag: number;
  readonly contents: Uint8Array;
  readonly whole: Uint8Array;
}

export const TAG = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  oid: 0x06,
  utf8String: 0x0c,
  sequence: 0x30,
  set: 0x31,
  utcTime: 0x17,
  generalizedTime: 0x18,
} as const;

/** The tag of a context-specific value: `[n]`, constructed (explicit, or an implicit sequence) or primitive. */
export function contextTag(n: number, constructed: boolean): number {
  return (constructed ? 0xa0 : 0x80) | n;
}

/** @throws Error when the bytes are not one whole DER value or more */
export function readAll(bytes: Uint8Array): Der[] {
  const values: Der[] = [];
  for (let at = 0; at < bytes.length; ) {
    const value = readOne(bytes, at);
    values.push(value);
    at += value.whole.length;
  }
  return values;
}

function readOne(bytes: Uint8Array, at: number): Der {
  const tag = bytes[at];
  let length = bytes[at + 1];
  let from = at + 2;
  // Tags of several bytes and lengths beyond four bytes occur in no certificate.
  if (tag === undefined || length === undefined || (tag & 0x1f) === 0x1f) throw new Error("Not DER");
  if (length >= 0x80) {
    const size = length & 0x7f;
    if (size === 0 || size > 4) throw new Error("Not DER");
    length = 0;
    for (const end = from + size; from < end; from++) length = length * 256 + (bytes[from] ?? 0);
  }
  if (from + length > bytes.length) throw new Error("DER that ends early");
  return { tag, contents: bytes.subarray(from, from + length), whole: bytes.subarray(at, from + length) };
}

/** An object identifier as text: `1.2.840.113549.1.1.11`. */
export function oidText(contents: Uint8Array): string {
  const arcs: number[] = [];
  let arc = 0;
  for (const byte of contents) {
    arc = arc * 128 + (byte & 0x7f);
    if (byte < 0x80) {
      if (arcs.length === 0) arcs.push(Math.min(2, Math.floor(arc / 40)), arc - 40 * Math.min(2, Math.floor(arc / 40)));
      else arcs.push(arc);
      arc = 0;
    }
  }
  return arcs.join(".");
}

/** Writes one value from its parts. */
export function write(tag: number, ...parts: readonly Uint8Array[]): Buffer {
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  const header = [tag];
  if (length < 0x80) header.push(length);
  else if (length < 0x100) header.push(0x81, length);
  else if (length < 0x10000) header.push(0x82, length >> 8, length & 0xff);
  else header.push(0x83, length >> 16, (length >> 8) & 0xff, length & 0xff);
  return Buffer.concat([Buffer.from(header), ...parts]);
}

export function writeOid(text: string): Buffer {
  const [first = 0, second = 0, ...rest] = text.split(".").map(Number);
  const bytes: number[] = [];
  for (const arc of [first * 40 + second, ...rest]) {
    const groups = [arc & 0x7f];
    for (let more = Math.floor(arc / 128); more > 0; more = Math.floor(more / 128)) {
      groups.unshift((more & 0x7f) | 0x80);
    }
    bytes.push(...groups);
  }
  return write(TAG.oid, Buffer.from(bytes));
}

/** RFC 5280 §4.1.2.5: UTCTime until 2049, GeneralizedTime from 2050. */
export function writeTime(date: Date): Buffer {
  const text = date.toISOString().replace(/[-:T]|\.\d+/g, "");
  return date.getUTCFullYear() < 2050
    ? write(TAG.utcTime, Buffer.from(text.slice(2)))
    : write(TAG.generalizedTime, Buffer.from(text));
}

/** @throws Error when it is no time in the form that RFC 5280 prescribes */
export function readTime(value: Der): Date {
  const text = Buffer.from(value.contents).toString("latin1");
  const short = value.tag === TAG.utcTime;
  const digits = short ? `${Number(text.slice(0, 2)) >= 50 ? "19" : "20"}${text}` : text;
  const match = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/.exec(digits);
  if (match === null) throw new Error(`"${text}" is not a time`);
  const [, year, month, day, hour, minute, second] = match;
  return new Date(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`);
}
