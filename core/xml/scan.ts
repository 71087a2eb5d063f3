// The scanner: finds the end of one element in received bytes and validates it on the way (XML 1.0, Namespaces,
// and the restrictions of RFC 6120 §11). It builds no tree; it leaves offsets. A scan can stop at any byte and go on
// when more arrive: the state between tokens lives here, an unfinished tag is read again from its start.

import { NS_XML, NS_XMLNS } from "../ns.ts";
import {
  codePointAt,
  continuesName,
  isSpace,
  isXmlChar,
  NAME,
  NAME_HIGH,
  NAME_START,
  startsName,
  TEXT,
  TEXT_AMP,
  TEXT_BAD,
  TEXT_BRACKET,
  TEXT_LT,
  utf8Length,
  VALUE,
} from "./chars.ts";
import { unescapeXml } from "./markup.ts";

/** Bounds of what one element may be; sizes in bytes. */
export interface Limits {
  /** Bytes of one first-level element. */
  size: number;
  /** Bytes of one tag; bounds what a slow sender can make us read again. */
  tag: number;
  depth: number;
  attributes: number;
  /** Elements in one first-level element. */
  elements: number;
}

export const DEFAULT_LIMITS: Limits = { size: 65_536, tag: 16_384, depth: 64, attributes: 64, elements: 8_192 };

export type FrameCondition = "not-well-formed" | "restricted-xml" | "policy-violation" | "bad-namespace-prefix";

/** What is wrong with received XML, as the stream error to send. */
export class FrameError extends Error {
  override readonly name = "FrameError";
  constructor(
    readonly condition: FrameCondition,
    message: string,
  ) {
    super(message);
  }
}

const malformed = (what: string): never => {
  throw new FrameError("not-well-formed", what);
};
const restricted = (what: string): never => {
  throw new FrameError("restricted-xml", what);
};
const violation = (what: string): never => {
  throw new FrameError("policy-violation", what);
};

/** Namespace prefixes that a stream header declared: in scope for every stanza of the stream. */
export interface Scope {
  readonly defaultNs: string;
  /** [prefix, namespace] pairs, without `xml`. */
  readonly prefixes: readonly (readonly [string, string])[];
}
export const NO_SCOPE: Scope = { defaultNs: "", prefixes: [] };

/** Numbers a child takes in `Scan.kids`: start, end, name start, name end, namespace start, namespace end. */
export const KID = 6;
/** Namespace start of a child that has the default namespace of its stanza. */
export const INHERITED = -1;
/** Namespace start of a child whose prefix the stream header declared. */
const FROM_SCOPE = -2;

const latin1 = new TextDecoder("latin1");
// U+FEFF may start a name: the decoder must not take it for a byte order mark.
const utf8 = new TextDecoder("utf-8", { ignoreBOM: true });

type Mode = 0 | 1;
const CONTENT = 0;
const CDATA = 1;

/** State of one element being scanned. Borrowed from a pool: a connection holds one only between chunks. */
export class Scan {
  depth = 0;
  start = 0;
  elements = 0;
  mode: Mode = CONTENT;
  /** Set when the element cannot be passed on byte by byte (see canonicalText). */
  odd = false;

  // The element's own tag. Offsets are into the buffer; -1 is absent. The x*A fields start at the white space before.
  nameS = 0;
  nameE = 0;
  prefixE = 0;
  tagE = 0;
  selfClosed = false;
  nsS = -1;
  nsE = -1;
  toA = -1;
  toS = -1;
  toE = -1;
  fromA = -1;
  fromS = -1;
  fromE = -1;
  idS = -1;
  idE = -1;
  typeS = -1;
  typeE = -1;
  langS = -1;
  langE = -1;
  closeS = 0;

  kids = new Int32Array(16 * KID);
  kidCount = 0;

  // Open elements: where their names are, and how many bindings were in force before them.
  private stack = new Int32Array(3 * 16);
  // Bindings: prefix start, prefix end, uri start, uri end.
  private bind = new Int32Array(4 * 16);
  bindCount = 0;
  /** How many of the bindings the element's own tag made. */
  private ownBindings = 0;
  // Attributes of the tag being read: white space, name start, colon or -1, name end, value start, value end.
  attrs = new Int32Array(6 * 16);
  attrCount = 0;

