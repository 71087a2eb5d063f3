// A stanza (or any other first-level element of a stream) as a view on the bytes that came in. Nothing is parsed
// until somebody asks: routing reads the header, a feature asks for a child by name and namespace, and only a
// handler that needs depth has a tree made. What nobody touched leaves as the bytes that came.

import type { Element } from "@xmpp/xml";
import type { Jid } from "./jid.ts";
import { NS_CLIENT, NS_XML } from "./ns.ts";
import { canonicalText } from "./xml/canonical.ts";
import { Markup, unescapeXml } from "./xml/markup.ts";
import { FrameError, INHERITED, KID, type Scan, type Scope } from "./xml/scan.ts";
import { parseElement } from "./xml/tree.ts";

export type { Element } from "@xmpp/xml";

export type Kind = 0 | 1 | 2 | 3;
/** Not a stanza: SASL, stream management and the like. */
export const OTHER: Kind = 0;
export const MESSAGE: Kind = 1;
export const PRESENCE: Kind = 2;
export const IQ: Kind = 3;

const KIND_NAMES = ["", "message", "presence", "iq"];
const MESSAGE_TYPES: ReadonlySet<string> = new Set(["", "normal", "chat", "groupchat", "headline", "error"]);
const ATTRIBUTE = /([^ \t\r\n=/>]+)[ \t\r\n]*=[ \t\r\n]*(?:"([^"]*)"|'([^']*)')/g;
const NO_KIDS = new Int32Array(0);

const ignored = (): void => undefined;

/** Two writes. Whoever waits for them is told of a failure; that nobody does yet, whose turn comes later, is none. */
function both(one: Promise<unknown> | undefined, other: Promise<unknown>): Promise<unknown> {
  const all = Promise.all([one, other]);
  all.catch(ignored);
  return all;
}

/** Text of bytes that are ASCII in all but rare cases; the result does not keep the buffer alive. */
function textOf(b: Buffer, s: number, e: number): string {
  for (let i = s; i < e; i++) if (b[i] >= 0x80) return b.utf8Slice(s, e);
  return b.latin1Slice(s, e);
}

/** Whether the markup at `s` to `e` means `text`. */
function equals(b: Buffer, s: number, e: number, text: string): boolean {
  const n = text.length;
  if (e - s < n) return false;
  for (let i = 0; i < n; i++) {
    const c = b[s + i];
    if (c === 0x26 || c >= 0x80) return unescapeXml(b.utf8Slice(s, e)) === text;
    if (c !== text.charCodeAt(i)) return false;
  }
  return e - s === n;
}

/** One child of a stanza: where it is. Made on demand. */
export interface Child {
  readonly name: string;
  readonly ns: string;
  readonly start: number;
  readonly end: number;
}

export class Stanza {
  kind: Kind = OTHER;
  /**
   * Sender and addressee, prepared and trusted: set by whoever brings the stanza into the server.
   * `from` replaces the attribute on the wire; `to` is what routing goes by, the attribute stays as it was sent.
   */
  get from(): Jid {
    return this.sender;
  }
  set from(jid: Jid) {
    this.sender = jid;
    this.lead = "";
  }
  private sender!: Jid;
  to!: Jid;
  /** The sender as attribute markup, ` from='...'`, when somebody has it ready; "" has the writer make it. */
  lead = "";
  /** Markup appended as further children when the stanza is written: stanza-id, delay. */
  appended = "";
  /** Set by a carbon copy, an archive replay or the like: features that would copy or store it again leave it. */
  copy = false;
  /** The session that sent it, when it came from a client of this node. */
  origin: unknown = undefined;

  /** Writes about it that must be durable before it is delivered and acknowledged; see `wait` and `after`. */
  commit: Promise<unknown> | undefined = undefined;
  /** Those of them that `wait` was given. */
  private vital: Promise<unknown> | undefined = undefined;
  /** It comes from a session's client, and that reads on while it is being stored for an account without sessions. */
  mayLag = false;
  /** What is still done about such a one: until then it is not acknowledged. Does not reject. */
  lag: Promise<void> | undefined = undefined;
  /** What its sender sent before to the same account and is still being stored. */
  behind: Promise<void> | undefined = undefined;
  /** See `store`. */
  storing: Promise<unknown> | undefined = undefined;
  /** The id that it has for its addressee (XEP-0359), which is that of his archive. */
  stableId: bigint | undefined = undefined;
  /** The id under which the archive of its sender has it. */
  ownId: bigint | undefined = undefined;
  /** It is in the archive of its addressee. */
  archived = false;
  /** It passed the filters of its addressee's domain before it was held for a stream that is gone: it has been counted. */
  revived = false;
  /** The element in `appended` that says `stableId`; "" while none does. */
  stamp = "";

