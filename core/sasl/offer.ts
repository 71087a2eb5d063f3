// What a kind of channel is offered: its mechanisms, and their digest for clients that fear a downgrade.
import { createHash } from "node:crypto";
import type { HashName } from "../auth/types.ts";
import { channelBindingTypes, isPlus } from "./channel.ts";
import { MECHANISMS } from "./mechanisms.ts";
import type { Mechanism, OfferContext } from "./types.ts";

const NODE_HASHES: Readonly<Record<HashName, string>> = {
  sha: "sha1",
  sha224: "sha224",
  sha256: "sha256",
  sha384: "sha384",
  sha512: "sha512",
};

/** Delimiters of XEP-0474 §5.1: characters that XML cannot carry. */
const BETWEEN = "\x1e";
const LISTS = "\x1f";

/** One for each kind of channel of a host type, made when the first stream of the kind asks. */
export class Offer {
  /** Names for <mechanisms/> of RFC 6120 and for <authentication/> of XEP-0388, in the order of the configuration. */
  readonly offered: readonly string[];
  /** Names of the mechanisms that prove a token, for <fast/> of XEP-0484. */
  readonly tokens: readonly string[];
  /** Channel binding types that are announced (XEP-0440); none unless a -PLUS mechanism is offered. */
  readonly bindings: readonly string[];
  private readonly digests = new Map<HashName, string>();

  /** Those of `auth.sasl_mechanisms`, in its order, that suit the channel; `added` are those of features. */
  constructor(
    ctx: OfferContext,
    readonly added: readonly Mechanism[] = [],
  ) {
    const all = [...MECHANISMS, ...added];
    const suiting: Mechanism[] = [];
    for (const option of ctx.auth.saslMechanisms) {
      const mechanism = all.find((m) => m.option === option);
      if (mechanism?.suits(ctx)) suiting.push(mechanism);
    }
    this.offered = suiting.filter((m) => m.token !== true).map((m) => m.name);
    this.tokens = suiting.filter((m) => m.token === true).map((m) => m.name);
    this.bindings = this.offered.some(isPlus) ? channelBindingTypes(ctx) : [];
  }

  /** The value of SCRAM's attribute `h` (XEP-0474 §5.1): Base64 of the hash of what was offered. */
  digest(hash: HashName): string {
    let digest = this.digests.get(hash);
    if (digest === undefined) {
      digest = downgradeDigest(hash, this.offered, this.bindings);
      this.digests.set(hash, digest);
    }
    return digest;
  }
}

/** XEP-0474 §5.1: both lists in the order of their octets; the names are ASCII. */
export function downgradeDigest(hash: HashName, offered: readonly string[], bindings: readonly string[]): string {
  const mechanisms = [...offered].sort().join(BETWEEN);
  const text = bindings.length === 0 ? mechanisms : `${mechanisms}${LISTS}${[...bindings].sort().join(BETWEEN)}`;
  return createHash(NODE_HASHES[hash]).update(text).digest("base64");
}
