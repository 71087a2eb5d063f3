// What accounts and the server say that their archives can do (XEP-0313 §8).

import type { HookHandlers } from "../../../core/hooks.ts";
import { NS_SID } from "../../../core/ns.ts";
import { retractionFeatures } from "../retraction.ts";
import { NS_MAM, NS_MAM1 } from "./archive.ts";

const NS_FULLTEXT = "urn:xmpp:fulltext:0";

/** What an archive can do. */
export interface Abilities {
  /** Text can be searched for (XEP-0431). */
  readonly searches: boolean;
  /** Of a retracted message a tombstone is left (XEP-0424). */
  readonly tombstones: boolean;
  /** Users' archives: messages of rooms can be left out, and may be in there at all. */
  readonly groupchats: "understood" | "archived" | "none";
}

export function featuresOf({ searches, tombstones, groupchats }: Abilities): string[] {
  // Nobody else gives a message an id in the name of an archive (XEP-0359 §6).
  const features = [NS_MAM1, NS_MAM, `${NS_MAM}#extended`, NS_SID, ...retractionFeatures(tombstones)];
  if (groupchats !== "none") features.push(`${NS_MAM}#groupchat-field`);
  if (groupchats === "archived") features.push(`${NS_MAM}#groupchat-available`);
  if (searches) features.push(NS_FULLTEXT);
  return features;
}

/** @param abilities undefined where there are no archives of users */
export function discoHooks<Ctx>(abilities: (ctx: Ctx) => Abilities | undefined): HookHandlers<Ctx> {
  const run = (features: Set<string>, { node }: { node: string }, ctx: Ctx): void => {
    const able = abilities(ctx);
    if (node !== "" || able === undefined) return;
    for (const feature of featuresOf(able)) features.add(feature);
  };
  return { disco_local_features: { at: 99, run }, disco_sm_features: { at: 99, run } };
}
