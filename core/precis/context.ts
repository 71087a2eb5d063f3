// The contextual rules of RFC 5892 appendix A: characters that are allowed only beside certain others.
import { codePointName, PrecisError } from "./error.ts";
import { unicodeTables } from "./tr46.ts";

const ZWNJ = "\u200C";

/**
 * Checks every CONTEXTJ and CONTEXTO code point of a string, or of one label of a domain name.
 * @throws PrecisError with reason "context" that names the first one out of place.
 */
export function checkContext(text: string): void {
  const points = Array.from(text);
  const facts = {
    kana: /[\p{sc=Hiragana}\p{sc=Katakana}\p{sc=Han}]/u.test(text),
    arabicIndicDigit: /[\u0660-\u0669]/u.test(text),
    extendedArabicIndicDigit: /[\u06F0-\u06F9]/u.test(text),
  };
  for (let i = 0; i < points.length; i++) {
    if (!isInPlace(points, i, facts)) {
      throw new PrecisError("context", `${codePointName(points[i].codePointAt(0)!)} is not allowed at this place`);
    }
  }
}

interface StringFacts {
  readonly kana: boolean;
  readonly arabicIndicDigit: boolean;
  readonly extendedArabicIndicDigit: boolean;
}

function isInPlace(points: string[], i: number, facts: StringFacts): boolean {
  const before = i > 0 ? points[i - 1] : "";
  const after = i + 1 < points.length ? points[i + 1] : "";
  switch (points[i]) {
    case ZWNJ: // A.1
      return unicodeTables().combiningClassVirama.test(before) || joinsAcross(points, i);
    case "\u200D": // A.2, zero width joiner
      return unicodeTables().combiningClassVirama.test(before);
    case "\u00B7": // A.3, middle dot: Catalan "l·l"
      return before === "l" && after === "l";
    case "\u0375": // A.4, Greek lower numeral sign
      return /\p{sc=Greek}/u.test(after);
    case "\u05F3": // A.5, Hebrew geresh
    case "\u05F4": // A.6, Hebrew gershayim
      return /\p{sc=Hebrew}/u.test(before);
    case "\u30FB": // A.7, Katakana middle dot
      return facts.kana;
    default:
      // A.8 and A.9: the two sets of digits look alike and must not meet.
      return (
        !(facts.arabicIndicDigit && facts.extendedArabicIndicDigit) || !/[\u0660-\u0669\u06F0-\u06F9]/u.test(points[i])
      );
  }
}

/** A ZWNJ does not join itself, so only the stretch between its neighbours of the same kind decides about it. */
function joinsAcross(points: string[], i: number): boolean {
  const previous = points.lastIndexOf(ZWNJ, i - 1);
  const next = points.indexOf(ZWNJ, i + 1);
  const stretch = points.slice(i === 0 ? 0 : previous + 1, next < 0 ? undefined : next);
  return unicodeTables().validZWNJ.test(stretch.join(""));
}
