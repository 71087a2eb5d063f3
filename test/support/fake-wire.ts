// Stanzas as text: as they go to the wire, and in a form to compare.
import type { Jid } from "../../core/jid.ts";
import type { Element, Stanza } from "../../core/stanza.ts";
import { attr } from "../../core/xml/markup.ts";
import { encode, Scratch } from "../../core/xml/writer.ts";

const SCRATCH = new Scratch();

/** The stanza as it goes to the wire: sender stamped, edits applied, `to` as sent unless another is given. */
export function wireText(stanza: Stanza, to?: Jid): string {
  const toMarkup = attr("to", to?.text)?.text ?? "";
  const length = encode(SCRATCH, stanza, attr("from", stanza.from.text)!.text, toMarkup, false);
  return SCRATCH.bytes.utf8Slice(0, length);
}

/** The element with its attributes in order, ids of pushes left out, and what `like` does not care about set to {any}. */
export function normal(el: Element, like?: Element): string {
  const names = Object.keys(el.attrs).sort();
  let out = `<${el.name}`;
  for (const name of names) {
    const value = String(el.attrs[name]);
    if (name === "id" && (value.startsWith("push") || value.startsWith("ask")) && like?.attrs["id"] === undefined)
      continue;
    if (name === "xmlns" && value === "jabber:client") continue;
    out += ` ${name}='${like?.attrs[name] === "{any}" ? "{any}" : value}'`;
  }
  const others = like?.getChildElements() ?? [];
  let i = 0;
  const children = el.children.map((c) => (typeof c === "string" ? c : normal(c, others[i++])));
  return `${out}>${children.join("")}</${el.name}>`;
}
