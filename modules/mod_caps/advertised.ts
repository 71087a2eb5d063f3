// The hashes that a presence carries: <c/> of XEP-0115 and of XEP-0390.

import { knowsHash } from "../../core/disco/caps.ts";
import { NS_CAPS, NS_CAPS2, NS_HASHES } from "../../core/ns.ts";
import type { Stanza } from "../../core/stanza.ts";

/** Longer ones are no hash. */
const MAX_HASH = 128;
const MAX_NODE = 1023;

export type Version = "v1" | "v2";
/** A hash that a client gave. */
export interface Advertised {
  readonly version: Version;
  readonly algorithm: string;
  /** Base64. */
  readonly hash: string;
  /** The disco node under which the client answers for it. */
  readonly node: string;
  /** Names the hash in the cache. */
  readonly key: string;
}

/** The hashes of a presence that this server can verify, in the order of `versions`. */
export function advertised(presence: Stanza, versions: readonly Version[]): Advertised[] {
  const found: Advertised[] = [];
  for (const version of versions) {
    if (version === "v1") v1(presence, found);
    else if (presence.has("c", NS_CAPS2)) v2(presence, found);
  }
  return found;
}

/** §5.4 of XEP-0115: without a function the version is of the old kind, which cannot be shared. */
function v1(presence: Stanza, found: Advertised[]): void {
  const at = presence.find("c", NS_CAPS);
  if (at < 0) return;
  const algorithm = presence.kidAttr(at, "hash");
  const node = presence.kidAttr(at, "node");
  const hash = presence.kidAttr(at, "ver");
  if (algorithm === undefined || node === undefined || hash === undefined) return;
  if (node.length > MAX_NODE) return;
  add(found, "v1", algorithm, hash, `${node}#${hash}`);
}

function v2(presence: Stanza, found: Advertised[]): void {
  for (const el of presence.child("c", NS_CAPS2)?.getChildren("hash", NS_HASHES) ?? []) {
    const algorithm = el.attrs["algo"] ?? "";
    const hash = el.text().trim();
    add(found, "v2", algorithm, hash, `${NS_CAPS2}#${algorithm}.${hash}`);
  }
}

function add(found: Advertised[], version: Version, algorithm: string, hash: string, node: string): void {
  if (hash === "" || hash.length > MAX_HASH || !knowsHash(version, algorithm)) return;
  found.push({ version, algorithm, hash, node, key: `${version} ${algorithm} ${hash}` });
}