  reset(start: number): void {
    this.depth = 0;
    this.start = start;
    this.elements = 0;
    this.mode = CONTENT;
    this.odd = false;
    this.nsS = this.toA = this.toS = this.fromA = this.fromS = this.idS = this.typeS = this.langS = -1;
    this.kidCount = 0;
    this.bindCount = 0;
  }

  /** All offsets move down by `by` bytes: the element was copied to the front of another buffer. */
  rebase(by: number): void {
    this.start -= by;
    this.nameS -= by;
    this.nameE -= by;
    this.prefixE -= by;
    this.tagE -= by;
    if (this.nsS >= 0) this.nsS -= by;
    this.nsE -= by;
    if (this.toA >= 0) this.toA -= by;
    if (this.toS >= 0) this.toS -= by;
    this.toE -= by;
    if (this.fromA >= 0) this.fromA -= by;
    if (this.fromS >= 0) this.fromS -= by;
    this.fromE -= by;
    if (this.idS >= 0) this.idS -= by;
    this.idE -= by;
    if (this.typeS >= 0) this.typeS -= by;
    this.typeE -= by;
    if (this.langS >= 0) this.langS -= by;
    this.langE -= by;
    const { kids, stack, bind } = this;
    for (let k = 0; k < this.kidCount * KID; k++) if (kids[k] >= 0) kids[k] -= by;
    for (let d = 0; d < this.depth; d++) {
      stack[3 * d] -= by;
      stack[3 * d + 1] -= by;
    }
    for (let k = 0; k < this.bindCount * 4; k++) bind[k] -= by;
  }

  /**
   * Goes on from `i` to the end of the element or of the bytes. Returns the offset after the element, or ~p when more
   * bytes are needed, p being where to go on.
   */
  run(b: Uint8Array, i: number, n: number, scope: Scope, limits: Limits): number {
    for (;;) {
      if (this.depth > 0) {
        i = this.mode === CONTENT ? this.text(b, i, n) : this.cdata(b, i, n);
        if (i < 0) return i;
        if (this.mode === CDATA) continue;
      }
      // At '<'.
      if (i + 1 >= n) return ~i;
      const c = b[i + 1];
      if (c === 0x2f) {
        const e = this.closeTag(b, i, n);
        if (e < 0) return this.unfinished(i, n, limits);
        if (e - i > limits.tag) violation("a tag is too long");
        if (this.depth === 0) return e;
        i = e;
      } else if (c === 0x21) {
        const e = this.declaration(b, i, n);
        if (e < 0) return ~i;
        i = e;
      } else if (c === 0x3f) {
        return restricted("processing instructions are not allowed");
      } else {
        const e = this.openTag(b, i, n, scope, limits);
        if (e < 0) return this.unfinished(i, n, limits);
        if (e - i > limits.tag) violation("a tag is too long");
        if (this.depth === 0) return e;
        i = e;
      }
    }
  }

  /** Reads just the start tag at `i` (a stream header): the offset after it, -1 when it has not come whole. */
  openOnly(b: Uint8Array, i: number, n: number, limits: Limits): number {
    return this.openTag(b, i, n, NO_SCOPE, limits);
  }

  /** The namespace declarations in force, as [prefix, namespace]; the default one has the prefix "". */
  declared(b: Uint8Array): [string, string][] {
    const out: [string, string][] = [];
    for (let k = 0; k < this.bindCount; k++) {
      const [ps, pe, us, ue] = this.bind.subarray(4 * k, 4 * k + 4);
      out.push([utf8.decode(b.subarray(ps, pe)), unescapeXml(utf8.decode(b.subarray(us, ue)))]);
    }
    return out;
  }

  private unfinished(i: number, n: number, limits: Limits): number {
    if (n - i > limits.tag) violation("a tag is too long");
    return ~i;
  }

  /** Character data up to the next '<'. */
  private text(b: Uint8Array, i: number, n: number): number {
    for (;;) {
      while (i < n && TEXT[b[i]] === 0) i++;
      if (i >= n) return ~i;
      switch (TEXT[b[i]]) {
        case TEXT_LT:
          return i;
        case TEXT_AMP: {
          const e = reference(b, i, n);
          if (e < 0) return ~i;
          i = e;
          break;
        }
        case TEXT_BRACKET:
          if (i + 1 >= n) return ~i;
          if (b[i + 1] === 0x5d) {
            if (i + 2 >= n) return ~i;
            if (b[i + 2] === 0x3e) malformed("']]>' in text");
          }
          i++;
          break;
        case TEXT_BAD:
          malformed("control character");
          break;
        default: {
          const l = utf8Length(b, i, n);
          if (l < 0) malformed("not UTF-8");
          if (l === 0) return ~i;
          i += l;
        }
      }
    }
  }

