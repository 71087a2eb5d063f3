// Streams by the grammar of XML with namespaces, and damage to them.

import type { Random } from "./random.ts";

const SPACES = ["", "", "", " ", "\n", "\t", "\r\n", "  "];
const GAPS = [" ", " ", " ", "\n", "\t ", "\r\n"];
const PREFIXES = ["a", "b", "x", "stream", "xm", "xmln", "p-1", "\u00e9", "\ufeffa", "a\u00b7", "\u{10400}", "_"];
const URIS = [
  "jabber:client",
  "jabber:client",
  "urn:x",
  "urn:x",
  "urn:&#x78;",
  "urn:a&amp;b",
  "http://etherx.jabber.org/streams",
  "urn:\u00fc",
  "a b",
  "http://www.w3.org/XML/1998/namespaces",
  "&#106;abber:client",
];
const STANZAS = ["message", "message", "presence", "iq", "r", "auth"];
const NAMES = ["body", "body", "query", "x", "error", "n\u00e4me", "a.b-c_d", "_", "\u{10400}z", "a\u0300", "message"];
const ATTRIBUTES = ["to", "from", "id", "type", "xml:lang", "node", "\u00e4", "k.1", "lang", "t\u1680o", "__proto__"];
const VALUES = [
  "",
  "chat",
  "a@b/c",
  "x>y",
  "/>",
  "]]>",
  "&lt;&gt;&amp;&quot;&apos;",
  "&#65;",
  "&#x1F600;",
  "&#10;",
  "two\nlines",
  "\ttab",
  "caf\u00e9",
  "\u{1f600}",
  "\ufffd",
  "x='1'",
  "&amp;lt;",
];
const TEXTS = [
  "hello",
  " ",
  "\n",
  "]",
  "]]",
  "] ]>",
  ">",
  "'\"",
  "&lt;",
  "&amp;amp;",
  "&#9;",
  "&#xD7FF;",
  "&#x10FFFF;",
  "caf\u00e9 \u20ac \u{1f600}",
  "\u007f\u0085",
  "\r\n",
  "<![CDATA[<a>&b;]] ]]>",
  "<![CDATA[]]>",
  "<![CDATA[]]]]>",
  "<![CDATA[x]]>tail",
];

class Writer {
  out = "";
  constructor(
    readonly r: Random,
    /** Prefixes that are bound where the writer is. */
    readonly bound: string[],
  ) {}

  private quoted(value: string): string {
    const q = this.r.once(3) ? '"' : "'";
    return q + value.replaceAll(q, q === '"' ? "&quot;" : "&apos;") + q;
  }

  private attribute(name: string, value: string): void {
    const { r } = this;
    const eq = r.once(8) ? `${r.pick(SPACES)}=${r.pick(SPACES)}` : "=";
    this.out += `${r.pick(GAPS)}${name}${eq}${this.quoted(value)}`;
  }

  element(name: string, depth: number, ns?: string): void {
    const { r } = this;
    const before = this.bound.length;
    const declared: [string, string][] = [];
    const names = new Set<string>();
    if (ns !== undefined) declared.push(["xmlns", ns]);
    else if (r.once(6)) declared.push(["xmlns", r.once(5) ? "" : r.pick(URIS)]);
    while (r.once(5)) {
      const prefix = r.pick(PREFIXES);
      if (names.has(prefix)) continue;
      names.add(prefix);
      declared.push([`xmlns:${prefix}`, r.pick(URIS)]);
      this.bound.push(prefix);
    }
    if (r.once(40)) declared.push(["xmlns:xml", "http://www.w3.org/XML/1998/namespace"]);
    const full =
      this.bound.length > 0 && r.once(12) ? `${r.pick(this.bound)}:${name}` : r.once(60) ? `xml:${name}` : name;
    this.out += `<${full}`;
    const used = new Set<string>();
    const own = r.below(4);
    for (let k = 0; k < own; k++) {
      let key = r.pick(ATTRIBUTES);
      if (this.bound.length > 0 && r.once(6)) key = `${r.pick(this.bound)}:${key.replace("xml:", "")}`;
      if (!used.has(key)) declared.push([key, r.pick(VALUES)]);
      used.add(key);
    }
    // Declarations may come after their use.
    for (let k = declared.length - 1; k > 0; k--) {
      const o = r.below(k + 1);
      [declared[k], declared[o]] = [declared[o], declared[k]];
    }
    for (const [key, value] of declared) this.attribute(key, value);
    this.out += r.pick(SPACES);
    const children = depth > 4 ? 0 : r.below(4);
    if (children === 0 && r.once(2)) this.out += "/>";
    else {
      this.out += ">";
      for (let k = 0; k < children; k++) {
        if (r.once(2)) this.out += r.pick(TEXTS);
        else this.element(r.pick(NAMES), depth + 1);
      }
      this.out += `</${full}${r.pick(SPACES)}>`;
    }
    this.bound.length = before;
  }
}

const DECLARATIONS = [
  "",
  "",
  "<?xml version='1.0'?>",
  '<?xml version="1.0" encoding="UTF-8"?>',
  "<?xml\tversion = '1.0' encoding='utf-8' standalone='yes' ?>\n",
  "\n<?xml version='1.0'?>",
];
const CONTENT_NS = ["jabber:client", "jabber:client", "jabber:client", "jabber:client", "", "urn:x"];

