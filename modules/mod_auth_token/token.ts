// Tokens as text: fields with NUL between them, the last an HMAC-SHA-384 of those before it, in hexadecimal.
// MongooseIM's token-reconnection extension, "Token format".

import { createHmac, timingSafeEqual } from "node:crypto";
import { type BareJid, tryParseJid } from "../../core/jid.ts";

export type TokenType = "access" | "refresh" | "provision";

export interface Token {
  readonly type: TokenType;
  readonly owner: BareJid;
  /** Milliseconds since 1970. */
  readonly expires: number;
  /** Of a refresh token: its owner's tokens with a lower number than the stored one are revoked. */
  readonly sequence?: number;
  /** Of a provision token: the vCard of its owner, as text. */
  readonly vcard?: string;
}

/** A token that came in; nothing is known yet about who made it. */
export interface ReceivedToken extends Token {
  /** What the MAC is of. */
  readonly body: string;
  readonly mac: string;
}

const SEPARATOR = "\0";
/** Seconds from the year 0 to 1970: the times in tokens are Erlang's gregorian seconds. */
const EPOCH = 62_167_219_200;
const DIGITS = /^\d{1,15}$/;

const macOf = (body: string, key: Uint8Array): Buffer => createHmac("sha384", key).update(body).digest();

/** The token as it is given away, before Base64. Its time is cut to whole seconds. */
export function serialise(token: Token, key: Uint8Array): string {
  const fields = [token.type, token.owner.text, String(Math.floor(token.expires / 1000) + EPOCH)];
  if (token.type === "refresh") fields.push(String(token.sequence));
  if (token.type === "provision") fields.push(token.vcard ?? "");
  const body = fields.join(SEPARATOR);
  return body + SEPARATOR + macOf(body, key).toString("hex");
}

/** Reads what `serialise` wrote; undefined when it is no token. The MAC is not looked at. */
export function parseToken(text: string): ReceivedToken | undefined {
  const at = text.lastIndexOf(SEPARATOR);
  const body = text.slice(0, Math.max(0, at));
  const mac = text.slice(at + 1);
  const [type, jid, seconds, ...rest] = body.split(SEPARATOR);
  if (seconds === undefined || !DIGITS.test(seconds)) return undefined;
  // Older servers wrote the full JID of the session that asked.
  const owner = tryParseJid(jid)?.bare;
  if (owner === undefined || owner.local === "") return undefined;
  const common = { owner, expires: (Number(seconds) - EPOCH) * 1000, body, mac };
  if (type === "access" && rest.length === 0) return { ...common, type };
  if (rest.length !== 1) return undefined;
  if (type === "provision") return { ...common, type, vcard: rest[0] };
  if (type === "refresh" && DIGITS.test(rest[0])) return { ...common, type, sequence: Number(rest[0]) };
  return undefined;
}

/** Whether the token was made with this key. */
export function isAuthentic({ body, mac }: ReceivedToken, key: Uint8Array): boolean {
  const given = Buffer.from(mac, "hex");
  const right = macOf(body, key);
  // Buffer.from stops at the first character that is no digit: the whole text must have been read.
  return mac.length === right.length * 2 && given.length === right.length && timingSafeEqual(given, right);
}
