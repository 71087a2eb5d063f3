// Answers of XEP-0030 as markup: for the server, accounts and services of their own.

import type { DiscoItem, Identity } from "../hooks.ts";
import { NS_DISCO_INFO, NS_DISCO_ITEMS } from "../ns.ts";
import { attr, type Markup, xml } from "../xml/markup.ts";

/** What an entity or a node is. */
export interface EntityInfo {
  identities: readonly Identity[];
  features: readonly string[];
  /** XEP-0128 forms. */
  forms: readonly Markup[];
}

/** The answer to disco#info; `node` is "" for the entity itself. */
export function infoMarkup({ identities, features, forms }: EntityInfo, node: string): Markup {
  return xml`<query${nodeAttr(node)} xmlns='${NS_DISCO_INFO}'>${identities.map(
    (i) => xml`<identity category='${i.category}'${attr("name", i.name)} type='${i.type}'/>`,
  )}${features.map((f) => xml`<feature var='${f}'/>`)}${forms}</query>`;
}

/** The answer to disco#items; `set` is the part of a list that was asked for (XEP-0059). */
export function itemsMarkup(items: readonly DiscoItem[], node: string, set?: Markup): Markup {
  const list = items.map((i) => xml`<item jid='${i.jid}'${attr("name", i.name)}${attr("node", i.node)}/>`);
  return xml`<query${nodeAttr(node)} xmlns='${NS_DISCO_ITEMS}'>${list}${set}</query>`;
}

const nodeAttr = (node: string): Markup | undefined => attr("node", node === "" ? undefined : node);