  /** Inside a CDATA section; leaves `mode` when it finds the end. */
  private cdata(b: Uint8Array, i: number, n: number): number {
    for (;;) {
      if (i >= n) return ~i;
      const c = TEXT[b[i]];
      if (c === TEXT_BAD) malformed("control character");
      if (c === TEXT_BRACKET) {
        if (i + 2 >= n && (i + 1 >= n || b[i + 1] === 0x5d)) return ~i;
        if (b[i + 1] === 0x5d && b[i + 2] === 0x3e) {
          this.mode = CONTENT;
          // Back to text; the caller's loop asks for '<' next, so read the text here.
          return this.text(b, i + 3, n);
        }
        i++;
      } else if (b[i] >= 0x80) {
        const l = utf8Length(b, i, n);
        if (l < 0) malformed("not UTF-8");
        if (l === 0) return ~i;
        i += l;
      } else i++;
    }
  }

  /** After "<!": only a CDATA section inside an element is allowed. */
  private declaration(b: Uint8Array, i: number, n: number): number {
    const want = "<![CDATA[";
    const have = Math.min(n - i, want.length);
    for (let k = 2; k < have; k++) {
      if (b[i + k] === want.charCodeAt(k)) continue;
      if (k === 2 && b[i + k] === 0x2d) {
        if (i + 3 >= n) return -1;
        if (b[i + 3] !== 0x2d) malformed("'<!-' starts nothing");
        restricted("comments are not allowed");
      }
      if (k === 2 && b[i + k] === 0x44) restricted("document type declarations are not allowed");
      malformed("'<!' starts nothing that is known");
    }
    if (have < want.length) return -1;
    if (this.depth === 0) malformed("text outside of an element");
    this.mode = CDATA;
    return i + want.length;
  }

  private closeTag(b: Uint8Array, i: number, n: number): number {
    if (this.depth === 0) malformed("an end tag without a start tag");
    const s = this.stack[3 * (this.depth - 1)];
    const length = this.stack[3 * (this.depth - 1) + 1] - s;
    let p = i + 2;
    for (let k = 0; k < length; k++, p++) {
      if (p >= n) return -1;
      if (b[p] !== b[s + k]) malformed("an end tag does not match its start tag");
    }
    while (p < n && isSpace(b[p])) p++;
    if (p >= n) return -1;
    if (b[p] !== 0x3e) malformed("an end tag does not match its start tag");
    this.depth--;
    this.bindCount = this.stack[3 * this.depth + 2];
    if (this.depth === 1) this.kids[(this.kidCount - 1) * KID + 1] = p + 1;
    else if (this.depth === 0) this.closeS = i;
    return p + 1;
  }