  private tree: Element | undefined;
  private typeText: string | undefined;
  /** A list of children that were taken out, as index numbers; nearly always absent. */
  removed: number[] | undefined;

  private constructor(
    readonly raw: Buffer,
    readonly start: number,
    readonly end: number,
    readonly scope: Scope,
    readonly nameS: number,
    readonly nameE: number,
    readonly nsS: number,
    readonly nsE: number,
    readonly tagE: number,
    readonly closeS: number,
    readonly selfClosed: boolean,
    readonly toA: number,
    readonly toS: number,
    readonly toE: number,
    readonly fromA: number,
    readonly fromS: number,
    readonly fromE: number,
    readonly idS: number,
    readonly idE: number,
    readonly typeS: number,
    readonly typeE: number,
    readonly langS: number,
    readonly langE: number,
    readonly kids: Int32Array,
  ) {}

  /** A view on what the scanner has just found, `end` being the offset after the element. */
  static of(b: Buffer, end: number, s: Scan, scope: Scope): Stanza {
    const n = s.kidCount * KID;
    const stanza = new Stanza(
      b,
      s.start,
      end,
      scope,
      s.nameS,
      s.nameE,
      s.nsS,
      s.nsE,
      s.tagE,
      s.closeS,
      s.selfClosed,
      s.toA,
      s.toS,
      s.toE,
      s.fromA,
      s.fromS,
      s.fromE,
      s.idS,
      s.idE,
      s.typeS,
      s.typeE,
      s.langS,
      s.langE,
      n === 0 ? NO_KIDS : s.kids.slice(0, n),
    );
    stanza.kind = kindOf(stanza);
    return stanza;
  }

  get name(): string {
    return this.kind === OTHER ? textOf(this.raw, this.nameS, this.nameE) : KIND_NAMES[this.kind];
  }

  /** Namespace of the element itself. */
  get ns(): string {
    if (this.nsS >= 0) return unescapeXml(textOf(this.raw, this.nsS, this.nsE));
    return this.nsS === INHERITED ? this.scope.defaultNs : prefixNs(this.raw, this.nameS, this.scope);
  }

  /** `appended` without the id that the server has given it. */
  get unstamped(): string {
    const { stamp, appended } = this;
    return stamp === "" ? appended : appended === stamp ? "" : appended.replace(stamp, "");
  }

  /**
   * Has delivery, and the sender's acknowledgement, wait for a write. Whoever handles the stanza goes on at once: the
   * session's outbox keeps the order. A write that fails is told to the sender in place of delivery.
   */
  wait(write: Promise<unknown>): void {
    const { vital, commit } = this;
    if (vital === write) return;
    this.vital = vital === undefined ? write : both(vital, write);
    // Through `vital`, and not beside it: a failure that nobody else waits for is then told all the same.
    this.commit = commit === vital ? this.vital : both(commit, this.vital);
  }

  /**
   * As `wait`, for what is only to be written about a message that will be delivered: it begins when the writes so far
   * are durable, and does not when one of them fails. `write` must not reject.
   */
  after(write: () => Promise<unknown>): void {
    const { vital, commit } = this;
    const done = vital === undefined ? write() : vital.then(write, () => undefined);
    this.commit = commit === undefined ? done : both(commit, done);
  }

  /**
   * Says that it is being stored, as handlers of `offline_message` do that stop it: its sender is acknowledged when that is
   * done. They do not wait for it: what comes next for the same account is theirs at once, and they keep the order. When it
   * fails with a StanzaError the sender is told of that, otherwise of an internal-server-error.
   */
  store(write: Promise<unknown>): void {
    this.storing = write;
  }

  /** Whether the element is `name` in `ns`, without making strings. */
  is(name: string, ns: string): boolean {
    return equals(this.raw, this.nameS, this.nameE, name) && this.inNs(ns);
  }

  inNs(ns: string): boolean {
    return this.nsS >= 0 ? equals(this.raw, this.nsS, this.nsE, ns) : this.ns === ns;
  }

  /** The type attribute, "" when absent; an unknown one of a message is "normal" (RFC 6121 §5.2.2). */
  get type(): string {
    if (this.typeText === undefined) {
      const text = this.typeS < 0 ? "" : unescapeXml(textOf(this.raw, this.typeS, this.typeE));
      this.typeText = this.kind === MESSAGE && !MESSAGE_TYPES.has(text) ? "normal" : text;
    }
    return this.typeText;
  }

  get id(): string | undefined {
    return this.idS < 0 ? undefined : unescapeXml(textOf(this.raw, this.idS, this.idE));
  }

