// Typed, lazy access to tr46, which carries the Unicode properties that JavaScript regular expressions lack
// (Bidi_Class, Joining_Type, Canonical_Combining_Class=Virama). Its tables cost about 10 ms and 1 MB, so they are
// loaded by the first name outside ASCII, not by start-up; `require` keeps them after that.

interface Tr46Options {
  checkHyphens?: boolean;
  checkBidi?: boolean;
  checkJoiners?: boolean;
  useSTD3ASCIIRules?: boolean;
  verifyDNSLength?: boolean;
}

interface Tr46 {
  toASCII(domain: string, options: Tr46Options): string | null;
  toUnicode(domain: string, options: Tr46Options): { domain: string; error: boolean };
}

/** Properties of Unicode as regular expressions without the g flag, so that they hold no state. */
interface UnicodeTables {
  /** One code point with Canonical_Combining_Class=Virama. */
  readonly combiningClassVirama: RegExp;
  /** A ZWNJ between joining letters: (L|D) T* ZWNJ T* (R|D), anywhere in the string. */
  readonly validZWNJ: RegExp;
  /** A code point with Bidi_Class R, AL or AN, anywhere in the string. */
  readonly bidiDomain: RegExp;
  readonly bidiS1LTR: RegExp;
  readonly bidiS1RTL: RegExp;
  readonly bidiS2: RegExp;
  readonly bidiS3: RegExp;
  readonly bidiS4EN: RegExp;
  readonly bidiS4AN: RegExp;
  readonly bidiS5: RegExp;
  readonly bidiS6: RegExp;
}

/** UTS #46 processing. */
export function tr46(): Tr46 {
  return require("tr46") as Tr46;
}

/** The character tables behind it; the names are those of the conditions of RFC 5893 §2. */
export function unicodeTables(): UnicodeTables {
  return require("tr46/lib/regexes.js") as UnicodeTables;
}
