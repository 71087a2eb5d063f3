// Service discovery of nodes (XEP-0060 §5): what the features of publish-subscribe have in common, and who may know of a node.

import type { DiscoItem, DiscoParams } from "../../core/hooks.ts";
import type { BareJid } from "../../core/jid.ts";
import type { Markup } from "../../core/xml/markup.ts";
import { allows, requireAccess } from "./access.ts";
import type { PubsubEngine } from "./engine.ts";
import { resultForm } from "./fields.ts";
import type { PubsubNode } from "./model.ts";
import type { NodeHead } from "./store.ts";

/** §10, as far as every service has it. */
export const COMMON_FEATURES: readonly string[] = [
  "access-authorize",
  "access-open",
  "access-presence",
  "access-roster",
  "access-whitelist",
  "auto-create",
  "config-node",
  "config-node-max",
  "create-and-configure",
  "create-nodes",
  "delete-items",
  "delete-nodes",
  "item-ids",
  "last-published",
  "manage-subscriptions",
  "member-affiliation",
  "meta-data",
  "modify-affiliations",
  "outcast-affiliation",
  "persistent-items",
  "publish",
  "publish-only-affiliation",
  "publish-options",
  "publisher-affiliation",
  "purge-nodes",
  "retract-items",
  "retrieve-affiliations",
  "retrieve-default",
  "retrieve-items",
  "retrieve-subscriptions",
  "rsm",
  "subscribe",
  "subscription-notifications",
];
/** What the service of an account has beside. */
export const PERSONAL_FEATURES: readonly string[] = [
  ...COMMON_FEATURES,
  "auto-subscribe",
  "presence-notifications",
  "presence-subscribe",
];

/** Nodes of an account that are listed. */
export const MAX_LISTED = 1000;

/** Whether somebody may know that a node is there. */
export const mayKnow = (engine: PubsubEngine, node: PubsubNode, who: BareJid): Promise<boolean> =>
  allows(() => requireAccess(engine, node, who));

/** The node of an account that is asked about, if the asker may know of it. */
export async function visible(engine: PubsubEngine, { from, to, node: name }: DiscoParams) {
  const node = await engine.nodes.get(to.bare, name);
  return node !== undefined && (await mayKnow(engine, node, from.bare)) ? node : undefined;
}

/** A node in a list. */
export const nodeItem = (jid: string, { name, config: { title } }: NodeHead): DiscoItem => ({
  jid,
  node: name,
  ...(title !== "" && { name: title }),
});

/** The meta-data of a node of an account (§5.4). */
export async function forms(engine: PubsubEngine, acc: Markup[], params: DiscoParams): Promise<Markup[]> {
  const node = params.node === "" ? undefined : await visible(engine, params);
  return node === undefined ? acc : [...acc, resultForm(node.config, engine.profile.limits, "meta-data")];
}
