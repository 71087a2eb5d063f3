// XMPP addresses, RFC 7622: [ localpart "@" ] domainpart [ "/" resourcepart ].
//
// Two types, since bare and full JIDs mean different things nearly everywhere: a BareJid is an account, a room or a
// domain; a FullJid is one session or occupant. Both hold prepared parts only, so two JIDs are equal when their
// `text` is. Plain ASCII, which is nearly all traffic, is read by the character loops below; the first character
// outside it, and everything that looks wrong, goes the long way through core/precis, which also finds the reason.
import { canonicalDomain, opaqueString, PrecisError, usernameCaseMapped } from "./precis/index.ts";

/** A JID without a resource: an account, a room, or (with an empty `local`) a domain. */
export class BareJid {
  /** The prepared domainpart. */
  readonly domain: string;
  /** The canonical form, "local@domain" or "domain". */
  readonly text: string;

  /** Prepared parts only: `makeBare` and `parseBareJid` prepare. */
  constructor(local: string, domain: string, text: string = local === "" ? domain : `${local}@${domain}`) {
    this.domain = domain;
    this.text = text;
  }

  /** The prepared localpart, "" for a domain JID. Not kept: there is one of these for every session. */
  get local(): string {
    return this.isDomain ? "" : this.text.slice(0, -this.domain.length - 1);
  }

  /** Whether there is no localpart: the address of a server. */
  get isDomain(): boolean {
    return this.text.length === this.domain.length;
  }

  /** Itself, so that `jid.bare` needs no test. */
  get bare(): BareJid {
    return this;
  }

  get resource(): "" {
    return "";
  }

  toString(): string {
    return this.text;
  }
}

/** A JID with a resource: one session of an account, or one occupant of a room. */
export class FullJid {
  // Exists for the type checker alone: without it a BareJid would pass for a FullJid.
  declare protected readonly full: true;

  readonly bare: BareJid;
  /** The canonical form, "local@domain/resource" or "domain/resource". */
  readonly text: string;

  /** Prepared parts only: `withResource` and `parseFullJid` prepare. */
  constructor(bare: BareJid, resource: string, text: string = `${bare.text}/${resource}`) {
    this.bare = bare;
    this.text = text;
  }

  /** The prepared resourcepart, never "". Not kept, as `local` is not. */
  get resource(): string {
    return this.text.slice(this.bare.text.length + 1);
  }

  get isDomain(): false {
    return false;
  }

  get local(): string {
    return this.bare.local;
  }

  get domain(): string {
    return this.bare.domain;
  }

  toString(): string {
    return this.text;
  }
}

export type Jid = BareJid | FullJid;

type PartName = "local" | "domain" | "resource";

/** Why a text is no JID of the kind asked for: which part is empty, over 1023 bytes or otherwise refused. */
export type JidErrorReason = `empty-${PartName}` | `long-${PartName}` | `bad-${PartName}` | "not-bare" | "not-full";

/** A text that is no JID; to a peer it means <jid-malformed/>, to a sysadmin its message says what would be right. */
export class JidError extends Error {
  override readonly name = "JidError";

  constructor(
    readonly reason: JidErrorReason,
    message: string,
  ) {
    super(message);
  }
}

/** True for a JID with a resource. */
export function isFull(jid: Jid): jid is FullJid {
  return jid instanceof FullJid;
}

/** The JID without its resource. */
export function bareOf(jid: Jid): BareJid {
  return jid.bare;
}

/** Compares two JIDs; their parts are prepared, so this is a comparison of two strings. */
export function sameJid(a: Jid, b: Jid): boolean {
  return a.text === b.text;
}

/**
 * Reads and prepares a JID (RFC 7622 §3).
 *
 * The JID keeps `text`, or slices of it, for as long as it lives: give it a string of its own (`latin1Slice` or
 * `utf8Slice` of the bytes), not a slice of a longer string, which would keep the whole of that alive.
 * @throws JidError
 */
