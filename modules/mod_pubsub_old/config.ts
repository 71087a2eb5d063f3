// Options of mod_pubsub_old.

import { z } from "zod";
import {
  accessRule,
  enumOf,
  inert,
  iqdisc,
  keyedList,
  nonEmpty,
  nonNegative,
  own,
  positive,
  subdomainTemplate,
} from "../../core/config/types.ts";
import { workerPool } from "../../core/config/worker-pool.ts";
import { ACCESS_MODELS } from "../pubsub/model.ts";
import { PLUGINS } from "./plugins.ts";

const flag = (what: string) => z.boolean().optional().describe(what);

const word = (what: string) => nonEmpty().optional().describe(what);

const nodeConfig = z.strictObject({
  access_model: word("Who may subscribe and read"),
  deliver_notifications: flag("Send events"),
  deliver_payloads: flag("Send items with events"),
  max_items: nonNegative().optional().describe("Items a node keeps"),
  max_payload_size: nonNegative().optional().describe("Largest item, bytes"),
  node_type: word("Leaf or collection"),
  notification_type: word("Type of event messages"),
  notify_config: flag("Tell subscribers of a new configuration"),
  notify_delete: flag("Tell subscribers that the node was deleted"),
  notify_retract: flag("Tell subscribers that an item was retracted"),
  persist_items: flag("Keep items"),
  presence_based_delivery: flag("Send events only to who is online"),
  publish_model: word("Who may publish"),
  purge_offline: flag("Delete items when their publisher goes offline"),
  roster_groups_allowed: z.array(nonEmpty()).optional().describe("Roster groups that may subscribe"),
  send_last_published_item: word("When the last item is sent"),
  subscribe: flag("Allow subscriptions"),
});

export const config = z.strictObject({
  access_createnode: accessRule().default("all").describe("Access rule for making nodes"),
  backend: enumOf("mnesia", "rdbms").default("mnesia").describe("Where nodes and items are kept"),
  default_node_config: nodeConfig.prefault({}).describe("Configuration of a new node, over that of its kind"),
  host: subdomainTemplate().default("pubsub.@HOST@").describe("Domain of the service"),
  ignore_pep_from_offline: z.boolean().default(true).describe("Send no last items of contacts that are offline"),
  iqdisc: iqdisc("one_queue"),
  item_publisher: z.boolean().default(false).describe("Name the publisher in each item"),
  last_item_cache: z
    .union([z.enum(["mnesia", "rdbms"]), z.literal(false)], { error: 'it must be "mnesia", "rdbms" or false' })
    .default(false)
    .describe("Where last items are kept ready: in memory, or in a table"),
  max_items_node: nonNegative().default(10).describe("Items any node may be configured to keep"),
  max_nodes_user: own(
    positive().default(1000).describe("Nodes that a user may own at the service, and as many with PEP"),
  ),
  max_subscriptions_node: nonNegative().optional().describe("Subscriptions a node may have"),
  nodetree: enumOf("tree", "dag").default("tree").describe("How nodes are ordered: by name, or in collections"),
  pep_mapping: keyedList(
    z.strictObject({
      namespace: nonEmpty().describe("Name of the node"),
      node: nonEmpty().describe("Kind of node that it is"),
    }),
    "namespace",
  )
    .default([])
    .describe("Kinds of single PEP nodes"),
  plugins: z
    .array(enumOf(...PLUGINS))
    .default(["flat"])
    .describe("Kinds of nodes, the default first"),
  sync_broadcast: inert(z.boolean(), "events leave in the order of their publication, before the answer")
    .default(false)
    .describe("Send events before the publisher is answered"),
  wpool: workerPool("best_worker"),
});

export type PubsubOldConfig = z.output<typeof config>;

/** Words that MongooseIM's table of options takes any text for. */
const WORDS: Readonly<Record<string, readonly string[]>> = {
  access_model: ACCESS_MODELS,
  node_type: ["leaf", "collection"],
  notification_type: ["normal", "headline"],
  publish_model: ["publishers", "subscribers", "open"],
  send_last_published_item: ["never", "on_sub", "on_sub_and_presence"],
};

/** Throws one line for the operator when a word of `default_node_config` means nothing. */
export function checkWords({ default_node_config: given }: PubsubOldConfig): void {
  for (const [option, words] of Object.entries(WORDS)) {
    const value = given[option as keyof typeof given];
    if (value === undefined || words.some((w) => w === value)) continue;
    throw new Error(
      `Cannot use "${value}" as modules.mod_pubsub_old.default_node_config.${option}: it must be one of ${words.join(", ")}`,
    );
  }
}