  private openTag(b: Uint8Array, i: number, n: number, scope: Scope, limits: Limits): number {
    const nameS = i + 1;
    let colon = -1;
    let p = ncName(b, nameS, n);
    if (p < 0) return -1;
    if (p < n && b[p] === 0x3a) {
      colon = p;
      p = ncName(b, p + 1, n);
      if (p < 0) return -1;
    }
    const nameE = p;
    let count = 0;
    let declares = false;
    let prefixed = 0;
    let attrs = this.attrs;
    for (;;) {
      const space = p;
      while (p < n && isSpace(b[p])) p++;
      if (p >= n) return -1;
      const c = b[p];
      if (c === 0x3e || c === 0x2f) break;
      if (p === space) malformed("attributes need white space between them");
      if (count >= limits.attributes) violation("too many attributes");
      const o = 6 * count;
      if (o >= attrs.length) attrs = this.attrs = grow(attrs);
      attrs[o] = space;
      attrs[o + 1] = p;
      let e = ncName(b, p, n);
      if (e < 0) return -1;
      let at = -1;
      if (e < n && b[e] === 0x3a) {
        at = e;
        e = ncName(b, e + 1, n);
        if (e < 0) return -1;
      }
      attrs[o + 2] = at;
      attrs[o + 3] = e;
      const len = e - p;
      if (at < 0 ? len === 5 && isXmlns(b, p) : at - p === 5 && isXmlns(b, p)) declares = true;
      else if (at >= 0) prefixed++;
      // Duplicates: the same name twice. Names are few, so each is compared with those before it.
      for (let k = 0; k < count; k++) {
        const s = attrs[6 * k + 1];
        if (attrs[6 * k + 3] - s === len && sameBytes(b, s, p, len)) malformed("an attribute is there twice");
      }
      while (e < n && isSpace(b[e])) e++;
      if (e >= n) return -1;
      if (b[e] !== 0x3d) malformed("an attribute has no value");
      e++;
      while (e < n && isSpace(b[e])) e++;
      if (e >= n) return -1;
      const quote = b[e];
      if (quote !== 0x22 && quote !== 0x27) malformed("an attribute value has no quotes");
      e++;
      attrs[o + 4] = e;
      for (;;) {
        while (e < n && VALUE[b[e]] === 0) e++;
        if (e >= n) return -1;
        const v = b[e];
        if (v === quote) break;
        if (v === 0x22 || v === 0x27) e++;
        else if (v === 0x26) {
          e = reference(b, e, n);
          if (e < 0) return -1;
        } else if (v === 0x3c) malformed("'<' in an attribute value");
        else if (v < 0x20) malformed("control character");
        else {
          const l = utf8Length(b, e, n);
          if (l < 0) malformed("not UTF-8");
          if (l === 0) return -1;
          e += l;
        }
      }
      attrs[o + 5] = e;
      p = e + 1;
      count++;
    }
    const selfClosed = b[p] === 0x2f;
    if (selfClosed) {
      p++;
      if (p >= n) return -1;
      if (b[p] !== 0x3e) malformed("'/' inside a tag");
    }
    p++;
    this.attrCount = count;

    const depth = this.depth;
    if (depth >= limits.depth) violation("elements are nested too deep");
    if (++this.elements > limits.elements) violation("too many elements");
    const bindings = this.bindCount;
    if (declares) this.declare(b, count);
    if (depth === 0) this.ownBindings = this.bindCount;
    // Prefixes in use: all must be bound.
    let kidNs = INHERITED;
    let kidNsE = 0;
    if (colon >= 0) {
      const k = this.lookup(b, nameS, colon, scope);
      if (k >= 0) {
        kidNs = this.bind[4 * k + 2];
        kidNsE = this.bind[4 * k + 3];
      } else kidNs = FROM_SCOPE;
    } else if (depth <= 1) {
      for (let k = this.bindCount - 1; k >= 0; k--) {
        const o = 4 * k;
        if (this.bind[o] !== this.bind[o + 1]) continue;
        kidNs = this.bind[o + 2];
        kidNsE = this.bind[o + 3];
        break;
      }
    }
    if (prefixed > 0) this.checkPrefixes(b, count, prefixed, scope);

    if (depth === 0) {
      this.nameS = colon < 0 ? nameS : colon + 1;
      this.nameE = nameE;
      this.prefixE = colon;
      this.tagE = this.closeS = p;
      this.selfClosed = selfClosed;
      this.nsS = kidNs;
      this.nsE = kidNsE;
      if (colon >= 0) this.odd = true;
      if (count > 0) this.ownAttributes(b, count);
    } else if (depth === 1) {
      const o = this.kidCount++ * KID;
      if (o >= this.kids.length) this.kids = grow(this.kids);
      const kids = this.kids;
      kids[o] = i;
      kids[o + 1] = p;
      kids[o + 2] = colon < 0 ? nameS : colon + 1;
      kids[o + 3] = nameE;
      kids[o + 4] = kidNs;
      kids[o + 5] = kidNsE;
    }
    if (selfClosed) {
      this.bindCount = bindings;
    } else {
      const o = 3 * depth;
      if (o >= this.stack.length) this.stack = grow(this.stack);
      this.stack[o] = nameS;
      this.stack[o + 1] = nameE;
      this.stack[o + 2] = bindings;
      this.depth = depth + 1;
    }
    return p;
  }

