// Options of mod_pubsub: MongooseIM's, and the bounds of what an account may store.

import { z } from "zod";
import { enumOf, iqdisc, nonNegativeOrInfinity, own, positive } from "../../core/config/types.ts";

export const config = z.strictObject({
  backend: enumOf("rdbms").default("rdbms").describe("Where nodes and items are kept"),
  default_node_config: z
    .strictObject({
      access_model: enumOf("open", "presence").default("presence").describe("Who may subscribe"),
      max_items: nonNegativeOrInfinity().default(Number.POSITIVE_INFINITY).describe("Items a node keeps"),
    })
    .prefault({})
    .describe("Configuration of a new node"),
  iqdisc: iqdisc("no_queue"),
  max_items_per_node: nonNegativeOrInfinity()
    .default(Number.POSITIVE_INFINITY)
    .describe("Items any node may be configured to keep"),
  max_nodes_per_user: own(positive().default(1000).describe("Nodes an account may have")),
  max_payload_size: own(positive().default(262_144).describe("Most bytes of an item; a bigger one is refused")),
  max_subscriptions_per_node: own(
    positive().default(10_000).describe("Explicit subscriptions a node may have; contacts need none"),
  ),
});

export type Config = z.output<typeof config>;

/** What "infinity" comes to: nobody fills the disk with one node. */
export const MOST_ITEMS = 10_000;
