// XML elements as Erlang's exml library has them: `{xmlel, Name, Attributes, Children}`, with text as
// `{xmlcdata, Text, Style}`. Namespaces are attributes like others there, and prefixes parts of names.

import { Atom, Improper, TERM_LIMITS, type Term, TermError, TermMap, Tuple } from "../../../core/erlang/term.ts";
import type { Element } from "../../../core/stanza.ts";
import { escapeXml } from "../../../core/xml/markup.ts";
import { isQName } from "../../../core/xml/names.ts";

const XMLEL = new Atom("xmlel");
const XMLCDATA = new Atom("xmlcdata");
const ESCAPED = new Atom("escaped");

/** An element as a term of MongooseIM 6.8: attributes as a map, text with its style. */
export function elementTerm(element: Element): Term {
  const attributes = Object.entries(element.attrs).map(([name, value]) => [binary(name), binary(value)] as const);
  const children = element.children.map((child) =>
    typeof child === "string" ? new Tuple([XMLCDATA, binary(child), ESCAPED]) : elementTerm(child),
  );
  return new Tuple([XMLEL, binary(element.name), new TermMap(attributes), children]);
}

const binary = (text: string): Uint8Array => Buffer.from(text);

/**
 * The text of an element that a term holds: attributes as a map or as a list of pairs, text with a style or without.
 * It is well-formed in itself: characters that XML cannot carry are left out, and a prefix that nothing declares, which
 * exml lets pass, is declared as itself.
 * @throws TermError for a term that is no element, and for names that XML does not have
 */
export function elementText(term: Term): string {
  const writer = new Writer();
  writer.element(term);
  return writer.text();
}

const wrong = (what: string): TermError => new TermError("value", `Cannot read an archived message: ${what}`);

class Writer {
  readonly #out: string[] = [];
  #length = 0;
  /** Prefixes that hold where the writer is. */
  readonly #prefixes = new Set(["xml"]);

  text(): string {
    return this.#out.join("");
  }

  /** A text may be five times its term: no stanza is longer than a term may be. */
  #put(part: string): void {
    this.#length += part.length;
    if (this.#length > TERM_LIMITS.size) {
      throw new TermError("too-big", `Cannot read an archived message of more than ${TERM_LIMITS.size} characters`);
    }
    this.#out.push(part);
  }

  element(term: Term): void {
    if (!isRecord(term, "xmlel") || term.items.length !== 4) throw wrong("a term is no element");
    const [, nameTerm, attributeTerm, children] = term.items;
    const name = nameOf(nameTerm);
    const attributes = attributesOf(attributeTerm);
    const declared = this.#declarePrefixes(name, attributes);
    this.#put(`<${name}`);
    for (const [key, value] of attributes) this.#put(` ${key}='${escapeValue(value)}'`);
    if (!Array.isArray(children)) throw wrong("an element's children are no list");
    this.#put(">");
    const start = this.#out.length;
    for (const child of children as readonly Term[]) {
      if (!isRecord(child, "xmlcdata")) this.element(child);
      else {
        const text = escapeText(textOf(child.items[1]));
        if (text !== "") this.#put(text);
      }
    }
    if (this.#out.length === start) this.#out[start - 1] = "/>";
    else this.#put(`</${name}>`);
    for (const prefix of declared) this.#prefixes.delete(prefix);
  }

  /**
   * Declares the prefixes that an element uses and that do not hold; gives those that hold from here on, to be taken back
   * behind it.
   */
  #declarePrefixes(name: string, attributes: Map<string, string>): readonly string[] {
    let prefixed = name.includes(":");
    for (const key of attributes.keys()) prefixed ||= key.includes(":");
    if (!prefixed) return [];
    const declared: string[] = [];
    const declare = (prefix: string): void => {
      if (this.#prefixes.has(prefix)) return;
      this.#prefixes.add(prefix);
      declared.push(prefix);
    };
    for (const [key, value] of [...attributes]) {
      if (!key.startsWith("xmlns:")) continue;
      const prefix = key.slice(6);
      // Namespaces in XML 1.0 §3: these two are never declared, and a prefix is not taken back.
      if (prefix === "xml" || prefix === "xmlns" || value === "") attributes.delete(key);
      else declare(prefix);
    }
    for (const used of [name, ...attributes.keys()]) {
      const colon = used.indexOf(":");
      const prefix = used.slice(0, Math.max(0, colon));
      if (prefix === "" || this.#prefixes.has(prefix)) continue;
      if (prefix === "xmlns") {
        if (used === name) throw wrong("an element has the prefix xmlns");
        continue;
      }
      declare(prefix);
      attributes.set(`xmlns:${prefix}`, prefix);
    }
    return declared;
  }
}

function isRecord(term: Term, name: string): term is Tuple {
  const first = term instanceof Tuple ? term.items[0] : undefined;
  return first instanceof Atom && first.name === name;
}

function nameOf(term: Term): string {
  const name = textOf(term);
  if (!isQName(name)) throw wrong(`${JSON.stringify(name.slice(0, 80))} is no name`);
  return name;
}

/** By name; of two with one name, which old databases may hold, the last counts, as for MongooseIM. */
function attributesOf(term: Term): Map<string, string> {
  const pairs = term instanceof TermMap ? term.pairs : pairsOf(term);
  return new Map(pairs.map(([key, value]) => [nameOf(key), textOf(value)]));
}

function pairsOf(term: Term): [Term, Term][] {
  if (!Array.isArray(term)) throw wrong("an element's attributes are neither a map nor a list");
  return (term as readonly Term[]).map((pair): [Term, Term] => {
    if (!(pair instanceof Tuple) || pair.items.length !== 2) throw wrong("an attribute is no pair");
    return [pair.items[0], pair.items[1]];
  });
}

/** Text of a binary or of iodata: bytes and binaries in lists, however nested. */
function textOf(term: Term): string {
  if (term instanceof Uint8Array) return Buffer.from(term.buffer, term.byteOffset, term.byteLength).utf8Slice();
  const parts: Uint8Array[] = [];
  gather(term, parts);
  return Buffer.concat(parts).utf8Slice();
}

function gather(term: Term, parts: Uint8Array[]): void {
  if (term instanceof Uint8Array) parts.push(term);
  else if (typeof term === "number" && term === (term & 0xff)) parts.push(Uint8Array.of(term));
  else if (Array.isArray(term)) for (const item of term as readonly Term[]) gather(item, parts);
  else if (term instanceof Improper) {
    for (const item of term.items) gather(item, parts);
    gather(term.tail, parts);
  } else throw wrong("a text is no text");
}

/** A reader takes these for a blank or a line's end unless they are references (XML 1.0 §2.11, §3.3.3). */
const escapeValue = (value: string): string => escapeXml(value).replace(/[\t\r\n]/g, (c) => `&#${c.charCodeAt(0)};`);
const escapeText = (text: string): string => escapeXml(text).replaceAll("\r", "&#13;");
