// A vCard between its two forms: XEP-0054's element and the schema's Vcard, field by field.

import { Element } from "@xmpp/xml";
import { NS_VCARD } from "../../core/ns.ts";
import type { InputOf, OutputOf } from "../../core/operations/language.ts";

/** A part of a field: its name in the schema and its element. */
type Parts = Readonly<Record<string, string>>;
interface Field {
  /** Name in the schema. */
  readonly name: string;
  readonly element: string;
  /** Parts of a field with structure; one without is text. */
  readonly parts?: Parts;
  /** Parts that may occur several times. */
  readonly many?: readonly string[];
  /** Empty elements that say what kind of value it is (<HOME/>, <WORK/>), `tags` in the schema. */
  readonly tags?: boolean;
  /** Occurs once; the others are lists in the schema. */
  readonly once?: boolean;
  /** The member of the schema's union that the parts make. */
  readonly union?: (parts: Readonly<Record<string, unknown>>) => string;
}

const IMAGE: Pick<Field, "parts" | "union"> = {
  parts: { type: "TYPE", binValue: "BINVAL", extValue: "EXTVAL" },
  union: (p) => ("extValue" in p ? "External" : "ImageData"),
};

/** In the order of the standard's DTD. */
const FIELDS: readonly Field[] = [
  { name: "formattedName", element: "FN", once: true },
  {
    name: "nameComponents",
    element: "N",
    once: true,
    parts: { family: "FAMILY", givenName: "GIVEN", middleName: "MIDDLE", prefix: "PREFIX", suffix: "SUFFIX" },
  },
  { name: "nickname", element: "NICKNAME" },
  { name: "photo", element: "PHOTO", ...IMAGE },
  { name: "birthday", element: "BDAY" },
  {
    name: "address",
    element: "ADR",
    tags: true,
    parts: {
      pobox: "POBOX",
      extadd: "EXTADD",
      street: "STREET",
      locality: "LOCALITY",
      region: "REGION",
      pcode: "PCODE",
      country: "CTRY",
    },
  },
  { name: "label", element: "LABEL", tags: true, parts: { line: "LINE" }, many: ["line"] },
  { name: "telephone", element: "TEL", tags: true, parts: { number: "NUMBER" } },
  { name: "email", element: "EMAIL", tags: true, parts: { userId: "USERID" } },
  { name: "jabberId", element: "JABBERID" },
  { name: "mailer", element: "MAILER" },
  { name: "timeZone", element: "TZ" },
  { name: "geo", element: "GEO", parts: { lat: "LAT", lon: "LON" } },
  { name: "title", element: "TITLE" },
  { name: "role", element: "ROLE" },
  { name: "logo", element: "LOGO", ...IMAGE },
  {
    name: "agent",
    element: "AGENT",
    parts: { vcard: "vCard", extValue: "EXTVAL" },
    union: (p) => ("vcard" in p ? "AgentVcard" : "External"),
  },
  { name: "org", element: "ORG", parts: { orgname: "ORGNAME", orgunit: "ORGUNIT" }, many: ["orgunit"] },
  { name: "categories", element: "CATEGORIES", parts: { keyword: "KEYWORD" }, many: ["keyword"] },
  { name: "note", element: "NOTE" },
  { name: "prodId", element: "PRODID" },
  { name: "rev", element: "REV" },
  { name: "sortString", element: "SORT-STRING" },
  // MongooseIM's own operations have stored it under this name.
  { name: "sortString", element: "SOR" },
  {
    name: "sound",
    element: "SOUND",
    parts: { phonetic: "PHONETIC", binValue: "BINVAL", extValue: "EXTVAL" },
    union: (p) => ("phonetic" in p ? "Phonetic" : "binValue" in p ? "BinValue" : "External"),
  },
  { name: "uid", element: "UID" },
  { name: "url", element: "URL" },
  { name: "desc", element: "DESC" },
  { name: "class", element: "CLASS", tags: true, parts: {} },
  { name: "key", element: "KEY", parts: { type: "TYPE", credential: "CRED" } },
];

type Values = Readonly<Record<string, unknown>>;

/** The element of a vCard given as the schema's input. */
export function toElement(input: InputOf<"VcardInput">): Element {
  return vcardElement(input as Values);
}

function vcardElement(input: Values): Element {
  const vcard = new Element("vCard", { xmlns: NS_VCARD });
  for (const field of FIELDS) {
    if (field.element === "SOR") continue;
    for (const value of listOf(input[field.name])) vcard.append(fieldElement(field, value));
  }
  return vcard;
}

function fieldElement({ element, parts, tags }: Field, value: unknown): Element {
  if (parts === undefined) return textElement(element, value);
  const el = new Element(element);
  const values = value as Values;
  if (tags) for (const tag of listOf(values["tags"])) el.append(new Element(String(tag)));
  for (const [name, part] of Object.entries(parts)) {
    for (const one of listOf(values[name])) {
      el.append(part === "vCard" ? vcardElement(one as Values) : textElement(part, one));
    }
  }
  return el;
}

function textElement(name: string, text: unknown): Element {
  const el = new Element(name);
  el.append(String(text));
  return el;
}

const listOf = (value: unknown): readonly unknown[] =>
  value === undefined || value === null ? [] : Array.isArray(value) ? value.filter((v) => v !== null) : [value];

/** A stored vCard as the schema has it. Elements that it does not know are left out. */
export function fromElement(vcard: Element): OutputOf<"Vcard!"> {
  return vcardValues(vcard) as OutputOf<"Vcard!">;
}

function vcardValues(vcard: Element): Values {
  const out: Record<string, unknown> = {};
  for (const field of FIELDS) {
    const values = vcard.getChildren(field.element).map((el) => fieldValue(field, el));
    if (values.length === 0) continue;
    if (field.once) out[field.name] = values[0];
    else out[field.name] = [...listOf(out[field.name]), ...values];
  }
  return out;
}

function fieldValue({ parts, many, tags, union }: Field, el: Element): unknown {
  if (parts === undefined) return el.text();
  const out: Record<string, unknown> = {};
  const known = Object.values(parts);
  if (tags) {
    out["tags"] = el
      .getChildElements()
      .filter((c) => !known.includes(c.name))
      .map((c) => c.name);
  }
  for (const [name, part] of Object.entries(parts)) {
    const found = el.getChildren(part).map((c) => (part === "vCard" ? vcardValues(c) : c.text()));
    if (many?.includes(name)) out[name] = found;
    else if (found.length > 0) out[name] = found[0];
  }
  if (union) out["__typename"] = union(out);
  return out;
}