/** A stream that is well-formed in nearly every case (a prefix may be bound to two attributes of one name). */
export function stream(r: Random): string {
  const bound: string[] = ["stream"];
  let header = `${r.pick(DECLARATIONS)}<stream:stream xmlns:stream='http://etherx.jabber.org/streams'`;
  const content = r.pick(CONTENT_NS);
  if (content !== "") header += ` xmlns='${content}'`;
  if (r.once(5)) {
    header += ` xmlns:c='jabber:client'`;
    bound.push("c");
  }
  if (r.once(5)) {
    header += ` xmlns:x="urn:x"`;
    bound.push("x");
  }
  const w = new Writer(r, bound);
  w.out = `${header} to='example.com' version='1.0'${r.pick(SPACES)}>`;
  for (let k = r.below(4); k > 0; k--) {
    if (r.once(3)) w.out += r.pick(GAPS);
    w.element(r.pick(STANZAS), 0, r.once(8) ? "jabber:client" : undefined);
  }
  if (r.once(2)) w.out += `</stream:stream${r.pick(SPACES)}>`;
  return w.out;
}

const FRAGMENTS = [
  ..."<>/='\"&;:]! \n?-",
  "<!--",
  "<!-- c -->",
  "<?pi x?>",
  "<?xml version='1.0'?>",
  "<?xml",
  "?>",
  "<!DOCTYPE a>",
  "<!D",
  "<!",
  "<![CDATA[",
  "<![CDATA[ ]]>",
  "]]>",
  "&lt;",
  "&#0;",
  "&#x41;",
  "&#xD800;",
  "&#1114112;",
  "&#;",
  "&#x;",
  "&foo;",
  "&a:b;",
  "&lt",
  " xmlns='urn:x'",
  " xmlns=''",
  " xmlns:a='urn:x'",
  " xmlns:b='urn:x'",
  " xmlns:b='urn:&#x78;'",
  " xmlns:a=''",
  " xmlns:xml='urn:x'",
  " xmlns:xml='http://www.w3.org/XML/1998/namespace'",
  " xmlns:a='http://www.w3.org/XML/1998/namespace'",
  " xmlns:a='http&#58;//www.w3.org/XML/1998/namespace'",
  " xmlns='http://www.w3.org/XML/1998/namespace'",
  " xmlns:a='http://www.w3.org/2000/xmlns/'",
  " xmlns='http://www.w3.org/2000/xmlns/'",
  " xmlns='http://www.w3.org/2000/xmlns&#x2f;'",
  " xmlns:xmlns='urn:x'",
  " xmlns:xmlfoo='urn:x'",
  "xmlns:",
  "xml:",
  "a:",
  "x:",
  "stream:",
  " a:k='1'",
  " b:k='2'",
  " k='1'",
  " xml:lang='en'",
  " xmx:lang='en'",
  " id = '1'",
  " id",
  " id=1",
  "<a/>",
  "<a>",
  "</a>",
  "</ a>",
  "< a/>",
  "<a / >",
  "<stream:x/>",
  "</stream:stream>",
  "<message/>",
  "</message>",
  "<a:b/>",
  "text",
  "\0",
  "\u0001",
  "\u007f",
  "\u00a0",
  "\u00d7",
  "\u0300",
  "\u0085",
  "\u2028",
  "\ufeff",
  "\ufffe",
  "\u{10ffff}",
  "\u{f0000}",
].map((f) => Buffer.from(f));
const BYTES = [
  [0x80],
  [0xff],
  [0xc0, 0x80],
  [0xc3],
  [0xe2, 0x82],
  [0xed, 0xa0, 0x80],
  [0xf0, 0x9f],
  [0xf4, 0x90, 0x80, 0x80],
];
const DAMAGE = [...FRAGMENTS, ...FRAGMENTS, ...BYTES.map((b) => Buffer.from(b))];

const EDGES = new Set(Buffer.from(" <>/='\""));

/** One change to a stream: a byte, a piece put in, taken out, doubled or moved, or the end cut off. */
export function mutate(r: Random, bytes: Buffer): Buffer {
  const n = bytes.length;
  let at = r.below(n + 1);
  // Between two tokens a piece does more harm than in the middle of one.
  if (r.once(2)) while (at < n && !EDGES.has(bytes[at])) at++;
  const to = Math.min(n, at + 1 + r.below(r.once(3) ? 40 : 4));
  switch (r.below(10)) {
    case 0: {
      const copy = Buffer.from(bytes);
      copy[Math.min(at, n - 1)] ^= 1 << r.below(8);
      return copy;
    }
    case 1: {
      const copy = Buffer.from(bytes);
      copy[Math.min(at, n - 1)] = r.below(256);
      return copy;
    }
    case 2:
    case 3:
      return Buffer.concat([bytes.subarray(0, at), bytes.subarray(to)]);
    case 4:
      return Buffer.concat([bytes.subarray(0, to), bytes.subarray(at)]);
    case 5: {
      const where = r.below(n + 1);
      return Buffer.concat([bytes.subarray(0, where), bytes.subarray(at, to), bytes.subarray(where)]);
    }
    case 6:
      return r.once(3)
        ? bytes.subarray(0, at)
        : Buffer.concat([bytes.subarray(0, at), r.pick(DAMAGE), bytes.subarray(to)]);
    default:
      return Buffer.concat([bytes.subarray(0, at), r.pick(DAMAGE), bytes.subarray(at)]);
  }
}
