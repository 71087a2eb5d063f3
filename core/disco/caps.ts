// Hashes of a disco#info answer: the verification string of XEP-0115 and the capability hash of XEP-0390. Both are made
// of an answer of ours (mod_disco) and compared with those that clients give of theirs (mod_caps).

import { createHash } from "node:crypto";
import type { Identity } from "../hooks.ts";
import { NS_DATA, NS_DISCO_INFO } from "../ns.ts";
import type { Element } from "../stanza.ts";
import type { Markup } from "../xml/markup.ts";
import { parseElement } from "../xml/tree.ts";

/** An identity of somebody else, which may be in a language. */
export interface LanguageIdentity extends Identity {
  lang?: string;
}
export interface Info {
  identities: readonly LanguageIdentity[];
  features: readonly string[];
  /** XEP-0128 forms. */
  forms: readonly Form[];
}

interface Field {
  readonly name: string;
  readonly type: string;
  readonly values: readonly string[];
}
/** A form as the hashes see it: fields with their values. */
export interface Form {
  readonly fields: readonly Field[];
  /** It has a table of results, which XEP-0390 has no hash of. */
  readonly table: boolean;
}

/** The answer cannot have a hash: its parts contradict each other, or the hash has no place for them. */
export class UnhashableError extends Error {
  override name = "UnhashableError";
}

/** Hash functions of XEP-0115, by the names of the registry "Hash Function Textual Names", as node:crypto names them. */
const FUNCTIONS_1 = new Map([
  ["sha-1", "sha1"],
  ["sha-224", "sha224"],
  ["sha-256", "sha256"],
  ["sha-384", "sha384"],
  ["sha-512", "sha512"],
]);
/** Of XEP-0390: those of XEP-0300 that are not advised against. */
const FUNCTIONS_2 = new Map([
  ["sha-256", "sha256"],
  ["sha-384", "sha384"],
  ["sha-512", "sha512"],
  ["sha3-256", "sha3-256"],
  ["sha3-512", "sha3-512"],
  ["blake2b-512", "blake2b512"],
]);

export const knowsHash = (version: "v1" | "v2", algorithm: string): boolean =>
  (version === "v1" ? FUNCTIONS_1 : FUNCTIONS_2).has(algorithm);

/**
 * The `ver` of XEP-0115 §5.1 in Base64; `algorithm` is one that `knowsHash`.
 * @throws UnhashableError for an ill-formed answer (§5.4): two equal identities, features or kinds of forms
 */
export function verification(info: Info, algorithm = "sha-1"): string {
  let s = "";
  const lines = info.identities.map((i) => `${i.category}/${i.type}/${i.lang ?? ""}/${i.name ?? ""}`);
  for (const line of distinct(sorted(lines), "identity")) s += `${line}<`;
  for (const feature of distinct(sorted(info.features), "feature")) s += `${feature}<`;
  const forms = info.forms.flatMap(({ fields }) => {
    const type = fields.find((f) => f.name === "FORM_TYPE");
    // A form that does not say what it is has no part in the hash.
    if (type === undefined || (type.type !== "hidden" && type.type !== "")) return [];
    if (new Set(type.values).size > 1) throw new UnhashableError("a form of several types");
    const others = fields.filter((f) => f.name !== "FORM_TYPE").map((f) => [f.name, ...sorted(f.values)]);
    const name = type.values[0] ?? "";
    return [{ name, text: [name, ...sorted(others.map((f) => f.join("<")))].map((part) => `${part}<`).join("") }];
  });
  distinct(sorted(forms.map((f) => f.name)), "kind of form");
  for (const form of sorted(forms.map((f) => f.text))) s += form;
  return createHash(FUNCTIONS_1.get(algorithm)!).update(s).digest("base64");
}

/** The hash of XEP-0390 §4.1 in Base64; `algorithm` is one that `knowsHash`. @throws UnhashableError for tables */
export function capabilityHash(info: Info, algorithm = "sha-256"): string {
  const part = (values: readonly string[]) => values.map((v) => `${v}\x1f`).join("");
  const features = sorted(info.features.map((f) => `${f}\x1f`)).join("");
  const identities = sorted(
    info.identities.map((i) => `${part([i.category, i.type, i.lang ?? "", i.name ?? ""])}\x1e`),
  ).join("");
  const forms = info.forms.map(({ fields, table }) => {
    if (table || !fields.some((f) => f.name === "FORM_TYPE")) throw new UnhashableError("a form without a type");
    return `${sorted(fields.map((f) => `${part([f.name, ...sorted(f.values)])}\x1e`)).join("")}\x1d`;
  });
  const s = `${features}\x1c${identities}\x1c${sorted(forms).join("")}\x1c`;
  return createHash(FUNCTIONS_2.get(algorithm)!).update(s).digest("base64");
}

/** Both standards sort by octets (i;octet of RFC 4790), which for text beyond the BMP is not JavaScript's order. */
function sorted(list: readonly string[]): string[] {
  return [...list].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
}

function distinct(list: readonly string[], what: string): readonly string[] {
  if (list.some((text, i) => i > 0 && text === list[i - 1])) throw new UnhashableError(`one ${what} given twice`);
  return list;
}

/** A form that the server wrote. */
export const formOf = (markup: Markup): Form => formOfElement(parseElement(markup.text));

function formOfElement(x: Element): Form {
  const fields = x.getChildren("field", NS_DATA).map((field) => ({
    name: field.attrs["var"] ?? "",
    type: field.attrs["type"] ?? "",
    values: field.getChildren("value", NS_DATA).map((value) => value.text()),
  }));
  const table = x.getChild("reported", NS_DATA) !== undefined || x.getChild("item", NS_DATA) !== undefined;
  return { fields, table };
}

/**
 * What the <query/> of an answer says. `strict` is XEP-0390's reading (§4.1): other elements than its own are an error,
 * and identities are in the language of what is around them (`lang`).
 * @throws UnhashableError
 */
export function infoOf(query: Element, strict: boolean, lang?: string): Info {
  const around = strict ? (query.attrs["xml:lang"] ?? lang) : undefined;
  const identities: LanguageIdentity[] = [];
  const features: string[] = [];
  const forms: Form[] = [];
  for (const el of query.getChildElements()) {
    const { attrs } = el;
    if (el.is("x", NS_DATA)) forms.push(formOfElement(el));
    else if (el.is("feature", NS_DISCO_INFO)) features.push(attrs["var"] ?? "");
    else if (el.is("identity", NS_DISCO_INFO)) {
      identities.push({
        category: attrs["category"] ?? "",
        type: attrs["type"] ?? "",
        name: attrs["name"] ?? "",
        lang: attrs["xml:lang"] ?? around ?? "",
      });
    } else if (strict) throw new UnhashableError(`<${el.name}/> is no part of a disco#info answer`);
  }
  return { identities, features, forms };
}
