// The two string classes of RFC 8264 §4, computed from the Unicode properties of the runtime: whatever Unicode version
// Bun carries is the one that counts, as §8 of the RFC wants it.
//
// The regular expressions stand inside functions, so that nothing is compiled before a name outside ASCII comes by;
// the engine keeps compiled ones, so that a later call costs tens of nanoseconds.
import { checkContext } from "./context.ts";
import { codePointName, PrecisError } from "./error.ts";

/** IdentifierClass (safe for names) or FreeformClass (spaces, symbols and compatibility characters too). */
export type StringClass = "identifier" | "freeform";

/** The derived property value of a code point, RFC 8264 §8; FREE_PVAL is allowed in the FreeformClass only. */
export type DerivedProperty = "PVALID" | "FREE_PVAL" | "CONTEXTJ" | "CONTEXTO" | "DISALLOWED" | "UNASSIGNED";

/** Computes the derived property value of one code point by the algorithm of RFC 8264 §8, in its order. */
export function derivedProperty(codePoint: number): DerivedProperty {
  const c = String.fromCodePoint(codePoint);
  // Exceptions (F), §9.6
  if (/[\u00DF\u03C2\u06FD\u06FE\u0F0B\u3007]/u.test(c)) return "PVALID";
  if (/[\u00B7\u0375\u05F3\u05F4\u30FB\u0660-\u0669\u06F0-\u06F9]/u.test(c)) return "CONTEXTO";
  if (/[\u0640\u07FA\u302E\u302F\u3031-\u3035\u303B]/u.test(c)) return "DISALLOWED";
  // BackwardCompatible (G) is empty. Unassigned (J), §9.10
  if (/[\p{Cn}--\p{NChar}]/v.test(c)) return "UNASSIGNED";
  if (/[\x21-\x7E]/u.test(c)) return "PVALID"; // ASCII7 (K)
  if (/\p{Join_Control}/u.test(c)) return "CONTEXTJ"; // JoinControl (H)
  if (/[\u1100-\u11FF\uA960-\uA97C\uD7B0-\uD7C6\uD7CB-\uD7FB]/u.test(c)) return "DISALLOWED"; // OldHangulJamo (I)
  if (/[\p{DI}\p{NChar}]/u.test(c)) return "DISALLOWED"; // PrecisIgnorableProperties (M)
  if (/\p{Cc}/u.test(c)) return "DISALLOWED"; // Controls (L)
  if (c.normalize("NFKC") !== c) return "FREE_PVAL"; // HasCompat (Q)
  if (/[\p{Ll}\p{Lu}\p{Lo}\p{Nd}\p{Lm}\p{Mn}\p{Mc}]/u.test(c)) return "PVALID"; // LetterDigits (A)
  // OtherLetterDigits (R), Spaces (N), Symbols (O), Punctuation (P)
  if (/[\p{Lt}\p{Nl}\p{No}\p{Me}\p{Zs}\p{S}\p{P}]/u.test(c)) return "FREE_PVAL";
  return "DISALLOWED";
}

/**
 * Checks that a string is made of code points its class allows, contextual rules included.
 * @throws PrecisError with reason "disallowed", "unassigned" or "context".
 */
export function checkClass(text: string, stringClass: StringClass): void {
  if (stringClass === "identifier" ? isPlainIdentifier(text) : isPlainFreeform(text)) return;
  let contextual = false;
  for (const c of text) {
    const codePoint = c.codePointAt(0)!;
    switch (derivedProperty(codePoint)) {
      case "PVALID":
        break;
      case "FREE_PVAL":
        if (stringClass === "identifier") throw disallowed(codePoint);
        break;
      case "CONTEXTJ":
      case "CONTEXTO":
        contextual = true;
        break;
      case "UNASSIGNED":
        throw new PrecisError("unassigned", `${codePointName(codePoint)} is not a character of this Unicode version`);
      case "DISALLOWED":
        throw disallowed(codePoint);
    }
  }
  if (contextual) checkContext(text);
}

function disallowed(codePoint: number): PrecisError {
  return new PrecisError("disallowed", `${codePointName(codePoint)} is not allowed`);
}

/** True for nearly all real names: only PVALID code points, told in one pass. False leaves it to the full algorithm. */
function isPlainIdentifier(text: string): boolean {
  return (
    /^[[\x21-\x7E\p{Ll}\p{Lu}\p{Lo}\p{Nd}\p{Lm}\p{Mn}\p{Mc}]--[\p{DI}\u0640\u0660-\u0669\u06F0-\u06F9\u07FA\u1100-\u11FF\u302E\u302F\u3031-\u3035\u303B\uA960-\uA97C\uD7B0-\uD7C6\uD7CB-\uD7FB]]+$/v.test(
      text,
    ) && text.normalize("NFKC") === text // then none of its code points has a compatibility equivalent
  );
}

/** The same for the FreeformClass, where compatibility equivalents do not matter. */
function isPlainFreeform(text: string): boolean {
  return /^[[\x20-\x7E\p{L}\p{M}\p{N}\p{Zs}\p{S}\p{P}]--[\p{DI}\u00B7\u0375\u05F3\u05F4\u0640\u0660-\u0669\u06F0-\u06F9\u07FA\u1100-\u11FF\u302E\u302F\u3031-\u3035\u303B\u30FB\uA960-\uA97C\uD7B0-\uD7C6\uD7CB-\uD7FB]]+$/v.test(
    text,
  );
}
