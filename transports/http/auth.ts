// HTTP Basic authentication (RFC 7617), as the GraphQL and REST handlers need it.

import { createHash, timingSafeEqual } from "node:crypto";

export interface BasicCredentials {
  readonly username: string;
  readonly password: string;
}

/**
 * Reads an Authorization header. "none" when there is none or another scheme than Basic; "malformed" when Basic
 * is not followed by base64 of UTF-8 text with a colon in it.
 */
export function parseBasic(header: string | undefined): BasicCredentials | "none" | "malformed" {
  if (header === undefined) return "none";
  const match = /^basic +([A-Za-z0-9+/]+={0,2}) *$/i.exec(header);
  if (!match) return /^basic\b/i.test(header) ? "malformed" : "none";
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(Buffer.from(match[1], "base64"));
    const colon = text.indexOf(":");
    return colon < 0 ? "malformed" : { username: text.slice(0, colon), password: text.slice(colon + 1) };
  } catch {
    return "malformed";
  }
}

/** Compares secrets in a time that tells nothing about them. */
export function sameSecret(given: string, expected: string): boolean {
  const digest = (text: string) => createHash("sha256").update(text).digest();
  return timingSafeEqual(digest(given), digest(expected));
}
