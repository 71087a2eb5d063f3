// XML text that the server writes itself: escaping, and a tagged template that escapes what is put in.

const UNSAFE = /[&<>"']/;
const ESCAPES: Record<string, string> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&apos;" };
// What XML 1.0 cannot carry, not even as a reference: it is dropped rather than breaking the peer's stream.
const FORBIDDEN =
  /[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g;
const SUSPECT = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\ud800-\udfff\ufffe\uffff]/;
const BLANK = /[\t\r\n]/;
const BLANKS = /[\t\r\n]/g;

/** Escapes text for use as character data or inside an attribute value of either quote. */
export function escapeXml(text: string): string {
  if (SUSPECT.test(text)) text = text.replace(FORBIDDEN, "");
  if (!UNSAFE.test(text)) return text;
  return text.replace(/[&<>"']/g, (c) => ESCAPES[c]);
}

/** Escapes an attribute's value: a parser takes tabs and line ends for spaces, unless they are references (XML 1.0 3.3.3). */
export function escapeAttribute(value: string): string {
  const text = escapeXml(value);
  return BLANK.test(text) ? text.replace(BLANKS, (c) => `&#${c.charCodeAt(0)};`) : text;
}

/** Undoes the five predefined entities and character references; the text has passed the framer. */
export function unescapeXml(text: string): string {
  if (!text.includes("&")) return text;
  return text.replace(/&(?:#x([0-9a-fA-F]+)|#([0-9]+)|(lt|gt|amp|quot|apos));/g, (_, hex, dec, name) => {
    if (hex) return String.fromCodePoint(Number.parseInt(hex, 16));
    if (dec) return String.fromCodePoint(Number.parseInt(dec, 10));
    return name === "lt" ? "<" : name === "gt" ? ">" : name === "amp" ? "&" : name === "quot" ? '"' : "'";
  });
}

/** XML that is known to be well-formed. Made by `xml`, by `Stanza.childXml`, or from an Element. */
export class Markup {
  constructor(readonly text: string) {}
  toString(): string {
    return this.text;
  }
}

type Value = string | number | Markup | readonly Markup[] | false | null | undefined;

/**
 * Markup from a template: strings and numbers are escaped, markup (or a list of it) goes in as it is,
 * and false, null and undefined leave nothing.
 *
 *     xml`<query xmlns='${NS}' seconds='${n}'>${status}</query>`
 */
export function xml(parts: TemplateStringsArray, ...values: Value[]): Markup {
  let out = parts[0];
  for (let i = 0; i < values.length; i++) {
    const v = values[i];
    if (typeof v === "string") out += parts[i].endsWith("='") ? escapeAttribute(v) : escapeXml(v);
    else if (typeof v === "number") out += v;
    else if (v instanceof Markup) out += v.text;
    else if (Array.isArray(v)) for (const m of v) out += (m as Markup).text;
    out += parts[i + 1];
  }
  return new Markup(out);
}

/** ` name='value'`, or nothing when the value is undefined: for optional attributes in a template. */
export function attr(name: string, value: string | number | undefined): Markup | undefined {
  return value === undefined
    ? undefined
    : new Markup(` ${name}='${typeof value === "number" ? value : escapeAttribute(value)}'`);
}
