// The mechanisms by name: how the configuration calls them, in which order they are offered, and when.
import type { HashName, ProofKind } from "../auth/types.ts";
import type { SaslContext } from "./types.ts";

/** A mechanism this server has. */
export interface Mechanism {
  /** Its name in `auth.sasl_mechanisms`. */
  option: string;
  /** Its IANA name. */
  name: string;
  /** What it asks a back end to decide. */
  proof: ProofKind;
  /** Hash function of SCRAM. */
  hash?: HashName;
  /** Binds to the TLS channel. */
  plus?: boolean;
}

function scramPair(bits: string, hash: HashName): Mechanism[] {
  const option = `scram_sha${bits}`;
  const name = `SCRAM-SHA-${bits}`;
  return [
    { option: `${option}_plus`, name: `${name}-PLUS`, proof: "scram", hash, plus: true },
    { option, name, proof: "scram", hash },
  ];
}

/** All of them; the configuration's list, which has a default, says which are offered and in which order. */
export const MECHANISMS: readonly Mechanism[] = [
  ...scramPair("512", "sha512"),
  ...scramPair("384", "sha384"),
  ...scramPair("256", "sha256"),
  ...scramPair("224", "sha224"),
  ...scramPair("1", "sha"),
  { option: "plain", name: "PLAIN", proof: "plain" },
  { option: "anonymous", name: "ANONYMOUS", proof: "anonymous" },
  { option: "external", name: "EXTERNAL", proof: "external" },
];

/** Values of `auth.sasl_mechanisms` that name a mechanism this server does not have (yet): never offered. */
export function unknownMechanisms(options: readonly string[]): string[] {
  return options.filter((option) => !MECHANISMS.some((mechanism) => mechanism.option === option));
}

export function isPlus(name: string): boolean {
  return name.endsWith("-PLUS");
}

/** The part of a stream's context that decides what it is offered. */
export type OfferContext = Pick<
  SaslContext,
  "auth" | "tls" | "exporter" | "endpoint" | "certificate" | "allowedMethods"
>;

/**
 * The mechanisms to offer on a stream: those of `auth.sasl_mechanisms`, in its order, that the methods can decide. SCRAM
 * is offered with the hash functions that passwords are stored with (with any, when they are stored plain), -PLUS where
 * TLS gives binding data, EXTERNAL where the client showed a certificate that passed verification.
 */
export function offeredMechanisms(ctx: OfferContext): string[] {
  const { auth, allowedMethods, certificate } = ctx;
  const canBind = channelBindingTypes(ctx).length > 0;

  const suits = ({ proof, hash, plus }: Mechanism): boolean => {
    if (!auth.proves(proof, allowedMethods)) return false;
    if (hash && auth.policy.format === "scram" && !auth.policy.hash.includes(hash)) return false;
    if (plus && !canBind) return false;
    return proof !== "external" || certificate?.authorized === true;
  };
  const names: string[] = [];
  for (const option of auth.saslMechanisms) {
    const mechanism = MECHANISMS.find((m) => m.option === option);
    if (mechanism && suits(mechanism)) names.push(mechanism.name);
  }
  return names;
}

type Channel = Pick<SaslContext, "tls" | "exporter" | "endpoint">;

/** The channel binding types to announce (XEP-0440) when a -PLUS mechanism is offered: what the channel has. */
export function channelBindingTypes({ tls, exporter, endpoint }: Channel): string[] {
  const types: string[] = [];
  if (tls && exporter) types.push("tls-exporter");
  if (tls && endpoint) types.push("tls-server-end-point");
  return types;
}

/** The channel's data of a binding type; undefined when it has none of that type. */
export function bindingData({ tls, exporter, endpoint }: Channel, type: string): Uint8Array | undefined {
  if (!tls) return undefined;
  if (type === "tls-exporter") return exporter?.();
  return type === "tls-server-end-point" ? endpoint?.() : undefined;
}
