// Hashes of a disco#info answer: the verification string of XEP-0115 and the capability hash of XEP-0390.

import { createHash } from "node:crypto";
import type { Identity } from "../../core/hooks.ts";
import { NS_DATA } from "../../core/ns.ts";
import { parseElement } from "../../core/stanza.ts";
import type { Markup } from "../../core/xml/markup.ts";

export interface Info {
  identities: readonly Identity[];
  features: readonly string[];
  /** XEP-0128 forms. */
  forms: readonly Markup[];
}

/** A form as the hashes see it: fields with their values. */
type Fields = readonly { readonly name: string; readonly values: readonly string[] }[];

/** The `ver` of XEP-0115 §5.1 with SHA-1, in Base64. */
export function verification(info: Info): string {
  let s = "";
  for (const line of sorted(info.identities.map((i) => `${i.category}/${i.type}//${i.name ?? ""}`))) s += `${line}<`;
  for (const feature of sorted(info.features)) s += `${feature}<`;
  const forms = info.forms.map(fieldsOf).map((fields) => {
    const type = fields.find((f) => f.name === "FORM_TYPE")?.values[0] ?? "";
    const others = fields.filter((f) => f.name !== "FORM_TYPE").map((f) => [f.name, ...sorted(f.values)]);
    return [type, ...sorted(others.map((f) => `${f.join("<")}`))].map((part) => `${part}<`).join("");
  });
  for (const form of sorted(forms)) s += form;
  return createHash("sha1").update(s).digest("base64");
}

/** The hash of XEP-0390 §4.1, in Base64. */
export function capabilityHash(info: Info, algorithm: "sha256" | "sha512" = "sha256"): string {
  const part = (values: readonly string[]) => values.map((v) => `${v}\x1f`).join("");
  const features = sorted(info.features.map((f) => `${f}\x1f`)).join("");
  const identities = sorted(info.identities.map((i) => `${part([i.category, i.type, "", i.name ?? ""])}\x1e`)).join("");
  const forms = info.forms.map(
    (form) => `${sorted(fieldsOf(form).map((f) => `${part([f.name, ...sorted(f.values)])}\x1e`)).join("")}\x1d`,
  );
  const s = `${features}\x1c${identities}\x1c${sorted(forms).join("")}\x1c`;
  return createHash(algorithm).update(s).digest("base64");
}

/** Both standards sort by octets (i;octet of RFC 4790), which for text beyond the BMP is not JavaScript's order. */
function sorted(list: readonly string[]): string[] {
  return [...list].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
}

function fieldsOf(form: Markup): Fields {
  return parseElement(form.text)
    .getChildren("field", NS_DATA)
    .map((field) => ({
      name: field.attrs["var"] ?? "",
      values: field.getChildren("value", NS_DATA).map((value) => value.text()),
    }));
}
