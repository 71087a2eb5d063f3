// The error of every PRECIS and IDNA rule in this folder.

/** Which rule a string broke. */
export type PrecisReason = "empty" | "long" | "disallowed" | "unassigned" | "context" | "bidi" | "unstable" | "label";

/** A string that a PRECIS profile (RFC 8264) or IDNA2008 refuses; the message names the rule, never the string. */
export class PrecisError extends Error {
  override readonly name = "PrecisError";

  constructor(
    readonly reason: PrecisReason,
    message: string,
  ) {
    super(message);
  }
}

/** Writes a code point the way Unicode does, e.g. "U+00E9". */
export function codePointName(codePoint: number): string {
  return `U+${codePoint.toString(16).toUpperCase().padStart(4, "0")}`;
}