export function parseJid(text: string): Jid {
  return parseAscii(text) ?? parseParts(text);
}

/** As `parseJid`, with undefined for a text that is no JID. */
export function tryParseJid(text: string): Jid | undefined {
  try {
    return parseJid(text);
  } catch (error) {
    if (error instanceof JidError) return undefined;
    throw error;
  }
}

/**
 * As `parseJid`, for a JID that may have no resource.
 * @throws JidError, with reason "not-bare" when it has one.
 */
export function parseBareJid(text: string): BareJid {
  const jid = parseJid(text);
  if (isFull(jid)) throw new JidError("not-bare", `Cannot use ${quote(text)} as a bare JID: it has a resource`);
  return jid;
}

/**
 * As `parseJid`, for a JID that must have a resource.
 * @throws JidError, with reason "not-full" when it has none.
 */
export function parseFullJid(text: string): FullJid {
  const jid = parseJid(text);
  if (!isFull(jid)) throw new JidError("not-full", `Cannot use ${quote(text)} as a full JID: it has no resource`);
  return jid;
}

/**
 * Makes a JID of parts, preparing each.
 * @param local "" for a domain JID.
 * @param resource absent for a bare JID; "" is an error.
 * @throws JidError
 */
export function makeJid(local: string, domain: string): BareJid;
export function makeJid(local: string, domain: string, resource: string): FullJid;
export function makeJid(local: string, domain: string, resource?: string): Jid;
export function makeJid(local: string, domain: string, resource?: string): Jid {
  const bare = makeBare(local, domain);
  return resource === undefined ? bare : withResource(bare, resource);
}

/**
 * Makes a bare JID of parts, preparing each; "" as localpart gives a domain JID.
 * @throws JidError
 */
export function makeBare(local: string, domain: string): BareJid {
  return new BareJid(local === "" ? "" : prepareLocal(local), prepareDomain(domain));
}

/**
 * Adds a resource to a bare JID, preparing it.
 * @throws JidError
 */
export function withResource(bare: BareJid, resource: string): FullJid {
  return new FullJid(bare, prepareResource(resource));
}

const MAX_BYTES = 1023;
/** Before preparation a part may be longer, since NFC joins up to three characters into one; past that nothing is tried. */
const MAX_RAW_LENGTH = 3 * MAX_BYTES;

/**
 * Prepares a localpart: UsernameCaseMapped (RFC 8265 §3.3) without the characters of RFC 7622 §3.3.1.
 * @throws JidError
 */
