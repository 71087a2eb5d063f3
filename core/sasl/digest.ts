// SASL DIGEST-MD5 (RFC 2831), for clients that know nothing better: RFC 6331 declares it obsolete. Only where
// `auth.sasl_mechanisms` names it and passwords are stored plain.
import { createHash } from "node:crypto";
import { sameText } from "../auth/scram-keys.ts";
import { failure, isOwnIdentity, localOf, ownName } from "./exchange.ts";
import { decodeUtf8, encodeUtf8 } from "./text.ts";
import type { SaslContext, SaslExchange, SaslFailure, SaslStep } from "./types.ts";

/** Bytes of the server's nonce. */
const NONCE_LENGTH = 18;
/** Bytes of the client's answer (RFC 2831 §2.1.2). */
const MAX_ANSWER = 4096;

/** What is hashed; `who` is "AUTHENTICATE" for the client's proof, "" for the server's. */
export interface DigestInput {
  username: Buffer;
  realm: string;
  password: Buffer;
  nonce: string;
  cnonce: string;
  authzid: string | undefined;
  nc: string;
  uri: string;
  who: "AUTHENTICATE" | "";
}

const md5 = (...parts: (string | Buffer)[]): Buffer => {
  const hash = createHash("md5");
  for (const part of parts) hash.update(part);
  return hash.digest();
};

/** `response-value` of RFC 2831 §2.1.2.1, with qop=auth, in hexadecimal. */
export function digestValue(d: DigestInput): string {
  const secret = md5(d.username, ":", d.realm, ":", d.password);
  const identity = d.authzid === undefined ? "" : `:${d.authzid}`;
  const a1 = md5(secret, `:${d.nonce}:${d.cnonce}${identity}`).toString("hex");
  const a2 = md5(`${d.who}:${d.uri}`).toString("hex");
  return md5(`${a1}:${d.nonce}:${d.nc}:${d.cnonce}:auth:${a2}`).toString("hex");
}

/** A directive of RFC 2831 §7.1: a token, or a quoted string with escapes. */
const DIRECTIVE = /[\s,]*([a-z-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s",]+))\s*(?:,|$)/y;

/** The directives of a message; undefined when it is none, or says something twice. */
export function readDirectives(text: string): Map<string, string> | undefined {
  const found = new Map<string, string>();
  let at = 0;
  while (at < text.length) {
    DIRECTIVE.lastIndex = at;
    const match = DIRECTIVE.exec(text);
    if (match === null || found.has(match[1])) return undefined;
    found.set(match[1], match[3] ?? match[2].replace(/\\(.)/gs, "$1"));
    at = DIRECTIVE.lastIndex;
  }
  return found;
}

/** The server speaks first; what it proves of itself is a challenge of its own, as old clients expect it. */
export function digestMd5(ctx: SaslContext): SaslExchange {
  const nonce = ctx.random(NONCE_LENGTH).toBase64();
  let proven: SaslStep | undefined;
  const refused = failure("malformed-request");
  return {
    start(initial) {
      // §2.2: resuming an earlier authentication is not offered.
      if (initial !== undefined && initial.length > 0) return refused;
      const challenge = `realm="${ctx.domain}",nonce="${nonce}",qop="auth",charset=utf-8,algorithm=md5-sess`;
      return { kind: "challenge", data: encodeUtf8(challenge) };
    },
    async next(message) {
      if (proven !== undefined) return message.length === 0 ? proven : refused;
      try {
        const step = await answer(ctx, nonce, message);
        if ("condition" in step) return step;
        proven = step.success;
        return { kind: "challenge", data: encodeUtf8(`rspauth=${step.rspauth}`) };
      } catch (error) {
        ctx.onError?.(error);
        return failure("temporary-auth-failure");
      }
    },
  };
}

async function answer(
  ctx: SaslContext,
  nonce: string,
  message: Uint8Array,
): Promise<{ success: SaslStep; rspauth: string } | SaslFailure> {
  const text = message.length > MAX_ANSWER ? undefined : decodeUtf8(message);
  const said = text === undefined ? undefined : readDirectives(text);
  const username = said?.get("username");
  const cnonce = said?.get("cnonce");
  const uri = said?.get("digest-uri");
  const response = said?.get("response");
  if (said === undefined || !username || !cnonce || uri === undefined || response === undefined) {
    return failure("malformed-request");
  }
  const name = ownName(username, ctx.domain);
  const local = name === undefined ? undefined : localOf(name);
  if (local === undefined) return failure("not-authorized");
  // A nonce is good for one answer; §2.1.2: the service is ours, and no other protection was offered.
  const fits =
    said.get("nonce") === nonce &&
    said.get("nc") === "00000001" &&
    (said.get("qop") ?? "auth") === "auth" &&
    uri.toLowerCase() === `xmpp/${ctx.domain}`;
  if (!fits) return failure("not-authorized", { local });
  const authzid = said.get("authzid");
  if (authzid && !isOwnIdentity(authzid, local, ctx.domain)) return failure("invalid-authzid", { local });

  const found = await ctx.auth.credentials(local, ctx.domain, undefined, ctx.allowedMethods);
  const password = found?.plain;
  // What is in ISO 8859-1 is hashed as such by the letter of §2.1.2.1, and as UTF-8 by most clients.
  for (const encoding of ["utf8", "latin1"] as const) {
    const input = {
      username: Buffer.from(username, encoding),
      realm: said.get("realm") ?? "",
      password: Buffer.from(password ?? "", encoding),
      nonce,
      cnonce,
      authzid,
      nc: "00000001",
      uri,
    };
    const right = sameText(response.toLowerCase(), digestValue({ ...input, who: "AUTHENTICATE" }));
    if (right && found !== undefined && password) {
      return {
        success: { kind: "success", local, method: found.method },
        rspauth: digestValue({ ...input, who: "" }),
      };
    }
  }
  return failure("not-authorized", { local });
}
