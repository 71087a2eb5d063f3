// The HT mechanisms (draft-schmaus-kitten-sasl-ht-09): a token is the key of an HMAC, which proves it in one message.

import { createHmac, timingSafeEqual } from "node:crypto";
import type { SaslContext, SaslFailure, SaslSuccess } from "../../core/sasl/index.ts";
import { clientFirst, decodeUtf8, failure, localOf, type Mechanism, ownName } from "../../core/sasl/index.ts";
import type { Token } from "./store.ts";

/** One of the family. */
export interface HashedToken {
  /** Its name in `auth.sasl_mechanisms`. */
  readonly option: string;
  readonly name: string;
  /** Its number in the table, MongooseIM's. */
  readonly id: number;
  /** Its hash as node:crypto calls it. */
  readonly hash: string;
  /** Bound to the channel by tls-exporter (RFC 9266). */
  readonly bound: boolean;
}

const HASHES: readonly (readonly [name: string, option: string, hash: string, none: number, expr: number])[] = [
  ["SHA-256", "sha256", "sha256", 1, 13],
  ["SHA-384", "sha384", "sha384", 7, 14],
  ["SHA-512", "sha512", "sha512", 8, 15],
  ["SHA-3-256", "sha3_256", "sha3-256", 10, 16],
  ["SHA-3-384", "sha3_384", "sha3-384", 11, 17],
  ["SHA-3-512", "sha3_512", "sha3-512", 12, 18],
];

export const HASHED_TOKENS: readonly HashedToken[] = HASHES.flatMap(([name, option, hash, none, expr]) => [
  { option: `ht_${option}_none`, name: `HT-${name}-NONE`, id: none, hash, bound: false },
  { option: `ht_${option}_expr`, name: `HT-${name}-EXPR`, id: expr, hash, bound: true },
]);

/** What one attempt says, once its message was read. */
export interface Proof {
  readonly kind: HashedToken;
  readonly local: string;
  /** Whether this is the proof of a token. Takes the same time whatever the answer. */
  proves(token: Pick<Token, "text">): boolean;
  /** What the client is told when its token was good: that we have it too. */
  reply(token: Pick<Token, "text">): Uint8Array;
}

/** The mechanism; `judge` decides about what it has read. */
export function hashedToken(
  kind: HashedToken,
  judge: (proof: Proof, ctx: SaslContext) => Promise<SaslSuccess | SaslFailure>,
): Mechanism {
  return {
    option: kind.option,
    name: kind.name,
    token: true,
    suits: ({ tls, exporter }) => tls && (!kind.bound || exporter !== undefined),
    start: (ctx) =>
      clientFirst(ctx, (message) => {
        const proof = read(kind, ctx, message);
        return "condition" in proof ? proof : judge(proof, ctx);
      }),
  };
}

/** initiator-message of the draft, §3.1: authcid, NUL, HMAC. */
function read(kind: HashedToken, { domain, exporter }: SaslContext, message: Uint8Array): Proof | SaslFailure {
  const end = message.indexOf(0);
  const authcid = end < 1 ? undefined : decodeUtf8(message.subarray(0, end));
  if (authcid === undefined) return failure("malformed-request");
  const name = ownName(authcid, domain);
  const local = name === undefined ? undefined : localOf(name);
  if (local === undefined) return failure("not-authorized");
  const binding = kind.bound ? exporter?.() : new Uint8Array(0);
  if (binding === undefined) return failure("not-authorized", { local });
  const given = message.subarray(end + 1);
  const mac = ({ text }: Pick<Token, "text">, who: string): Buffer =>
    createHmac(kind.hash, text).update(who).update(binding).digest();
  return {
    kind,
    local,
    proves(token) {
      const right = mac(token, "Initiator");
      return given.length === right.length && timingSafeEqual(given, right);
    },
    reply: (token) => mac(token, "Responder"),
  };
}
