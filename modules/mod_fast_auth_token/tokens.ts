// The life of a token: given out, proved, counted, replaced before its end, forgotten (XEP-0484 §3).

import { type Period, periodMs } from "../../core/config/types.ts";
import { makeBare } from "../../core/jid.ts";
import type { ModuleContext } from "../../core/module.ts";
import {
  type AuthenticateRequest,
  failure,
  type SaslContext,
  type SaslFailure,
  type SaslSuccess,
} from "../../core/sasl/index.ts";
import { xml } from "../../core/xml/markup.ts";
import { HASHED_TOKENS, type HashedToken, type Proof } from "./mechanisms.ts";
import type { FastTokenStore, Owner, Token } from "./store.ts";

export const NS_FAST = "urn:xmpp:fast:0";

export type FastContext = ModuleContext<
  { validity_period: { access: Period; rotate_before_expire: Period } },
  FastTokenStore
>;

/** Bytes of a new token, before Base64. */
const TOKEN_LENGTH = 25;
/** The greatest number of the column. */
const MAX_COUNT = 2_147_483_647;

/** What is compared with where there is no token, for the sake of equal time. */
const NOBODY = { text: "" };

/** The token that an attempt has proved. */
const proved = new WeakMap<AuthenticateRequest, Token>();

/** When an attempt began, as the store counts. */
const began = new WeakMap<AuthenticateRequest, number>();

export function attemptBegins(request: AuthenticateRequest, { store }: FastContext): void {
  began.set(request, store.moment);
}

const seconds = (ctx: FastContext): number => Math.floor(ctx.now() / 1000);

/** <fast/> of an attempt; `count` undefined when there is none, NaN when it is not a positive number. */
function readFast({ stanza }: AuthenticateRequest): { count: number | undefined; invalidate: boolean } {
  const k = stanza.find("fast", NS_FAST);
  if (k < 0) return { count: undefined, invalidate: false };
  const text = stanza.kidAttr(k, "count");
  const count = text === undefined ? undefined : /^\d{1,10}$/.test(text) ? Number(text) : Number.NaN;
  const sane = count === undefined || (count >= 1 && count <= MAX_COUNT);
  return {
    count: sane ? count : Number.NaN,
    invalidate: ["1", "true"].includes(stanza.kidAttr(k, "invalidate") ?? ""),
  };
}

/** Whether a proof is one of a token of this client, good for this mechanism, in time, and not seen before. */
export async function judge(
  proof: Proof,
  { domain, request }: SaslContext,
  ctx: FastContext,
): Promise<SaslSuccess | SaslFailure> {
  const { local } = proof;
  const agent = request?.userAgent?.id;
  if (request === undefined || agent === undefined) {
    return failure("malformed-request", { extra: xml`<no-user-agent xmlns='${NS_FAST}'/>` });
  }
  const { count } = readFast(request);
  if (Number.isNaN(count)) return failure("malformed-request", { text: "count must be a positive number" });

  const owner: Owner = { jid: makeBare(local, domain), agent };
  // A token that was given out may be adopted by another connection of the client just now: then it is the current one.
  for (let look = 0; look < 2; look++) {
    const tokens = await ctx.store.read(owner);
    const isFresh = proof.proves(tokens?.fresh ?? NOBODY) && tokens?.fresh !== undefined;
    const isCurrent = proof.proves(tokens?.current ?? NOBODY) && tokens?.current !== undefined;
    const token = isFresh ? tokens.fresh : isCurrent ? tokens.current : undefined;
    if (token === undefined || token.mechanism !== proof.kind.id) return failure("not-authorized", { local });
    if (token.expires <= seconds(ctx)) return failure("credentials-expired", { local });
    if (count !== undefined && count <= token.count) return failure("not-authorized", { local });
    const used = isFresh
      ? await ctx.store.adopt(owner, token, count ?? token.count)
      : count === undefined || (await ctx.store.countUp(owner, token, count));
    if (used) {
      proved.set(request, token);
      return { kind: "success", local, method: "token", data: proof.reply(token) };
    }
  }
  return failure("not-authorized", { local });
}

/** A log-in that has succeeded, as far as tokens are concerned. */
interface LoggedIn {
  readonly request: AuthenticateRequest;
  readonly proof: SaslSuccess;
  readonly domain: string;
  /** Names of the mechanisms that the stream was offered for tokens. */
  readonly tokens: readonly string[];
}

/** Forgets tokens when that was asked for, and makes one when it was asked for or is due. */
export async function newToken(
  { request, proof, domain, tokens }: LoggedIn,
  ctx: FastContext,
): Promise<Token | undefined> {
  const agent = request.userAgent?.id;
  // An anonymous account ends with its session; a token would outlive it.
  if (agent === undefined || proof.anonymous) return undefined;
  const owner: Owner = { jid: makeBare(proof.local, domain), agent };
  const used = proved.get(request);
  const invalidate = used !== undefined && readFast(request).invalidate;
  // §3.6: MongooseIM forgets both, and so do we: the other one was of the same client.
  if (invalidate) await ctx.store.forget(owner);
  const kind = wanted(request, tokens) ?? (used !== undefined && !invalidate ? dueFor(used, ctx) : undefined);
  if (kind === undefined) return undefined;
  const token: Token = {
    text: ctx.server.random(TOKEN_LENGTH).toBase64(),
    expires: seconds(ctx) + Math.floor(periodMs(ctx.config.validity_period.access) / 1000),
    count: 0,
    mechanism: kind.id,
  };
  await ctx.store.give(owner, token);
  // The password was changed, or the account removed, since the attempt began: it has shown what counts no more.
  if (ctx.store.takenSince(owner.jid, began.get(request) ?? 0)) {
    await ctx.store.forget(owner);
    return undefined;
  }
  return token;
}

/** §3.2: the mechanism that a token is asked for with; a token for one that was not offered is not made. */
function wanted({ stanza }: AuthenticateRequest, tokens: readonly string[]): HashedToken | undefined {
  const k = stanza.find("request-token", NS_FAST);
  const name = k < 0 ? undefined : stanza.kidAttr(k, "mechanism");
  return name === undefined || !tokens.includes(name) ? undefined : HASHED_TOKENS.find((m) => m.name === name);
}

/** §3.5: the mechanism of a token that is to be replaced. */
function dueFor(used: Token, ctx: FastContext): HashedToken | undefined {
  const before = periodMs(ctx.config.validity_period.rotate_before_expire) / 1000;
  if (before === 0 || used.expires - seconds(ctx) > before) return undefined;
  return HASHED_TOKENS.find((m) => m.id === used.mechanism);
}