export function prepareLocal(text: string): string {
  if (text !== "" && text.length <= MAX_BYTES && asciiLocalEnd(text) === text.length) return text.toLowerCase();
  return prepare("local", text, (local) => {
    const canonical = usernameCaseMapped(local);
    const excluded = /["&'/:<>@]/.exec(canonical);
    if (excluded) throw new JidError("bad-local", cannotUse("local", text, `${excluded[0]} is not allowed`));
    return canonical;
  });
}

/**
 * Prepares a domainpart: a domain name as U-labels (IDNA2008), an IPv4 address or an IPv6 address in brackets
 * (RFC 7622 §3.2), in lower case and without a final dot.
 * @throws JidError
 */
export function prepareDomain(text: string): string {
  if (text.length <= MAX_DOMAIN && asciiDomainEnd(text, 0) === text.length) return text.toLowerCase();
  return prepare("domain", text, canonicalDomain);
}

/**
 * Prepares a resourcepart: OpaqueString (RFC 8265 §4.2); case, spaces, "@" and "/" are kept.
 * @throws JidError
 */
export function prepareResource(text: string): string {
  if (text !== "" && text.length <= MAX_BYTES && isAsciiFrom(text, 0)) return text;
  return prepare("resource", text, opaqueString);
}

function prepare(part: PartName, text: string, profile: (text: string) => string): string {
  if (text === "") throw new JidError(`empty-${part}`, `Cannot use an empty ${part}part in a JID`);
  if (text.length > (part === "domain" ? MAX_BYTES : MAX_RAW_LENGTH)) throw tooLong(part, text);
  let prepared: string;
  try {
    prepared = profile(text);
  } catch (error) {
    if (!(error instanceof PrecisError)) throw error;
    const kind = error.reason === "empty" || error.reason === "long" ? error.reason : "bad";
    throw new JidError(`${kind}-${part}`, cannotUse(part, text, error.message));
  }
  if (Buffer.byteLength(prepared) > MAX_BYTES) throw tooLong(part, text);
  return prepared;
}

function tooLong(part: PartName, text: string): JidError {
  return new JidError(`long-${part}`, cannotUse(part, text, `it has more than ${MAX_BYTES} bytes`));
}

function cannotUse(part: PartName, text: string, why: string): string {
  return `Cannot use ${quote(text)} as the ${part}part of a JID: ${why}`;
}

function quote(text: string): string {
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}…` : text);
}

/** The long way: the resource begins at the first "/", the localpart ends at the first "@" before it (§3.1). */
function parseParts(text: string): Jid {
  const slash = text.indexOf("/");
  const bareText = slash < 0 ? text : text.slice(0, slash);
  const at = bareText.indexOf("@");
  const local = at < 0 ? "" : prepareLocal(bareText.slice(0, at));
  const bare = new BareJid(local, prepareDomain(bareText.slice(at + 1)));
  return slash < 0 ? bare : withResource(bare, text.slice(slash + 1));
}

// The short way. Each loop says how far a text is a plain part; whoever disagrees goes the long way.

const DOT = 0x2e;
const HYPHEN = 0x2d;
const SLASH = 0x2f;
const AT = 0x40;
const MAX_LABEL = 63;
const MAX_DOMAIN = 253;

const LOCAL = 1;
const DOMAIN = 2;
const UPPER = 4;

/** What each ASCII character may stand in. */
const CHARACTERS: Uint8Array = (() => {
  const table = new Uint8Array(128);
  for (let c = 0x21; c <= 0x7e; c++) {
    const char = String.fromCharCode(c);
    if (!"\"&'/:<>@".includes(char)) table[c] |= LOCAL;
    if (/[A-Za-z0-9._-]/.test(char)) table[c] |= DOMAIN;
    if (/[A-Z]/.test(char)) table[c] |= UPPER;
  }
  return table;
})();

function parseAscii(text: string): Jid | undefined {
  const length = text.length;
  if (length > 3 * MAX_BYTES + 2) return undefined;
  const at = asciiLocalEnd(text);
  const hasLocal = at < length && text.charCodeAt(at) === AT;
  if (hasLocal && (at === 0 || at > MAX_BYTES)) return undefined;
  const domainStart = hasLocal ? at + 1 : 0;
  const slash = asciiDomainEnd(text, domainStart);
  if (slash < 0) return undefined;
  const isFullJid = slash < length;
  if (isFullJid && (slash + 1 === length || length - slash - 1 > MAX_BYTES || !isAsciiFrom(text, slash + 1))) {
    return undefined;
  }
  let bareText = isFullJid ? text.substring(0, slash) : text;
  let canonical = text;
  if (hasUpper(bareText)) {
    bareText = bareText.toLowerCase();
    canonical = isFullJid ? bareText + text.substring(slash) : bareText;
  }
  const bare = hasLocal
    ? new BareJid(bareText.substring(0, at), bareText.substring(domainStart), bareText)
    : new BareJid("", bareText, bareText);
  return isFullJid ? new FullJid(bare, text.substring(slash + 1), canonical) : bare;
}

/** The index of the first character that no plain ASCII localpart has, e.g. of its "@". */
function asciiLocalEnd(text: string): number {
  let i = 0;
  while (i < text.length && (CHARACTERS[text.charCodeAt(i)] & LOCAL) !== 0) i++;
  return i;
}

/**
 * The index of the "/" after a plain ASCII domain, or the length of the text; -1 when this is no plain domain, which
 * is one of letters, digits and hyphens in labels of 1 to 63, with no hyphen at either end nor in the third and fourth
 * place (where "xn--" has them), without a final dot.
 */
function asciiDomainEnd(text: string, from: number): number {
  const length = text.length;
  let labelStart = from;
  let previous = DOT;
  let i = from;
  for (; i < length; i++) {
    const c = text.charCodeAt(i);
    if (c === SLASH) break;
    if ((CHARACTERS[c] & DOMAIN) === 0) return -1;
    if (c === DOT) {
      if (i === labelStart || previous === HYPHEN || i - labelStart > MAX_LABEL) return -1;
      labelStart = i + 1;
    } else if (c === HYPHEN && (i === labelStart || (previous === HYPHEN && i === labelStart + 3))) {
      return -1;
    }
    previous = c;
  }
  if (i === labelStart || previous === HYPHEN || i - labelStart > MAX_LABEL || i - from > MAX_DOMAIN) return -1;
  return i;
}

/** True when everything from an index on is printable ASCII or space, as a plain resource is. */
function isAsciiFrom(text: string, from: number): boolean {
  for (let i = from; i < text.length; i++) {
    const c = text.charCodeAt(i);
    if (c < 0x20 || c > 0x7e) return false;
  }
  return true;
}

function hasUpper(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    if ((CHARACTERS[text.charCodeAt(i)] & UPPER) !== 0) return true;
  }
  return false;
}

/** Longer texts are parsed but not kept, so that the cache's size in bytes is bounded by its size in entries. */
const MAX_CACHED_LENGTH = 256;

/**
 * Remembers the JIDs read of late: `max` texts at most, the least used forgotten first, in two generations, so that a
 * hit costs one look-up and nothing is moved about. JIDs that it gives share their domain's string.
 */
export class JidCache {
  readonly #generationSize: number;
  #young = new Map<string, Jid>();
  #old = new Map<string, Jid>();
  #domains = new Map<string, string>();

  /** @param max the number of texts to keep, 2 or more. */
  constructor(max: number) {
    this.#generationSize = Math.max(1, Math.floor(max / 2));
  }

  /** How many texts are kept now. */
  get size(): number {
    return this.#young.size + this.#old.size;
  }

  /** As `tryParseJid` (whose word on the string that is kept holds here too); a text that is no JID is not kept. */
  parse(text: string): Jid | undefined {
    const hit = this.#young.get(text);
    if (hit !== undefined) return hit;
    let jid = this.#old.get(text);
    if (jid !== undefined) {
      this.#old.delete(text);
    } else {
      const parsed = tryParseJid(text);
      if (parsed === undefined || text.length > MAX_CACHED_LENGTH) return parsed;
      jid = this.#share(parsed);
    }
    if (this.#young.size >= this.#generationSize) {
      this.#old = this.#young;
      this.#young = new Map();
    }
    this.#young.set(text, jid);
    return jid;
  }

  /** The same JID with the strings and the bare JID that the cache holds already. */
  #share(jid: Jid): Jid {
    if (!isFull(jid)) return new BareJid(jid.local, this.#intern(jid.domain), jid.text);
    const known = this.#young.get(jid.bare.text) ?? this.#old.get(jid.bare.text);
    const bare =
      known === undefined || isFull(known) ? new BareJid(jid.local, this.#intern(jid.domain), jid.bare.text) : known;
    return new FullJid(bare, jid.resource, jid.text);
  }

  #intern(domain: string): string {
    const known = this.#domains.get(domain);
    if (known !== undefined) return known;
    if (this.#domains.size >= this.#generationSize) this.#domains.clear();
    const flat = Buffer.from(domain).toString(); // a slice of the JID's text until here
    this.#domains.set(flat, flat);
    return flat;
  }
}
