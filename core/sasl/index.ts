// SASL for the stream machine: what to offer, and an exchange for the mechanism that the client chose.
import { anonymous } from "./anonymous.ts";
import { external } from "./external.ts";
import { MECHANISMS } from "./mechanisms.ts";
import { plain } from "./plain.ts";
import { scram } from "./scram.ts";
import type { SaslContext, SaslExchange } from "./types.ts";

export { channelBindingTypes, type OfferContext, offeredMechanisms, unknownMechanisms } from "./mechanisms.ts";
export { decodeBase64 } from "./text.ts";
export type * from "./types.ts";

/** Begins an exchange; undefined for a mechanism that was not offered (answer `no-mechanism`, as MongooseIM does). */
export function startMechanism(name: string, ctx: SaslContext): SaslExchange | undefined {
  const mechanism = ctx.offered.includes(name) ? MECHANISMS.find((m) => m.name === name) : undefined;
  switch (mechanism?.proof) {
    case "scram":
      return mechanism.hash && scram(ctx, mechanism.hash, mechanism.plus === true);
    case "plain":
      return plain(ctx);
    case "anonymous":
      return anonymous(ctx);
    case "external":
      return external(ctx);
    default:
      return undefined;
  }
}
