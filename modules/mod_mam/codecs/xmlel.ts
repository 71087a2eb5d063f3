// XML elements as Erlang's exml library has them: `{xmlel, Name, Attributes, Children}`, with text as
// `{xmlcdata, Text, Style}`. Namespaces are attributes like others there, and prefixes parts of names.

import { Atom, Improper, type Term, TermError, TermMap, Tuple } from "../../../core/erlang/term.ts";
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
  const out: string[] = [];
  writeElement(term, PREDEFINED, out);
  return out.join("");
}

const PREDEFINED: ReadonlySet<string> = new Set(["xml"]);

const wrong = (what: string): TermError => new TermError("value", `Cannot read an archived message: ${what}`);

function writeElement(term: Term, outer: ReadonlySet<string>, out: string[]): void {
  if (!isRecord(term, "xmlel") || term.items.length !== 4) throw wrong("a term is no element");
  const [, nameTerm, attributeTerm, children] = term.items;
  const name = nameOf(nameTerm);
  const attributes = attributesOf(attributeTerm);
  const prefixes = declarePrefixes(name, attributes, outer);
  out.push("<", name);
  for (const [key, value] of attributes) out.push(" ", key, "='", escapeValue(value), "'");
  if (!Array.isArray(children)) throw wrong("an element's children are no list");
  const start = out.push(">");
  for (const child of children as readonly Term[]) {
    if (!isRecord(child, "xmlcdata")) writeElement(child, prefixes, out);
    else {
      const text = escapeText(textOf(child.items[1]));
      if (text !== "") out.push(text);
    }
  }
  if (out.length === start) out[start - 1] = "/>";
  else out.push("</", name, ">");
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

/** The prefixes that hold inside of an element; declarations for those that it uses and that do not hold are added. */
function declarePrefixes(
  name: string,
  attributes: Map<string, string>,
  outer: ReadonlySet<string>,
): ReadonlySet<string> {
  let prefixed = name.includes(":");
  for (const key of attributes.keys()) prefixed ||= key.includes(":");
  if (!prefixed) return outer;
  const inner = new Set(outer);
  for (const [key, value] of [...attributes]) {
    if (!key.startsWith("xmlns:")) continue;
    const prefix = key.slice(6);
    // Namespaces in XML 1.0 §3: these two are never declared, and a prefix is not taken back.
    if (prefix === "xml" || prefix === "xmlns" || value === "") attributes.delete(key);
    else inner.add(prefix);
  }
  for (const used of [name, ...attributes.keys()]) {
    const colon = used.indexOf(":");
    const prefix = used.slice(0, Math.max(0, colon));
    if (prefix === "" || inner.has(prefix)) continue;
    if (prefix === "xmlns") {
      if (used === name) throw wrong("an element has the prefix xmlns");
      continue;
    }
    inner.add(prefix);
    attributes.set(`xmlns:${prefix}`, prefix);
  }
  return inner;
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