  /** The attributes of the stanza's own tag that routing needs. */
  private ownAttributes(b: Uint8Array, count: number): void {
    const attrs = this.attrs;
    for (let k = 0; k < count; k++) {
      const o = 6 * k;
      const s = attrs[o + 1];
      const length = attrs[o + 3] - s;
      const c = b[s];
      if (attrs[o + 2] >= 0) {
        if (length === 8 && c === 0x78 && isXmlLang(b, s)) {
          this.langS = attrs[o + 4];
          this.langE = attrs[o + 5];
        }
      } else if (length === 2) {
        if (c === 0x74 && b[s + 1] === 0x6f) {
          this.toA = attrs[o];
          this.toS = attrs[o + 4];
          this.toE = attrs[o + 5];
        } else if (c === 0x69 && b[s + 1] === 0x64) {
          this.idS = attrs[o + 4];
          this.idE = attrs[o + 5];
        }
      } else if (length === 4) {
        if (c === 0x74 && b[s + 1] === 0x79 && b[s + 2] === 0x70 && b[s + 3] === 0x65) {
          this.typeS = attrs[o + 4];
          this.typeE = attrs[o + 5];
        } else if (c === 0x66 && b[s + 1] === 0x72 && b[s + 2] === 0x6f && b[s + 3] === 0x6d) {
          this.fromA = attrs[o];
          this.fromS = attrs[o + 4];
          this.fromE = attrs[o + 5];
        }
      }
    }
  }

  /** Takes the namespace declarations of a tag into force (Namespaces in XML 1.0 §3). */
  private declare(b: Uint8Array, count: number): void {
    const attrs = this.attrs;
    for (let k = 0; k < count; k++) {
      const o = 6 * k;
      const s = attrs[o + 1];
      const colon = attrs[o + 2];
      if (colon < 0 ? attrs[o + 3] - s !== 5 || !isXmlns(b, s) : colon - s !== 5 || !isXmlns(b, s)) continue;
      const ps = colon < 0 ? s : colon + 1;
      const pe = colon < 0 ? s : attrs[o + 3];
      const us = attrs[o + 4];
      const ue = attrs[o + 5];
      const referring = hasReference(b, us, ue);
      if (referring) this.odd = true;
      const length = pe - ps;
      if (length > 0 && us === ue) malformed("a prefix is bound to nothing");
      if (referring || ue - us === 36 || ue - us === 29) {
        const uri = unescapeXml(utf8.decode(b.subarray(us, ue)));
        if (uri === NS_XMLNS) malformed("the xmlns namespace cannot be declared");
        const isXml = length === 3 && b[ps] === 0x78 && b[ps + 1] === 0x6d && b[ps + 2] === 0x6c;
        if (uri === NS_XML) {
          if (!isXml) malformed("only 'xml' may be bound to the XML namespace");
          continue;
        }
      }
      if (length === 3 && b[ps] === 0x78 && b[ps + 1] === 0x6d && b[ps + 2] === 0x6c) {
        malformed("'xml' is bound to its own namespace");
      }
      if (length === 5 && isXmlns(b, ps)) malformed("'xmlns' cannot be bound");
      const at = 4 * this.bindCount++;
      if (at >= this.bind.length) this.bind = grow(this.bind);
      this.bind[at] = ps;
      this.bind[at + 1] = pe;
      this.bind[at + 2] = us;
      this.bind[at + 3] = ue;
    }
  }

  /** The binding of a prefix: its index, -1 for `xml`, -2 for one of the stream header. Throws when unbound. */
  private lookup(b: Uint8Array, s: number, e: number, scope: Scope): number {
    const length = e - s;
    for (let k = this.bindCount - 1; k >= 0; k--) {
      const ps = this.bind[4 * k];
      if (this.bind[4 * k + 1] - ps !== length || !sameBytes(b, ps, s, length)) continue;
      // A child that leans on its stanza's declarations does not stand alone, and children are copied about.
      if (this.depth > 0 && k < this.ownBindings) this.odd = true;
      return k;
    }
    const prefix = utf8.decode(b.subarray(s, e));
    if (prefix === "xml") return -1;
    for (const [known] of scope.prefixes) {
      if (known !== prefix) continue;
      this.odd = true;
      return -2;
    }
    throw new FrameError("bad-namespace-prefix", "a namespace prefix is not bound");
  }

