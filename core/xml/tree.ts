// One well-formed element as a tree of @xmpp/xml's Elements.

import { Element, Parser } from "@xmpp/xml";
import { escapeXml, unescapeXml } from "./markup.ts";

const SPACE = 0x20;
const QUOTE = 0x22;
const APOSTROPHE = 0x27;
const EXCLAMATION = 0x21;
const SLASH = 0x2f;
const LESS = 0x3c;
const EQUALS = 0x3d;
const GREATER = 0x3e;
const QUESTION = 0x3f;

/**
 * Parses one well-formed element (it has passed the framer, or the server wrote it) into a tree.
 * @throws Error for what is not one element
 */
export function parseElement(text: string): Element {
  // Straight from tag to tag, half of what the library's parser takes, which reads in pieces and by events; what only that
  // one knows (sections, comments, instructions) is left to it.
  return read(text) ?? readAny(text);
}

/** A reference to something that is not XML's own. */
const UNKNOWN = /&(?!(?:#x[0-9a-fA-F]+|#[0-9]+|lt|gt|amp|quot|apos);)/;
/** What is no character of XML 1.0 (§2.2), however it is written. */
const NO_CHARACTER = /[^\t\n\r\x20-\uD7FF\uE000-\uFFFD\u{10000}-\u{10FFFF}]/u;

const broken = (): never => {
  throw new Error("not one element");
};

/** Undefined when there is markup that is no tag. */
function read(text: string): Element | undefined {
  const { length } = text;
  let root: Element | undefined;
  let at: Element | null = null;
  for (let i = 0; i < length; ) {
    if (text.charCodeAt(i) !== LESS) {
      const end = text.indexOf("<", i);
      // Around the element there may be space.
      if (at === null && text.slice(i, end < 0 ? length : end).trim() === "") {
        i = end < 0 ? length : end;
        continue;
      }
      if (at === null || end < 0) return broken();
      at.children.push(unescaped(text.slice(i, end)));
      i = end;
      continue;
    }
    const c = text.charCodeAt(++i);
    if (c === EXCLAMATION || c === QUESTION) return undefined;
    if (c === SLASH) {
      const end = text.indexOf(">", i);
      if (at === null || end < 0 || text.slice(i + 1, end).trimEnd() !== at.name) return broken();
      at = at.parent;
      i = end + 1;
      continue;
    }
    if (root !== undefined && at === null) return broken();
    const start = i;
    i = nameEnd(text, i);
    if (i === start) return broken();
    const element: Element = new Element(text.slice(start, i));
    if (at === null) root = element;
    else {
      element.parent = at;
      at.children.push(element);
    }
    i = readAttributes(text, i, element.attrs);
    if (text.charCodeAt(i) === SLASH) i++;
    else at = element;
    if (text.charCodeAt(i++) !== GREATER) return broken();
  }
  return root === undefined || at !== null ? broken() : root;
}

function unescaped(text: string): string {
  if (!text.includes("&")) return text;
  if (UNKNOWN.test(text)) return broken();
  const meant = unescapeXml(text);
  return text.includes("&#") && NO_CHARACTER.test(meant) ? broken() : meant;
}

/** Behind a name, of a tag or of an attribute. */
function nameEnd(text: string, from: number): number {
  for (let i = from; ; i++) {
    const c = text.charCodeAt(i);
    // The end of the text is no number.
    if (!(c > SPACE) || c === GREATER || c === SLASH || c === EQUALS) return i;
  }
}

function pastSpace(text: string, from: number): number {
  let i = from;
  while (text.charCodeAt(i) <= SPACE) i++;
  return i;
}

/** Up to the ">" or "/" that the tag ends with. */
function readAttributes(text: string, from: number, into: Record<string, string>): number {
  for (let i = from; ; ) {
    i = pastSpace(text, i);
    const c = text.charCodeAt(i);
    if (c === GREATER || c === SLASH) return i;
    const end = nameEnd(text, i);
    const equals = pastSpace(text, end);
    if (end === i || text.charCodeAt(equals) !== EQUALS) broken();
    const open = pastSpace(text, equals + 1);
    const quote = text.charCodeAt(open);
    if (quote !== QUOTE && quote !== APOSTROPHE) broken();
    const close = text.indexOf(quote === QUOTE ? '"' : "'", open + 1);
    if (close < 0) broken();
    into[text.slice(i, end)] = unescaped(text.slice(open + 1, close));
    i = close + 1;
  }
}

const CDATA = /<!\[CDATA\[([\s\S]*?)\]\]>/g;

function readAny(text: string): Element {
  const parser = new Parser();
  let root: Element | undefined;
  let depth = 0;
  parser.on("start", (el: Element) => {
    root = el;
    depth++;
  });
  parser.on("element", (el: Element) => {
    root!.append(el);
    el.parent = root!;
  });
  parser.on("error", (error: unknown) => {
    throw error instanceof Error ? error : new Error(String(error));
  });
  // The parser loses text that follows a CDATA section.
  parser.write(text.includes("<![CDATA[") ? text.replace(CDATA, (_, inside: string) => escapeXml(inside)) : text);
  if (!root || depth !== 1) return broken();
  return root;
}
