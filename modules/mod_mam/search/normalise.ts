// What of a text is searched for: words in lower case with one space between them, as MongooseIM keeps them in
// search_body, so that either server finds what the other has archived.

import { NS_CLIENT } from "../../../core/ns.ts";
import type { Stanza } from "../../../core/stanza.ts";

/** Words of a query that are looked at; MongooseIM takes as many. */
const MAX_WORDS = 10;
/** Characters of a word of a query that are looked at; databases have bounds for patterns. */
export const MAX_WORD = 1000;

const OTHER = 0;
const SPACE = 1;
/** 0 for what is dropped, 1 for what separates words, and the character in lower case for what is part of a word. */
const ASCII = new Uint8Array(128);
for (const c of " ,.:;<=>?!\t\n\v\f\r") ASCII[c.charCodeAt(0)] = SPACE;
for (const c of "0123456789_abcdefghijklmnopqrstuvwxyz") ASCII[c.charCodeAt(0)] = c.charCodeAt(0);
for (let c = 0x41; c <= 0x5a; c++) ASCII[c] = c + 0x20;

/** Where nearly all texts have room: their words are made there, one text after the other. */
const ROOM = Buffer.allocUnsafeSlow(8192);

const SEPARATORS = /[\s,.:;<=>?!]+/gu;
const NO_WORD = /[^\p{L}\p{N}_ ]+/gu;
const SPACES = / {2,}/g;

/**
 * The words of a text: letters, digits and `_` of every script in lower case; punctuation that ends words and white
 * space becomes one space, everything else is dropped ("cat's" is one word, and so is "well-known"). "" when no word is
 * left. Takes time in proportion to the text.
 */
export function normalise(body: string): string {
  const bytes = Buffer.from(body);
  return ofAscii(bytes, 0, bytes.length, false) ?? anyScript(body);
}

/** As `normalise`, of bytes; undefined when they are not ASCII, or in markup not text alone. */
function ofAscii(b: Buffer, s: number, e: number, markup: boolean): string | undefined {
  const out = e - s > ROOM.length ? Buffer.allocUnsafeSlow(e - s) : ROOM;
  let at = 0;
  let gap = false;
  for (let i = s; i < e; i++) {
    const c = b[i];
    if (c >= 128 || (markup && (c === 0x26 || c === 0x3c))) return undefined;
    const as = ASCII[c];
    if (as === OTHER) continue;
    if (as === SPACE) {
      gap = at > 0;
      continue;
    }
    if (gap) out[at++] = 0x20;
    gap = false;
    out[at++] = as;
  }
  return out.latin1Slice(0, at);
}

function anyScript(body: string): string {
  return body.toLowerCase().replace(SEPARATORS, " ").replace(NO_WORD, "").replace(SPACES, " ").trim();
}

/**
 * What searches find of a message: the words of its body. A body without attributes, references, sections and other than
 * ASCII characters is read where it lies.
 */
export function searchedText(message: Stanza): string {
  const k = message.find("body", NS_CLIENT);
  if (k < 0) return "";
  const inside = message.kidInside(k);
  const words = inside && ofAscii(message.raw, inside.start, inside.end, true);
  return words ?? normalise(message.kid(k).text());
}

/** The words that a query asks for, each once, at most 10; none for a query without a word. */
export function words(query: string): string[] {
  const found = new Set<string>();
  for (const word of normalise(query).split(" ", MAX_WORDS)) if (word !== "") found.add(word.slice(0, MAX_WORD));
  return [...found];
}