  /** Attribute prefixes must be bound, and no two attributes may have one expanded name. */
  private checkPrefixes(b: Uint8Array, count: number, prefixed: number, scope: Scope): void {
    const attrs = this.attrs;
    let seen: Set<string> | undefined;
    for (let k = 0; k < count; k++) {
      const o = 6 * k;
      const s = attrs[o + 1];
      const colon = attrs[o + 2];
      if (colon < 0 || (colon - s === 5 && isXmlns(b, s))) continue;
      if (colon - s === 3 && b[s] === 0x78 && b[s + 1] === 0x6d && b[s + 2] === 0x6c && prefixed === 1) continue;
      const binding = this.lookup(b, s, colon, scope);
      if (prefixed < 2) continue;
      const prefix = utf8.decode(b.subarray(s, colon));
      const uri =
        binding >= 0
          ? unescapeXml(utf8.decode(b.subarray(this.bind[4 * binding + 2], this.bind[4 * binding + 3])))
          : binding === -2
            ? scope.prefixes.find(([p]) => p === prefix)![1]
            : NS_XML;
      const name = `${uri} ${utf8.decode(b.subarray(colon + 1, attrs[o + 3]))}`;
      seen ??= new Set();
      if (seen.has(name)) malformed("an attribute is there twice");
      seen.add(name);
    }
  }
}

function grow(array: Int32Array): Int32Array<ArrayBuffer> {
  const bigger = new Int32Array(array.length * 2);
  bigger.set(array);
  return bigger;
}

const isXmlns = (b: Uint8Array, s: number): boolean =>
  b[s] === 0x78 && b[s + 1] === 0x6d && b[s + 2] === 0x6c && b[s + 3] === 0x6e && b[s + 4] === 0x73;

/** Whether the eight bytes at `s` are "xml:lang". */
const isXmlLang = (b: Uint8Array, s: number): boolean =>
  b[s + 1] === 0x6d &&
  b[s + 2] === 0x6c &&
  b[s + 3] === 0x3a &&
  b[s + 4] === 0x6c &&
  b[s + 5] === 0x61 &&
  b[s + 6] === 0x6e &&
  b[s + 7] === 0x67;

function sameBytes(b: Uint8Array, x: number, y: number, length: number): boolean {
  for (let k = 0; k < length; k++) if (b[x + k] !== b[y + k]) return false;
  return true;
}

function hasReference(b: Uint8Array, s: number, e: number): boolean {
  for (let k = s; k < e; k++) if (b[k] === 0x26) return true;
  return false;
}

/** The end of the NCName at `i`, or -1 when the bytes end inside of it. */
function ncName(b: Uint8Array, i: number, n: number): number {
  if (i >= n) return -1;
  const first = NAME[b[i]];
  if (first === NAME_START) i++;
  else if (first === NAME_HIGH) {
    const l = utf8Length(b, i, n);
    if (l === 0) return -1;
    if (l < 0) malformed("not UTF-8");
    if (!startsName(codePointAt(b, i, l))) malformed("a name starts with a character that cannot start one");
    i += l;
  } else malformed("a name is missing or starts with a character that cannot start one");
  for (;;) {
    while (i < n && NAME[b[i]] !== 0 && NAME[b[i]] !== NAME_HIGH) i++;
    if (i >= n) return -1;
    if (NAME[b[i]] !== NAME_HIGH) return i;
    const l = utf8Length(b, i, n);
    if (l === 0) return -1;
    if (l < 0) malformed("not UTF-8");
    if (!continuesName(codePointAt(b, i, l))) malformed("a character that cannot be in a name");
    i += l;
  }
}

const ENTITIES = ["lt", "gt", "amp", "quot", "apos"];

/** The offset after the reference at `i` ('&'), or -1 when the bytes end inside of it. */
function reference(b: Uint8Array, i: number, n: number): number {
  let e = i + 1;
  const end = Math.min(n, i + 12);
  while (e < end && b[e] !== 0x3b) {
    const c = b[e];
    const known = c === 0x23 || (c >= 0x30 && c <= 0x39) || (c >= 0x61 && c <= 0x7a) || (c >= 0x41 && c <= 0x5a);
    if (!known) malformed("'&' starts no reference");
    e++;
  }
  if (e >= end) return n - i >= 12 ? malformed("'&' starts no reference") : -1;
  const name = latin1.decode(b.subarray(i + 1, e));
  if (name.charCodeAt(0) !== 0x23) {
    if (name === "") malformed("'&' starts no reference");
    if (!ENTITIES.includes(name)) {
      if (NAME[name.charCodeAt(0)] !== NAME_START || name.includes("#")) malformed("'&' starts no reference");
      restricted("only the five predefined entities are allowed");
    }
    return e + 1;
  }
  const hex = /^#x([0-9a-fA-F]+)$/.exec(name);
  const code = hex ? Number.parseInt(hex[1], 16) : /^#[0-9]+$/.test(name) ? Number(name.slice(1)) : -1;
  if (!isXmlChar(code)) malformed("a character reference names no XML character");
  return e + 1;
}
