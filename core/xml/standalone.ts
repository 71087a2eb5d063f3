// An element that leaves its stanza: to be stored, and to be put into another one.

import type { Element } from "@xmpp/xml";

/** An element as text, with the prefixes declared that it may use from around it. */
export function standalone(el: Element): string {
  for (let outer = el.parent; outer; outer = outer.parent) {
    for (const [name, value] of Object.entries(outer.attrs)) if (name.startsWith("xmlns:")) el.attrs[name] ??= value;
  }
  return el.toString();
}
