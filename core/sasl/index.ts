// SASL for the stream machine: what to offer, and an exchange for the mechanism that the client chose.
import { MECHANISMS } from "./mechanisms.ts";
import type { SaslContext, SaslExchange } from "./types.ts";

export { bindingData, channelBindingTypes } from "./channel.ts";
export { clientFirst, failure, isOwnIdentity, localOf, ownName } from "./exchange.ts";
export { Offer } from "./offer.ts";
export { decodeBase64, decodeUtf8, encodeUtf8 } from "./text.ts";
export type * from "./types.ts";

/** Begins an exchange; undefined for a mechanism that was not offered (answer `no-mechanism`, as MongooseIM does). */
export function startMechanism(name: string, ctx: SaslContext): SaslExchange | undefined {
  // A token needs what only XEP-0388's <authenticate/> can say: whose client it is.
  const offered = ctx.offered.includes(name) || (ctx.request !== undefined && ctx.tokens?.includes(name) === true);
  if (!offered) return undefined;
  const mechanism = MECHANISMS.find((m) => m.name === name) ?? ctx.added?.find((m) => m.name === name);
  return mechanism?.start(ctx);
}
