// A stream's side of SASL for tests.
import { randomBytes } from "node:crypto";
import type { HostAuth } from "../../../../core/auth/index.ts";
import { Offer, type SaslContext, type SaslStep, startMechanism } from "../../../../core/sasl/index.ts";

/** A context on domain "localhost" that offers what it can. */
export function stream(auth: HostAuth, more: Partial<SaslContext> = {}): SaslContext {
  const ctx = {
    domain: "localhost",
    auth,
    tls: false,
    random: (n: number) => new Uint8Array(randomBytes(n)),
    ...more,
  };
  return { ...ctx, offered: more.offered ?? new Offer(ctx).offered };
}

/** Begins `mechanism` with an initial response; text is sent as UTF-8. */
export async function begin(ctx: SaslContext, mechanism: string, initial?: string | Uint8Array): Promise<SaslStep> {
  const exchange = startMechanism(mechanism, ctx);
  if (!exchange) throw new Error(`${mechanism} is not offered`);
  return exchange.start(typeof initial === "string" ? Buffer.from(initial) : initial);
}
