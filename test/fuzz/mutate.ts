// Damage to a tree of XML that leaves it well-formed: what a client with a bug, or with a plan, sends.

import { parseTemplate, type XElement } from "../support/match.ts";
import type { Random } from "./random.ts";

/** The stanza of a template. */
export function treeOf(text: string): XElement {
  const [e, ...more] = parseTemplate(text);
  if (e === undefined || more.length > 0) throw new Error(`Not one element: ${text}`);
  return e;
}

const escaped = (text: string): string =>
  text
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replaceAll("'", "&apos;")
    .replaceAll("\r", "&#13;");
const attribute = (value: string): string => escaped(value).replaceAll("\n", "&#10;").replaceAll("\t", "&#9;");

/** Markup of a tree; `prefixes` has elements declare a prefix now and then instead of a default namespace. */
export function write(e: XElement, around: string, prefixes: Random | undefined): string {
  const prefix = e.ns !== "" && prefixes?.once(12) === true ? `p${prefixes.below(3)}` : "";
  const name = prefix === "" ? e.name : `${prefix}:${e.name}`;
  let out = `<${name}`;
  let inside = around;
  if (prefix !== "") out += ` xmlns:${prefix}='${attribute(e.ns)}'`;
  else if (e.ns !== around) {
    out += ` xmlns='${attribute(e.ns)}'`;
    inside = e.ns;
  }
  for (const [key, value] of Object.entries(e.attrs)) out += ` ${key}='${attribute(value)}'`;
  if (e.children.length === 0 && prefixes?.once(6) !== true) return `${out}/>`;
  out += ">";
  for (const child of e.children) {
    if (typeof child !== "string") out += write(child, inside, prefixes);
    else if (prefixes?.once(20) === true && !child.includes("]]>")) out += `<![CDATA[${child}]]>`;
    else out += escaped(child);
  }
  return `${out}</${name}>`;
}

/** Names that objects have without anybody's doing, and others that mean something to some code. */
const NAMES = [
  "item",
  "x",
  "field",
  "value",
  "query",
  "set",
  "node",
  "command",
  "list",
  "error",
  "iq",
  "message",
  "constructor",
  "toString",
  "hasOwnProperty",
  "valueOf",
  "a-b.c_d",
  "élan",
  "_",
];

/** What every object of JavaScript has under these names. */
const INHERITED = ["constructor", "__proto__", "toString", "valueOf", "hasOwnProperty", "isPrototypeOf"];

/** Values of attributes and texts that are seldom thought of; JIDs come from the world that is played in. */
export const ODD = [
  "",
  " ",
  "0",
  "-1",
  "1",
  "00",
  "NaN",
  "Infinity",
  "1e309",
  "0x10",
  "1.5",
  "9007199254740993",
  "2147483648",
  "4294967296",
  "9223372036854775808",
  "-9223372036854775809",
  "99999999999999999999999999",
  "999999999999999",
  "2147483647",
  "true",
  "false",
  "none",
  "both",
  "remove",
  "max",
  "null",
  "undefined",
  "constructor",
  "__proto__",
  "toString",
  "hasOwnProperty",
  "😀",
  "\u202etxet-ltr",
  "\u200f",
  "\ufdd0",
  "\ufffd",
  "\ud7ff\ue000",
  "\u{10fffd}",
  "e\u0301\u0301\u0301",
  "ß",
  "ſ",
  "\u0085\u2028",
  "\t\n",
  "'; DROP TABLE users; --",
  "%",
  "_",
  "*",
  "\\",
  "a\\'b",
  "<&>\"']]>",
  "../../etc/passwd",
  "2026-02-30T25:61:61Z",
  "+275760-09-13T00:00:00.001Z",
  "+275760-09-13T00:00:00Z",
  "9999-12-31T23:59:59.999999Z",
  "0001-01-01T00:00:00Z",
  "1969-07-21T02:56:15Z",
  "x".repeat(251),
  "x".repeat(1024),
  "é".repeat(600),
  "y".repeat(5000),
];

