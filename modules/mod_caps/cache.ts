// What is known of clients by the hash they gave: one set of features for all that gave the same.

import { createHash } from "node:crypto";

/** Hashes kept; the oldest give way. */
const MAX_HASHES = 10_000;
/** Names that sets share; beyond that number a set has its own. */
const MAX_NAMES = 20_000;
/** Characters of feature names kept in all; a hostile client can make up any number of hashes. */
const MAX_TEXT = 8_000_000;

interface Known {
  readonly features: ReadonlySet<string>;
  readonly weight: number;
}

/** The hashes that a server has verified. Those in use stay; the sets of others go when there are too many. */
export class KnownHashes {
  private readonly byHash = new Map<string, Known>();
  private readonly names = new Map<string, string>();
  private text = 0;

  /** The features behind a hash; `hash` names the protocol and the function too. */
  get(hash: string): ReadonlySet<string> | undefined {
    const known = this.byHash.get(hash);
    if (known === undefined) return undefined;
    // The order of the Map is that of use.
    if (this.byHash.size > MAX_HASHES / 2) {
      this.byHash.delete(hash);
      this.byHash.set(hash, known);
    }
    return known.features;
  }

  /** Keeps a verified answer. The set that is returned is shared: other hashes of the same features have it too. */
  add(hash: string, features: readonly string[]): ReadonlySet<string> {
    const content = `=${createHash("sha256")
      .update([...features].sort().join("\n"))
      .digest("base64")}`;
    const same = this.byHash.get(content)?.features;
    const set = same ?? new Set(features.map((feature) => this.name(feature)));
    if (same === undefined) {
      let weight = 0;
      for (const feature of set) weight += feature.length;
      this.keep(content, { features: set, weight });
    }
    this.keep(hash, { features: set, weight: hash.length });
    return set;
  }

  /** Hashes and sets that are kept. */
  get size(): number {
    return this.byHash.size;
  }

  /** One string for a name, whoever has it. A copy: the one that was parsed keeps the whole answer in memory. */
  private name(feature: string): string {
    const known = this.names.get(feature);
    if (known !== undefined) return known;
    const own = Buffer.from(feature).toString();
    if (this.names.size < MAX_NAMES) this.names.set(own, own);
    return own;
  }

  private keep(key: string, known: Known): void {
    this.byHash.set(key, known);
    this.text += known.weight;
    for (const [oldest, { weight }] of this.byHash) {
      if (this.byHash.size <= MAX_HASHES && this.text <= MAX_TEXT) return;
      if (oldest === key) return;
      this.byHash.delete(oldest);
      this.text -= weight;
    }
  }
}
