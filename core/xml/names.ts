// Names of elements and attributes as text.

import { continuesName, NAME, NAME_START, startsName } from "./chars.ts";

/** Whether a text is the name of an element or an attribute: one NCName, or two with a colon (Namespaces in XML 1.0 §4). */
export function isQName(text: string): boolean {
  const colon = text.indexOf(":");
  return colon < 0 ? isNcName(text) : isNcName(text.slice(0, colon)) && isNcName(text.slice(colon + 1));
}

function isNcName(text: string): boolean {
  let first = true;
  for (const character of text) {
    const c = character.codePointAt(0)!;
    const fits = c < 0x80 ? (first ? NAME[c] === NAME_START : NAME[c] !== 0) : first ? startsName(c) : continuesName(c);
    if (!fits) return false;
    first = false;
  }
  return !first;
}
