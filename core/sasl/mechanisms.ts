// The mechanisms that the engine has itself: how the configuration calls them, when they are offered, what runs them.
// Features add theirs by the hook `sasl_mechanisms` (types.ts).
import type { HashName } from "../auth/types.ts";
import { anonymous } from "./anonymous.ts";
import { channelBindingTypes } from "./channel.ts";
import { digestMd5 } from "./digest.ts";
import { external } from "./external.ts";
import { plain } from "./plain.ts";
import { scram } from "./scram.ts";
import type { Mechanism, OfferContext } from "./types.ts";

/** Offered with the hash functions that passwords are stored with (with any, when they are stored plain). */
function provesScram({ auth, allowedMethods }: OfferContext, hash: HashName): boolean {
  if (!auth.proves("scram", allowedMethods)) return false;
  return auth.policy.format !== "scram" || auth.policy.hash.includes(hash);
}

function scramPair(bits: string, hash: HashName): Mechanism[] {
  const option = `scram_sha${bits}`;
  const name = `SCRAM-SHA-${bits}`;
  return [
    {
      option: `${option}_plus`,
      name: `${name}-PLUS`,
      suits: (ctx) => channelBindingTypes(ctx).length > 0 && provesScram(ctx, hash),
      start: (ctx) => scram(ctx, hash, true),
    },
    { option, name, suits: (ctx) => provesScram(ctx, hash), start: (ctx) => scram(ctx, hash, false) },
  ];
}

/** All of them; the configuration's list, which has a default, says which are offered and in which order. */
export const MECHANISMS: readonly Mechanism[] = [
  ...scramPair("512", "sha512"),
  ...scramPair("384", "sha384"),
  ...scramPair("256", "sha256"),
  ...scramPair("224", "sha224"),
  ...scramPair("1", "sha"),
  {
    option: "plain",
    name: "PLAIN",
    suits: ({ auth, allowedMethods }) => auth.proves("plain", allowedMethods),
    start: plain,
  },
  {
    option: "anonymous",
    name: "ANONYMOUS",
    suits: ({ auth, allowedMethods }) => auth.proves("anonymous", allowedMethods),
    start: anonymous,
  },
  {
    option: "external",
    name: "EXTERNAL",
    suits: ({ auth, allowedMethods, certificate }) =>
      certificate?.authorized === true && auth.proves("external", allowedMethods),
    start: external,
  },
  {
    option: "digest",
    name: "DIGEST-MD5",
    // It hashes the password itself: back ends that keep something else cannot check it.
    suits: ({ auth, allowedMethods }) => auth.policy.format === "plain" && auth.proves("scram", allowedMethods),
    start: digestMd5,
  },
];