export const NAMESPACES = [
  "",
  "jabber:client",
  "jabber:x:data",
  "jabber:iq:roster",
  "jabber:iq:private",
  "jabber:iq:privacy",
  "http://jabber.org/protocol/pubsub",
  "http://jabber.org/protocol/pubsub#owner",
  "http://jabber.org/protocol/pubsub#event",
  "http://jabber.org/protocol/rsm",
  "http://jabber.org/protocol/disco#info",
  "http://jabber.org/protocol/disco#items",
  "urn:ietf:params:xml:ns:xmpp-stanzas",
  "urn:ietf:params:xml:ns:xmpp-sasl",
  "urn:xmpp:blocking",
  "urn:xmpp:ping",
  "vcard-temp",
  "storage:bookmarks",
  "urn:xmpp:bookmarks:1",
  "constructor",
  "urn:test:odd 'quoted' <ns>",
  `urn:${"n".repeat(300)}`,
];

const elements = (e: XElement): XElement[] => e.children.filter((c): c is XElement => typeof c !== "string");

/** Every element of a tree with the one that it is in; the top itself is left out. */
function inner(e: XElement, found: [XElement, XElement][] = []): [XElement, XElement][] {
  for (const child of elements(e)) {
    found.push([child, e]);
    inner(child, found);
  }
  return found;
}

const copy = (e: XElement): XElement => structuredClone(e);

/** One change somewhere below `top`, or to the attributes of what is there. `values` are those of the world. */
export function mutate(top: XElement, r: Random, values: readonly string[]): void {
  const all = inner(top);
  if (all.length === 0) {
    top.children.push(
      r.once(2) ? r.pick(ODD) : { name: r.pick(NAMES), ns: r.pick(NAMESPACES), attrs: {}, children: [] },
    );
    return;
  }
  const [e, parent] = r.pick(all);
  const at = parent.children.indexOf(e);
  const keys = Object.keys(e.attrs);
  const value = (): string => (r.once(10) ? r.pick(INHERITED) : r.once(2) ? r.pick(values) : r.pick(ODD));
  switch (r.below(18)) {
    case 0:
      parent.children.splice(at, 1);
      break;
    case 1:
      parent.children.splice(at, 0, copy(e));
      break;
    case 2:
      e.name = r.once(2) ? r.pick(NAMES) : r.pick(all)[0].name;
      break;
    case 3:
      e.ns = r.once(2) ? r.pick(NAMESPACES) : r.pick(all)[0].ns;
      break;
    case 4:
      if (keys.length > 0) delete e.attrs[r.pick(keys)];
      else e.children = [];
      break;
    case 5:
    case 6:
    case 7:
    case 8:
      if (keys.length > 0) e.attrs[r.pick(keys)] = value();
      else e.children = [value()];
      break;
    case 9:
      e.attrs[
        r.pick(["id", "node", "jid", "type", "name", "var", "xml:lang", "sessionid", "action", "order", "value"])
      ] = value();
      break;
    case 10:
    case 11:
      e.children = [value()];
      break;
    case 12:
      e.children = [];
      break;
    case 13:
      // Two change places.
      {
        const [other, home] = r.pick(all);
        const there = home.children.indexOf(other);
        parent.children[at] = copy(other);
        home.children[there] = copy(e);
      }
      break;
    case 14:
      e.children.push(copy(r.pick(all)[0]));
      break;
    case 15:
      parent.children[at] = { name: r.pick(NAMES), ns: e.ns, attrs: {}, children: [copy(e)] };
      break;
    case 16:
      for (let n = r.pick([2, 20, 300]); n > 0; n--) parent.children.push(r.once(3) ? copy(e) : e);
      break;
    default:
      e.children.push(value());
      if (keys.length > 1) {
        const [a, b] = [r.pick(keys), r.pick(keys)];
        [e.attrs[a], e.attrs[b]] = [e.attrs[b], e.attrs[a]];
      }
  }
}

/** One value put in the place of another, everything else being as it should be. */
export function misstate(top: XElement, r: Random, values: readonly string[]): void {
  const places: ((value: string) => void)[] = [];
  for (const [e] of inner(top)) {
    for (const key of Object.keys(e.attrs)) {
      places.push((value) => {
        e.attrs[key] = value;
      });
    }
    if (elements(e).length === 0) places.push((value) => e.children.splice(0, e.children.length, value));
    if (e.children.length > 0) continue;
    places.push((value) => {
      e.name = nameOf(value);
    });
  }
  if (places.length > 0) r.pick(places)(r.once(8) ? r.pick(INHERITED) : r.once(3) ? r.pick(values) : r.pick(ODD));
}

/** A value as the name of an element, if it can be one. */
const nameOf = (value: string): string => (/^[a-zA-Z_]{1,20}$/.test(value) ? value : "constructor");
