// Byte classes for XML 1.0 in UTF-8: what the framer looks up for every byte.

/** Character data: 0 goes on, else the class below. */
export const TEXT_PLAIN = 0;
export const TEXT_LT = 1;
export const TEXT_AMP = 2;
export const TEXT_BRACKET = 3;
export const TEXT_HIGH = 4;
export const TEXT_BAD = 5;
export const TEXT_QUOTE = 6;

/** Classes for character data: `<`, `&`, `]`, bytes of a multi-byte character, and what XML forbids. */
export const TEXT = textClasses(false);
/** Classes for attribute values: quotes stop too, `]` does not. */
export const VALUE = textClasses(true);

function textClasses(value: boolean): Uint8Array {
  const t = new Uint8Array(256);
  for (let c = 0; c < 0x20; c++) t[c] = TEXT_BAD;
  t[0x09] = t[0x0a] = t[0x0d] = TEXT_PLAIN;
  t[0x3c] = TEXT_LT;
  t[0x26] = TEXT_AMP;
  if (value) t[0x22] = t[0x27] = TEXT_QUOTE;
  else t[0x5d] = TEXT_BRACKET;
  for (let c = 0x80; c < 0x100; c++) t[c] = TEXT_HIGH;
  return t;
}

/** Classes for names (NCName): 1 may start one, 2 may go on one, 3 needs decoding, 0 ends it. The colon is not in here. */
export const NAME_START = 1;
export const NAME_HIGH = 3;
export const NAME = nameClasses();

function nameClasses(): Uint8Array {
  const t = new Uint8Array(256);
  for (let c = 0x41; c <= 0x5a; c++) t[c] = t[c + 0x20] = NAME_START;
  t[0x5f] = NAME_START;
  for (let c = 0x30; c <= 0x39; c++) t[c] = 2;
  t[0x2d] = t[0x2e] = 2;
  for (let c = 0x80; c < 0x100; c++) t[c] = NAME_HIGH;
  return t;
}

export const isSpace = (c: number): boolean => c === 0x20 || c === 0x0a || c === 0x09 || c === 0x0d;

/**
 * Length of the UTF-8 character at `i`, whose first byte is 0x80 or more: 2 to 4, 0 when more bytes are needed,
 * -1 when it is not UTF-8 (overlong, surrogate, out of range) or not an XML character (U+FFFE, U+FFFF).
 */
export function utf8Length(b: Uint8Array, i: number, n: number): number {
  const c = b[i];
  if (c < 0xc2 || c > 0xf4) return -1;
  if (i + 1 >= n) return 0;
  const d = b[i + 1];
  if ((d & 0xc0) !== 0x80) return -1;
  if (c < 0xe0) return 2;
  if (c < 0xf0) {
    if ((c === 0xe0 && d < 0xa0) || (c === 0xed && d > 0x9f)) return -1;
    if (i + 2 >= n) return 0;
    const e = b[i + 2];
    if ((e & 0xc0) !== 0x80 || (c === 0xef && d === 0xbf && e >= 0xbe)) return -1;
    return 3;
  }
  if ((c === 0xf0 && d < 0x90) || (c === 0xf4 && d > 0x8f)) return -1;
  if (i + 2 >= n) return 0;
  if ((b[i + 2] & 0xc0) !== 0x80) return -1;
  if (i + 3 >= n) return 0;
  return (b[i + 3] & 0xc0) === 0x80 ? 4 : -1;
}

/** The code point of a character that `utf8Length` has passed. */
export function codePointAt(b: Uint8Array, i: number, length: number): number {
  if (length === 2) return ((b[i] & 0x1f) << 6) | (b[i + 1] & 0x3f);
  if (length === 3) return ((b[i] & 0x0f) << 12) | ((b[i + 1] & 0x3f) << 6) | (b[i + 2] & 0x3f);
  return ((b[i] & 0x07) << 18) | ((b[i + 1] & 0x3f) << 12) | ((b[i + 2] & 0x3f) << 6) | (b[i + 3] & 0x3f);
}

/** NameStartChar above ASCII (XML 1.0 §2.3). */
export function startsName(c: number): boolean {
  return (
    (c >= 0xc0 && c <= 0x2ff && c !== 0xd7 && c !== 0xf7) ||
    (c >= 0x370 && c <= 0x1fff && c !== 0x37e) ||
    c === 0x200c ||
    c === 0x200d ||
    (c >= 0x2070 && c <= 0x218f) ||
    (c >= 0x2c00 && c <= 0x2fef) ||
    (c >= 0x3001 && c <= 0xd7ff) ||
    (c >= 0xf900 && c <= 0xfdcf) ||
    (c >= 0xfdf0 && c <= 0xfffd) ||
    (c >= 0x10000 && c <= 0xeffff)
  );
}

/** NameChar above ASCII. */
export function continuesName(c: number): boolean {
  return startsName(c) || c === 0xb7 || (c >= 0x300 && c <= 0x36f) || c === 0x203f || c === 0x2040;
}

/** Whether a character reference may name this code point (XML 1.0 §2.2). */
export function isXmlChar(c: number): boolean {
  return (
    c === 9 ||
    c === 10 ||
    c === 13 ||
    (c >= 0x20 && c <= 0xd7ff) ||
    (c >= 0xe000 && c <= 0xfffd) ||
    (c >= 0x10000 && c <= 0x10ffff)
  );
}
