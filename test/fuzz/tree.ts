// Trees to compare by, and the independent reader (saxes) that makes them.

import { SaxesParser, type SaxesTagNS } from "saxes";
import type { Element } from "../../core/stanza.ts";

/** An element as the Namespaces recommendation sees it. Names are `{namespace}local`. */
export interface Tree {
  name: string;
  attrs: Map<string, string>;
  children: (Tree | string)[];
}

const XMLNS = "http://www.w3.org/2000/xmlns/";
const XML = "http://www.w3.org/XML/1998/namespace";

// The views do not normalise line ends and white space in attributes as a parser must (XML 1.0 §2.11, §3.3.3): they
// pass bytes on. So both sides are brought to one form.
const value = (text: string): string => text.replace(/[ \t\r\n]+/g, " ");
const lines = (text: string): string => text.replace(/[\r\n]+/g, "\n");

/** A tree in one line, for comparing and for reading. */
export function show(tree: Tree): string {
  const attrs = [...tree.attrs].map(([k, v]) => ` ${k}=${JSON.stringify(value(v))}`).sort();
  let text = "";
  let out = "";
  for (const child of tree.children) {
    if (typeof child === "string") text += child;
    else {
      if (text !== "") out += JSON.stringify(lines(text));
      text = "";
      out += show(child);
    }
  }
  if (text !== "") out += JSON.stringify(lines(text));
  return `<${tree.name}${attrs.join("")}>${out}</>`;
}

/** A name with its namespace; saxes trims namespaces, which the recommendation does not ask for. */
export const qualified = (ns: string, local: string): string => `{${value(ns).trim()}}${local}`;

function treeOf(tag: SaxesTagNS): Tree {
  const attrs = new Map<string, string>();
  for (const a of Object.values(tag.attributes)) if (a.uri !== XMLNS) attrs.set(qualified(a.uri, a.local), a.value);
  return { name: qualified(tag.uri, tag.local), attrs, children: [] };
}

// saxes does not look at how the part behind a colon starts (Namespaces in XML 1.0 §4: an NCName).
const NCNAME =
  /^[A-Z_a-z\xc0-\xd6\xd8-\xf6\xf8-\u02ff\u0370-\u037d\u037f-\u1fff\u200c-\u200d\u2070-\u218f\u2c00-\u2fef\u3001-\ud7ff\uf900-\ufdcf\ufdf0-\ufffd\u{10000}-\u{effff}]/u;
const namesAreRight = (tag: SaxesTagNS): boolean =>
  NCNAME.test(tag.local) && Object.values(tag.attributes).every((a) => NCNAME.test(a.local));

/** What a whole stream is to the oracle. */
export interface Verdict {
  /** The root's own tag, when it was complete. */
  header: Tree | undefined;
  /** First-level elements that were complete before the end or the first error, and where they are in the text. */
  elements: { tree: Tree; start: number; end: number }[];
  /** "end": closed; "restricted", "stray", "encoding": what RFC 6120 forbids; else what the parser said. */
  outcome: string;
  /** Everything that was wrong; the first is the outcome. */
  errors: string[];
}

/** Reads a stream with saxes (strict, namespaces) and adds what RFC 6120 §11 and §4.9.3 restrict. */
export function oracle(text: string): Verdict {
  const parser = new SaxesParser({ xmlns: true, position: false, forceXMLVersion: true, defaultXMLVersion: "1.0" });
  const verdict: Verdict = { header: undefined, elements: [], outcome: "", errors: [] };
  const open: Tree[] = [];
  let start = 0;
  let tagEnd = 0;
  const stop = (why: string): void => {
    if (verdict.outcome === "") verdict.outcome = why;
    if (verdict.outcome !== "end") verdict.errors.push(why);
  };
  const done = (): boolean => verdict.outcome !== "";
  parser.on("error", (error) => stop(error.message));
  parser.on("comment", () => stop("restricted"));
  parser.on("processinginstruction", () => stop("restricted"));
  parser.on("doctype", () => stop("restricted"));
  parser.on("xmldecl", (d) => {
    if (d.encoding !== undefined && !/^utf-8$/i.test(d.encoding)) stop("encoding");
  });
  parser.on("opentagstart", () => {
    if (open.length === 1) start = text.lastIndexOf("<", parser.position - 1);
  });
  parser.on("opentag", (tag) => {
    tagEnd = parser.position;
    if (done()) return;
    if (!namesAreRight(tag)) {
      stop("not an NCName");
      return;
    }
    const tree = treeOf(tag);
    if (open.length === 0) verdict.header = { ...tree, children: [] };
    else if (open.length > 1) open.at(-1)!.children.push(tree);
    open.push(tree);
  });
  parser.on("closetag", (tag) => {
    tagEnd = parser.position;
    if (done()) return;
    // saxes tells the end of an element before it finds that the end tag is of another one.
    if (!tag.isSelfClosing) {
      const name = text.slice(text.lastIndexOf("</", parser.position - 1) + 2, parser.position - 1);
      if (name.replace(/[ \t\r\n]+$/, "") !== tag.name) {
        stop("mismatch");
        return;
      }
    }
    const tree = open.pop()!;
    if (open.length === 1) verdict.elements.push({ tree, start, end: parser.position });
    else if (open.length === 0) stop("end");
  });
  const chars = (data: string): void => {
    if (done()) return;
    if (open.length > 1) open.at(-1)!.children.push(data);
    else if (open.length === 1 && /[^ \t\r\n]/.test(text.slice(tagEnd, parser.position - 1))) stop("stray");
  };
  parser.on("text", chars);
  parser.on("cdata", (data) => {
    if (open.length === 1) stop("stray");
    chars(data);
  });
  try {
    parser.write(text);
  } catch (error) {
    // After an error that is only noted saxes may stumble over itself.
    if (verdict.outcome === "") throw error;
  }
  return verdict;
}

/** Reads one element; `ns` is the default namespace around it. Throws when it is not well-formed. */
export function parseTree(text: string, ns = ""): Tree {
  const verdict = oracle(`<w xmlns='${ns.replace(/[&<']/g, (c) => `&#${c.charCodeAt(0)};`)}'>${text}</w>`);
  if (verdict.outcome !== "end" || verdict.elements.length !== 1) {
    throw new Error(`not one element (${verdict.outcome}): ${JSON.stringify(text)}`);
  }
  return verdict.elements[0].tree;
}

/** An ltx tree with its names resolved. */
export function ltxTree(element: Element, outer: ReadonlyMap<string, string>): Tree {
  const scope = new Map(outer);
  for (const [key, uri] of Object.entries(element.attrs)) {
    if (key === "xmlns") scope.set("", String(uri));
    else if (key.startsWith("xmlns:")) scope.set(key.slice(6), String(uri));
  }
  const split = (name: string): [string, string] => {
    const colon = name.indexOf(":");
    return [name.slice(0, Math.max(0, colon)), name.slice(colon + 1)];
  };
  const resolve = (name: string): string => {
    const [prefix, local] = split(name);
    return qualified(prefix === "xml" ? XML : (scope.get(prefix) ?? ""), local);
  };
  const attrs = new Map<string, string>();
  for (const [key, v] of Object.entries(element.attrs)) {
    if (key === "xmlns" || key.startsWith("xmlns:")) continue;
    attrs.set(key.includes(":") ? resolve(key) : `{}${key}`, String(v));
  }
  return {
    name: resolve(element.name),
    attrs,
    children: element.children.map((c) => (typeof c === "string" ? c : ltxTree(c, scope))),
  };
}
