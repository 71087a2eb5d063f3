// The PRECIS profiles that XMPP uses: names and passwords (RFC 8265). The caller bounds the length.
import { checkBidi } from "./bidi.ts";
import { checkClass } from "./classes.ts";
import { PrecisError } from "./error.ts";

/**
 * Enforces the UsernameCaseMapped profile (RFC 8265 §3.3): localparts, and the user names of SASL.
 * @returns the canonical name: narrow, lower case, NFC.
 * @throws PrecisError when it is empty, has a code point outside the IdentifierClass, or breaks the Bidi Rule.
 */
export function usernameCaseMapped(text: string): string {
  return enforce(text, (name) => {
    const narrow = mapWidth(name);
    checkClass(narrow, "identifier");
    const canonical = narrow.toLowerCase().normalize("NFC");
    checkBidi(canonical);
    return canonical;
  });
}

/**
 * Enforces the OpaqueString profile (RFC 8265 §4.2): resourceparts, and the passwords of SASL.
 * @returns the canonical string: every space is U+0020, NFC; case and width are kept.
 * @throws PrecisError when it is empty or has a code point outside the FreeformClass.
 */
export function opaqueString(text: string): string {
  return enforce(text, (opaque) => {
    checkClass(opaque, "freeform");
    return opaque.replace(/\p{Zs}/gu, " ").normalize("NFC");
  });
}

/** Applies a profile until its output is stable, RFC 8264 §7: at most three more times, since rules feed each other. */
function enforce(text: string, applyRules: (text: string) => string): string {
  if (text === "") throw new PrecisError("empty", "it is empty");
  let current = text;
  for (let round = 0; round <= 3; round++) {
    const next = applyRules(current);
    if (next === current) return next;
    current = next;
  }
  throw new PrecisError("unstable", "it has no stable form (RFC 8264)");
}

/** Maps full-width and half-width code points to their ordinary forms (RFC 8264 §5.2.1). */
function mapWidth(text: string): string {
  return text.replace(/[\u3000\uFF01-\uFFEE]/gu, (wide) => wide.normalize("NFKC"));
}