  get lang(): string | undefined {
    return this.langS < 0 ? undefined : unescapeXml(textOf(this.raw, this.langS, this.langE));
  }

  /** Whether the `to` attribute was written exactly so. */
  toIs(text: string): boolean {
    return this.toS >= 0 && equals(this.raw, this.toS, this.toE, text);
  }

  /** The `to` attribute as sent, undefined when absent. */
  get toText(): string | undefined {
    return this.toS < 0 ? undefined : unescapeXml(textOf(this.raw, this.toS, this.toE));
  }

  /** Whether the `from` attribute was written exactly so. */
  fromIs(text: string): boolean {
    return this.fromS >= 0 && equals(this.raw, this.fromS, this.fromE, text);
  }

  /** The `from` attribute as sent: a claim, not to be trusted. */
  get fromText(): string | undefined {
    return this.fromS < 0 ? undefined : unescapeXml(textOf(this.raw, this.fromS, this.fromE));
  }

  /** Any attribute of the element's own tag, by its name as written. Reads just the tag, makes no tree. */
  attr(name: string): string | undefined {
    return attributeIn(this.raw.utf8Slice(this.nameE, this.tagE), name);
  }

  /** An attribute of a child's own tag, by its name as written. Makes no tree. */
  kidAttr(index: number, name: string): string | undefined {
    const { raw, kids } = this;
    let quote = 0;
    let e = kids[index * KID + 3];
    for (; quote !== 0 || raw[e] !== 0x3e; e++) {
      const c = raw[e];
      if (quote !== 0) quote = c === quote ? 0 : quote;
      else if (c === 0x22 || c === 0x27) quote = c;
    }
    return attributeIn(raw.utf8Slice(kids[index * KID + 3], e), name);
  }

  /** The character data of an element without children, as SASL and the like have it. */
  get ownText(): string {
    return this.selfClosed ? "" : unescapeXml(textOf(this.raw, this.tagE, this.closeS));
  }

  /** Everything between the tags as received, for a reply that repeats the payload. */
  get innerXml(): string {
    return this.selfClosed ? "" : textOf(this.raw, this.tagE, this.closeS);
  }

  get childCount(): number {
    return this.kids.length / KID;
  }

  /** The index of the first child `name` in `ns`, or -1. An undefined name matches any. */
  find(name: string | undefined, ns: string): number {
    const { kids, raw } = this;
    for (let o = 0; o < kids.length; o += KID) {
      if (name !== undefined && !equals(raw, kids[o + 2], kids[o + 3], name)) continue;
      if (this.kidInNs(o, ns) && !this.removed?.includes(o / KID)) return o / KID;
    }
    return -1;
  }

  /** Whether there is a child `name` (any when undefined) in `ns`. */
  has(name: string | undefined, ns: string = NS_CLIENT): boolean {
    return this.find(name, ns) >= 0;
  }

  private kidInNs(o: number, ns: string): boolean {
    const s = this.kids[o + 4];
    if (s >= 0) return equals(this.raw, s, this.kids[o + 5], ns);
    return s === INHERITED ? this.inNs(ns) : prefixNs(this.raw, this.kids[o + 2], this.scope) === ns;
  }

  kidName(index: number): string {
    const o = index * KID;
    return textOf(this.raw, this.kids[o + 2], this.kids[o + 3]);
  }

  kidNs(index: number): string {
    const o = index * KID;
    const s = this.kids[o + 4];
    if (s >= 0) return unescapeXml(textOf(this.raw, s, this.kids[o + 5]));
    return s === INHERITED ? this.ns : prefixNs(this.raw, this.kids[o + 2], this.scope);
  }

  /** Every child: name, namespace, place. */
  get children(): Child[] {
    const out: Child[] = [];
    for (let k = 0; k < this.childCount; k++) {
      out.push({
        name: this.kidName(k),
        ns: this.kidNs(k),
        start: this.kids[k * KID],
        end: this.kids[k * KID + 1],
      });
    }
    return out;
  }

  /** The markup of one child, as received. */
  kidXml(index: number): Markup {
    return new Markup(textOf(this.raw, this.kids[index * KID], this.kids[index * KID + 1]));
  }

  /** Where in `raw` the inside of a child lies that has no attributes; undefined for others, and for an empty tag. */
  kidInside(index: number): { start: number; end: number } | undefined {
    const { raw, kids } = this;
    const o = index * KID;
    const tag = kids[o + 3];
    if (raw[tag] !== 0x3e) return undefined;
    // The end tag is one character longer than the start tag.
    const end = kids[o + 1] - (tag + 1 - kids[o]) - 1;
    return raw[end] === 0x3c && raw[end + 1] === 0x2f ? { start: tag + 1, end } : undefined;
  }

