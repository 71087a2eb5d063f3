// SASL SCRAM, the server's side (RFC 5802, RFC 7677), with channel binding and the downgrade protection of XEP-0474.
import type { FoundCredentials } from "../auth/host.ts";
import { preparePassword } from "../auth/password.ts";
import { hmac, proofHolds } from "../auth/scram-keys.ts";
import type { AuthMethod, HashName, ScramKeys } from "../auth/types.ts";
import { bindingData, isPlus } from "./channel.ts";
import { clientFirst, failure, isOwnIdentity, localOf } from "./exchange.ts";
import { type ClientFirst, parseClientFinal, parseClientFirst } from "./scram-messages.ts";
import { decodeUtf8, encodeUtf8 } from "./text.ts";
import type { SaslContext, SaslExchange, SaslFailure, SaslStep } from "./types.ts";

/** Bytes of the server's part of the nonce. */
const NONCE_LENGTH = 18;

/** Password of nobody: what is hashed for an unknown user, so that it takes as long as for a known one. */
const NOBODY = "x";

/** `plus`: the mechanism's name ends in -PLUS. */
export function scram(ctx: SaslContext, hash: HashName, plus: boolean): SaslExchange {
  let challenged: Challenged | undefined;
  return clientFirst(ctx, async (message) => {
    const text = decodeUtf8(message);
    if (text === undefined) return failure("malformed-request");
    if (challenged) return finish(hash, challenged, text);
    const begun = await begin(ctx, hash, plus, text);
    if ("condition" in begun) return begun;
    challenged = begun;
    return { kind: "challenge", data: encodeUtf8(begun.serverFirst) };
  });
}

/** What is kept between the server's challenge and the client's proof. */
interface Challenged {
  local: string;
  /** What the client's `c=` must be. */
  binding: string;
  nonce: string;
  clientFirstBare: string;
  serverFirst: string;
  account: Account;
}

/** Gives the keys to check the proof with; undefined for an unknown user, after as much work as for a known one. */
interface Account {
  salt: Uint8Array;
  iterations: number;
  prove(): Promise<{ keys: ScramKeys; method: AuthMethod } | undefined>;
}

/** The client's first message: who it is, and its nonce. */
async function begin(ctx: SaslContext, hash: HashName, plus: boolean, text: string): Promise<Challenged | SaslFailure> {
  const first = parseClientFirst(text);
  if (typeof first === "string") return failure("malformed-request", { text: first });
  const binding = expectedBinding(ctx, plus, first);
  if (typeof binding !== "string") return binding;
  const local = localOf(first.username);
  if (local === undefined) return failure("not-authorized");
  if (first.authzid !== undefined && !isOwnIdentity(first.authzid, local, ctx.domain)) {
    return failure("invalid-authzid", { local });
  }

  const found = await ctx.auth.credentials(local, ctx.domain, hash, ctx.allowedMethods);
  const account = accountOf(ctx, hash, local, found);
  const nonce = first.nonce + ctx.random(NONCE_LENGTH).toBase64();
  const digest = ctx.digest === undefined ? "" : `,h=${ctx.digest(hash)}`;
  const serverFirst = `r=${nonce},s=${account.salt.toBase64()},i=${account.iterations}${digest}`;
  return { local, binding, nonce, clientFirstBare: first.bare, serverFirst, account };
}

/** The client's second message: the proof. */
async function finish(hash: HashName, challenged: Challenged, text: string): Promise<SaslStep> {
  const { local, clientFirstBare, serverFirst, account } = challenged;
  const final = parseClientFinal(text);
  if (typeof final === "string") return failure("malformed-request", { text: final, local });
  if (final.binding !== challenged.binding) {
    return failure("not-authorized", { text: "channel-bindings-dont-match", local });
  }
  if (final.nonce !== challenged.nonce) return failure("not-authorized", { local });

  const proven = await account.prove();
  const authMessage = `${clientFirstBare},${serverFirst},${final.withoutProof}`;
  // For nobody a signature is computed as well, for the sake of equal time.
  if (!proven) hmac(hash, account.salt, authMessage);
  if (!proven || !proofHolds(hash, proven.keys.storedKey, authMessage, final.proof)) {
    return failure("not-authorized", { local });
  }
  const signature = hmac(hash, proven.keys.serverKey, authMessage);
  return { kind: "success", local, method: proven.method, data: encodeUtf8(`v=${signature.toBase64()}`) };
}

/**
 * The `c=` value that the client must send: its GS2 header and, with channel binding, the channel's data. A failure when
 * header, mechanism and stream do not fit (RFC 5802 §6).
 */
function expectedBinding(
  ctx: SaslContext,
  plus: boolean,
  { gs2, flag, bindingType }: ClientFirst,
): string | SaslFailure {
  if (plus !== (flag === "p")) {
    return failure("malformed-request", { text: "The gs2 header does not fit the mechanism" });
  }
  if (flag === "y" && ctx.offered.some(isPlus)) {
    // The client can bind and saw no -PLUS, which we offered: somebody between took it away.
    return failure("not-authorized", { text: "server-does-support-channel-binding" });
  }
  const header = encodeUtf8(gs2);
  if (bindingType === undefined) return header.toBase64();
  const data = bindingData(ctx, bindingType);
  if (!data) return failure("malformed-request", { text: "unsupported-channel-binding-type" });
  const joined = new Uint8Array(header.length + data.length);
  joined.set(header);
  joined.set(data, header.length);
  return joined.toBase64();
}

/** A user without keys for this hash is unknown to it; keys of a plain password are computed when the proof has come. */
function accountOf(ctx: SaslContext, hash: HashName, local: string, found: FoundCredentials | undefined): Account {
  const { auth } = ctx;
  const keys = found?.scram?.[hash];
  if (found && keys) {
    const proven = { keys, method: found.method };
    return { salt: keys.salt, iterations: keys.iterations, prove: async () => proven };
  }
  const salt = auth.madeUpSalt(local, ctx.domain, hash);
  const iterations = auth.policy.scram_iterations;
  const password = found?.plain ? preparePassword(found.plain) : undefined;
  return {
    salt,
    iterations,
    async prove() {
      if (password === undefined && auth.policy.format === "scram") return undefined;
      const derived = await auth.deriveKeys(hash, password ?? NOBODY, salt, iterations);
      return found && password !== undefined ? { keys: derived, method: found.method } : undefined;
    },
  };
}
