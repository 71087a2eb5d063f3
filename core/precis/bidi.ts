// The Bidi Rule of RFC 5893 §2, which RFC 8265 §3.3 asks of usernames with right-to-left code points.
import { PrecisError } from "./error.ts";
import { unicodeTables } from "./tr46.ts";

/**
 * Checks a string against the six conditions of the Bidi Rule; a string without right-to-left code points passes.
 * @throws PrecisError with reason "bidi".
 */
export function checkBidi(text: string): void {
  if (/^[\0-\u058F]*$/u.test(text)) return; // the first right-to-left code point is beyond; spares loading the tables
  const t = unicodeTables();
  if (!t.bidiDomain.test(text)) return;
  const first = String.fromCodePoint(text.codePointAt(0)!);
  const holds = t.bidiS1RTL.test(first)
    ? t.bidiS2.test(text) && t.bidiS3.test(text) && !(t.bidiS4EN.test(text) && t.bidiS4AN.test(text))
    : t.bidiS1LTR.test(first) && t.bidiS5.test(text) && t.bidiS6.test(text);
  if (!holds) throw new PrecisError("bidi", "it mixes right-to-left and left-to-right text (RFC 5893)");
}