  /** The markup of the first child `name` in `ns`, as received. */
  childXml(name: string | undefined, ns: string): Markup | undefined {
    const k = this.find(name, ns);
    return k < 0 ? undefined : this.kidXml(k);
  }

  /** The first child `name` in `ns` as a tree. */
  child(name: string | undefined, ns: string): Element | undefined {
    const k = this.find(name, ns);
    return k < 0 ? undefined : this.kid(k);
  }

  /** A child by index, as a tree. */
  kid(index: number): Element {
    return this.element.getChildElements()[index];
  }

  /** Character data directly inside the first child `name` of the stanza's namespace, for <body/> and the like. */
  childText(name: string, ns: string = NS_CLIENT): string | undefined {
    return this.child(name, ns)?.text();
  }

  /** Leaves a child out when the stanza is written. */
  removeChild(index: number): void {
    this.removed ??= [];
    this.removed.push(index);
  }

  /** Adds a child at the end when the stanza is written. */
  append(markup: Markup): void {
    this.appended += markup.text;
  }

  /** The whole element as a tree, made at the first call. For reading: edits do not reach the wire. */
  get element(): Element {
    this.tree ??= parseElement(withoutPrefixes(this.raw.utf8Slice(this.start, this.end), this.scope));
    return this.tree;
  }

  /** The element as text, as received: without the edits made to the view. */
  get text(): string {
    return this.raw.utf8Slice(this.start, this.end);
  }

  /** For messages: whether it is one that a client sends to all resources and servers may store. */
  get hasBody(): boolean {
    return this.has("body");
  }

  /** The session-independent fields a copy needs: same bytes, other edits. */
  clone(): Stanza {
    // A tenth of what Object.assign takes.
    const copy = new Stanza(
      this.raw,
      this.start,
      this.end,
      this.scope,
      this.nameS,
      this.nameE,
      this.nsS,
      this.nsE,
      this.tagE,
      this.closeS,
      this.selfClosed,
      this.toA,
      this.toS,
      this.toE,
      this.fromA,
      this.fromS,
      this.fromE,
      this.idS,
      this.idE,
      this.typeS,
      this.typeE,
      this.langS,
      this.langE,
      this.kids,
    );
    copy.kind = this.kind;
    copy.sender = this.sender;
    copy.to = this.to;
    copy.lead = this.lead;
    copy.appended = this.appended;
    copy.copy = this.copy;
    copy.origin = this.origin;
    copy.tree = this.tree;
    copy.typeText = this.typeText;
    if (this.removed !== undefined) copy.removed = [...this.removed];
    return copy;
  }
}

/** The value of an attribute in the text of a tag that the scanner has passed. */
function attributeIn(tag: string, name: string): string | undefined {
  if (!tag.includes(name)) return undefined;
  for (const [, key, double, single] of tag.matchAll(ATTRIBUTE)) {
    if (key === name) return unescapeXml(double ?? single);
  }
  return undefined;
}

function kindOf(s: Stanza): Kind {
  const b = s.raw;
  const length = s.nameE - s.nameS;
  const first = b[s.nameS];
  const kind =
    length === 7 && first === 0x6d && equals(b, s.nameS, s.nameE, "message")
      ? MESSAGE
      : length === 8 && first === 0x70 && equals(b, s.nameS, s.nameE, "presence")
        ? PRESENCE
        : length === 2 && first === 0x69 && b[s.nameS + 1] === 0x71
          ? IQ
          : OTHER;
  return kind !== OTHER && s.inNs(NS_CLIENT) ? kind : OTHER;
}

/** The namespace of a name whose prefix the stream header declared; `nameS` is the offset of the local name. */
function prefixNs(b: Buffer, nameS: number, scope: Scope): string {
  let s = nameS - 1;
  while (s > 0 && b[s - 1] !== 0x3c) s--;
  const prefix = b.utf8Slice(s, nameS - 1);
  if (prefix === "xml") return NS_XML;
  return scope.prefixes.find(([p]) => p === prefix)?.[1] ?? "";
}

const PREFIXED = /<[^!/?:\s<>]+:/;

/** Features know elements by their names: one that is written with a prefix means the same as one without. */
function withoutPrefixes(text: string, scope: Scope): string {
  if (!PREFIXED.test(text)) return text;
  try {
    return canonicalText(text, scope, 2 * text.length + 4096);
  } catch (error) {
    // It would become much longer: whoever writes so is not understood.
    if (error instanceof FrameError) return text;
    throw error;
  }
}
