// What a client received, against what a story says it should: XML trees of saxes, which shares no code with the server.
import { type SaxesAttributeNS, SaxesParser, type SaxesTagNS } from "saxes";

/** An element as the test side sees it. Names are local names; prefixes are resolved. */
export interface XElement {
  name: string;
  ns: string;
  /** Without namespace declarations; prefixed ones under their prefixed name, as `xml:lang`. */
  attrs: Record<string, string>;
  children: (XElement | string)[];
}

export const NS_CLIENT = "jabber:client";
const NS_STREAM = "http://etherx.jabber.org/streams";
/** Here more attributes and children than the template names are allowed. */
const OPEN = new Set([NS_CLIENT, NS_STREAM]);
/** Descriptive text is optional wherever it is allowed (RFC 6120 §4.9.2, §6.4.2, §8.3.2). */
const DESCRIPTIVE = new Set([
  "urn:ietf:params:xml:ns:xmpp-streams",
  "urn:ietf:params:xml:ns:xmpp-stanzas",
  "urn:ietf:params:xml:ns:xmpp-sasl",
]);
const ANY = "{any}";
/** As an attribute's value: the attribute must not be there. */
const NONE = "{none}";

/** Builds elements while saxes parses. `root` hears of the opening tag at depth 0, `element` of each child of it. */
export class TreeReader {
  private readonly parser = new SaxesParser({ xmlns: true, fragment: false });
  private readonly open: XElement[] = [];
  failure: Error | undefined;

  constructor(
    /** true: the document element is a stream, its children are reported one by one. */
    private readonly streaming: boolean,
    private readonly on: { root?(e: XElement): void; element(e: XElement): void; end?(): void },
  ) {
    this.parser.on("error", (error) => {
      this.failure ??= error;
    });
    this.parser.on("opentag", (tag) => this.opened(tag));
    this.parser.on("closetag", () => this.closed());
    this.parser.on("text", (text) => this.text(text));
    this.parser.on("cdata", (text) => this.text(text));
  }

  write(text: string): void {
    if (this.failure) return;
    try {
      this.parser.write(text);
    } catch (error) {
      this.failure ??= error as Error;
    }
  }

  private opened(tag: SaxesTagNS): void {
    const attrs: Record<string, string> = {};
    for (const [name, { value, prefix }] of Object.entries(tag.attributes as Record<string, SaxesAttributeNS>)) {
      if (prefix !== "xmlns" && name !== "xmlns") attrs[name] = value;
    }
    const element: XElement = { name: tag.local, ns: tag.uri, attrs, children: [] };
    if (this.streaming && this.open.length === 0) this.on.root?.(element);
    this.open.at(-1)?.children.push(element);
    this.open.push(element);
  }

  private closed(): void {
    const element = this.open.pop()!;
    const { length } = this.open;
    if (this.streaming) {
      if (length === 1) {
        this.open[0].children.length = 0;
        this.on.element(element);
      } else if (length === 0) this.on.end?.();
    } else if (length === 0) this.on.element(element);
  }

  private text(text: string): void {
    const parent = this.open.at(-1);
    if (!parent || (this.streaming && this.open.length === 1)) return;
    const last = parent.children.length - 1;
    if (typeof parent.children[last] === "string") parent.children[last] += text;
    else parent.children.push(text);
  }
}

/** Parses one or more elements; those without a namespace are in jabber:client, `stream:` is bound. */
export function parseTemplate(text: string): XElement[] {
  const found: XElement[] = [];
  const reader = new TreeReader(true, { element: (e) => found.push(e) });
  reader.write(`<t xmlns='${NS_CLIENT}' xmlns:stream='${NS_STREAM}'>${text}</t>`);
  if (reader.failure) throw new Error(`A template is not well-formed: ${reader.failure.message}\n${text}`);
  return found;
}

/** Parses exactly one element that declares its namespaces itself, as a message of RFC 7395 must. */
export function parseWhole(text: string): XElement {
  let found: XElement | undefined;
  const reader = new TreeReader(false, {
    element: (e) => {
      found = e;
    },
  });
  reader.write(text);
  if (reader.failure || !found) throw new Error(`Not one whole element (${reader.failure?.message}): ${text}`);
  return found;
}

const elements = (e: XElement): XElement[] => e.children.filter((c): c is XElement => typeof c !== "string");

/** The text directly inside. */
export const textOf = (e: XElement): string => e.children.filter((c) => typeof c === "string").join("");

/** The first child of that name (and namespace). */
export const childOf = (e: XElement, name: string, ns?: string): XElement | undefined =>
  elements(e).find((c) => c.name === name && (ns === undefined || c.ns === ns));

/** The first descendant of that name, in document order. */
export function find(e: XElement, name: string): XElement | undefined {
  for (const child of elements(e)) {
    const hit = child.name === name ? child : find(child, name);
    if (hit) return hit;
  }
  return undefined;
}

export const childrenOf = elements;

/** Why `actual` is not what `wanted` describes; undefined when it is. */
export function mismatch(wanted: XElement, actual: XElement): string | undefined {
  const at = `<${wanted.name}/>`;
  if (wanted.name !== actual.name) return `${at} expected, <${actual.name}/> found`;
  if (wanted.ns !== actual.ns) return `${at} should be in "${wanted.ns}", is in "${actual.ns}"`;
  const exact = !OPEN.has(wanted.ns);
  for (const [name, value] of Object.entries(wanted.attrs)) {
    const is = actual.attrs[name];
    if (value === NONE ? is !== undefined : value === ANY ? is === undefined : is !== value) {
      return `${name} of ${at} should be ${JSON.stringify(value)}, is ${JSON.stringify(is)}`;
    }
  }
  if (exact) {
    const extra = Object.keys(actual.attrs).find((name) => wanted.attrs[name] === undefined);
    if (extra !== undefined) return `${at} has an unexpected ${extra}=${JSON.stringify(actual.attrs[extra])}`;
  }
  const wantedText = textOf(wanted).trim();
  if (wantedText === ANY && elements(wanted).length === 0) return undefined;
  if ((exact && elements(wanted).length === 0) || wantedText !== "") {
    const is = textOf(actual).trim();
    if (is !== wantedText) return `text of ${at} should be ${JSON.stringify(wantedText)}, is ${JSON.stringify(is)}`;
  }
  const left = elements(actual);
  for (const child of elements(wanted)) {
    const reasons: string[] = [];
    const hit = left.findIndex((c) => {
      const why = mismatch(child, c);
      if (why !== undefined) reasons.push(why);
      return why === undefined;
    });
    if (hit < 0) return `no child of ${at} fits <${child.name}/>: ${reasons.join("; ") || "it has none"}`;
    left.splice(hit, 1);
  }
  const surplus = exact ? left.find((c) => !(c.name === "text" && DESCRIPTIVE.has(c.ns))) : undefined;
  return surplus && `${at} has an unexpected child ${show(surplus)}`;
}

const escaped = (text: string): string =>
  text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll('"', "&quot;");

/** For people: markup of an element. */
export function show(e: XElement, around = NS_CLIENT): string {
  const ns = e.ns === around ? "" : ` xmlns="${e.ns}"`;
  const attrs = Object.entries(e.attrs).map(([name, value]) => ` ${name}="${escaped(value)}"`);
  const inner = e.children.map((c) => (typeof c === "string" ? escaped(c) : show(c, e.ns))).join("");
  return `<${e.name}${ns}${attrs.join("")}${inner === "" ? "/>" : `>${inner}</${e.name}>`}`;
}
