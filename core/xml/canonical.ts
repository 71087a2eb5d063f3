// Rewriting an element so that it stands alone: no name of it, nor of any child, leans on a prefix declared outside.
// The slow path, for the rare stanza that uses prefixes of the stream header or of its own tag.

import { escapeAttribute, unescapeXml } from "./markup.ts";
import { FrameError, type Scope } from "./scan.ts";

/** What well-formed markup without comments and the like consists of: CDATA sections, tags, text. */
const TOKEN = /<!\[CDATA\[[\s\S]*?\]\]>|<(\/?)([^ \t\r\n/>]+)((?:[^"'>/]+|"[^"]*"|'[^']*')*)(\/?)>|[^<]+/g;
const ATTRIBUTE = /([^ \t\r\n=]+)[ \t\r\n]*=[ \t\r\n]*("[^"]*"|'[^']*')/g;

/** Prefix to namespace, "" being the default one; what was set since a mark can be taken back. */
class Bindings {
  private readonly map = new Map<string, string>();
  private readonly log: (readonly [string, string | undefined])[] = [];

  get(prefix: string): string | undefined {
    return this.map.get(prefix);
  }
  set(prefix: string, uri: string): void {
    this.log.push([prefix, this.map.get(prefix)]);
    this.map.set(prefix, uri);
  }
  get mark(): number {
    return this.log.length;
  }
  back(mark: number): void {
    while (this.log.length > mark) {
      const [prefix, before] = this.log.pop()!;
      if (before === undefined) this.map.delete(prefix);
      else this.map.set(prefix, before);
    }
  }
}

/** What is in force where the reader is: as it was given, and as it has been written so far. */
class Context {
  readonly given = new Bindings();
  readonly told = new Bindings();
  private readonly open: (readonly [given: number, written: number])[] = [];

  enter(): void {
    this.open.push([this.given.mark, this.told.mark]);
  }
  leave(): void {
    const [given, written] = this.open.pop()!;
    this.given.back(given);
    this.told.back(written);
  }
  get depth(): number {
    return this.open.length;
  }
}

/**
 * The text of an element that has passed the framer, as it means without its stream: no element has a prefix, a prefix
 * that an attribute uses is declared in the same child, namespaces have no needless references. Attribute values and
 * text stay as they were written.
 * Throws FrameError when the result has more than `max` characters: repeating a declaration must not be an amplifier.
 */
export function canonicalText(text: string, scope: Scope, max: number): string {
  const context = new Context();
  context.given.set("", scope.defaultNs);
  for (const [prefix, uri] of scope.prefixes) context.given.set(prefix, uri);
  let out = "";
  for (const [token, slash, name, attributes, empty] of text.matchAll(TOKEN)) {
    if (name === undefined) out += token;
    else if (slash !== "") {
      out += `</${written(name)}>`;
      context.leave();
    } else {
      context.enter();
      out += `${startTag(name, attributes, context)}${empty}>`;
      if (empty !== "") context.leave();
    }
    if (out.length > max) throw new FrameError("policy-violation", "element too big");
  }
  return out;
}

const prefixOf = (name: string): string => name.slice(0, Math.max(0, name.indexOf(":")));
const local = (name: string): string => name.slice(name.indexOf(":") + 1);
/** An element's name as it is written: `xml` is the one prefix that cannot be said otherwise. */
const written = (name: string): string => (name.startsWith("xml:") ? name : local(name));

/** A value's markup; white space that a reader would take for a blank (XML 1.0 §3.3.3) stays a reference. */

/** A start tag without its end; what it declares is in force afterwards. */
function startTag(name: string, attributes: string, { given, told, depth }: Context): string {
  const before = told.mark;
  let declarations = "";
  const declare = (prefix: string, uri: string): void => {
    if (prefix === "xml") return;
    told.set(prefix, uri);
    declarations += ` xmlns${prefix === "" ? "" : `:${prefix}`}='${escapeAttribute(uri)}'`;
  };
  const used: string[] = [];
  let rest = "";
  for (const [whole, key, quoted] of attributes.matchAll(ATTRIBUTE)) {
    const prefix = key === "xmlns" ? "xmlns" : prefixOf(key);
    if (prefix !== "xmlns") {
      rest += ` ${whole}`;
      if (prefix !== "" && prefix !== "xml") used.push(prefix);
      continue;
    }
    const bound = key === "xmlns" ? "" : local(key);
    const uri = unescapeXml(quoted.slice(1, -1).replace(/\r\n|[\t\r\n]/g, " "));
    given.set(bound, uri);
    if (bound !== "") declare(bound, uri);
  }
  for (const prefix of used) if (told.get(prefix) !== given.get(prefix)) declare(prefix, given.get(prefix)!);
  const prefix = prefixOf(name);
  const ns = prefix === "xml" ? undefined : given.get(prefix)!;
  if (ns !== undefined && told.get("") !== ns) declare("", ns);
  // Children are copied about one by one: what the element's own tag declares does not count for them.
  if (depth === 1) {
    told.back(before);
    if (ns !== undefined) told.set("", ns);
  }
  return `<${written(name)}${declarations}${rest}`;
}
