// Publish and subscribe: mod_pubsub, mod_pubsub_old, and the entity capabilities they use.
import { z } from "zod";
import {
  accessRule,
  enumOf,
  inert,
  iqdisc,
  keyedList,
  nonEmpty,
  nonNegative,
  positive,
  subdomainTemplate,
  uniqueNonEmptyList,
} from "../types.ts";

export const mod_caps = () =>
  z.strictObject({
    backend: enumOf("cets").default("cets").describe("Where capabilities are kept"),
    iq_response_timeout: positive().default(5000).describe("Milliseconds a client has for its answer"),
    versions: uniqueNonEmptyList(enumOf("v1", "v2"))
      .default(["v1", "v2"])
      .describe("Protocols in use: v1 is XEP-0115, v2 is XEP-0390"),
  });

/** Pool of workers inside a module; there are no such processes here. */
export const workerPool = (
  strategy: "best_worker" | "random_worker" | "next_worker" | "available_worker" | "next_available_worker",
) =>
  inert(
    z.strictObject({
      workers: positive().default(10).describe("Workers"),
      strategy: enumOf("best_worker", "random_worker", "next_worker", "available_worker", "next_available_worker")
        .default(strategy)
        .describe("How a worker is chosen"),
      call_timeout: positive().default(5000).describe("Milliseconds a task may take"),
      max_worker_queue_len: nonNegative().optional().describe("Tasks that wait for one worker"),
    }),
    "the work is done by the event loop, without a pool of workers",
  )
    .prefault({})
    .describe("Workers of this module");

const nodeFlag = (what: string) => z.boolean().optional().describe(what);
const nodeText = (what: string) => nonEmpty().optional().describe(what);

export const mod_pubsub_old = () =>
  z.strictObject({
    access_createnode: accessRule().default("all").describe("Access rule for making nodes"),
    backend: enumOf("mnesia", "rdbms").default("mnesia").describe("Where nodes and items are kept"),
    default_node_config: z
      .strictObject({
        access_model: nodeText("Who may subscribe"),
        deliver_notifications: nodeFlag("Send events"),
        deliver_payloads: nodeFlag("Send items with events"),
        max_items: nonNegative().optional().describe("Items a node keeps"),
        max_payload_size: nonNegative().optional().describe("Largest item, bytes"),
        node_type: nodeText("Leaf or collection"),
        notification_type: nodeText("Type of event messages"),
        notify_config: nodeFlag("Tell subscribers of a new configuration"),
        notify_delete: nodeFlag("Tell subscribers that the node was deleted"),
        notify_retract: nodeFlag("Tell subscribers that an item was retracted"),
        persist_items: nodeFlag("Keep items"),
        presence_based_delivery: nodeFlag("Send events only to who is online"),
        publish_model: nodeText("Who may publish"),
        purge_offline: nodeFlag("Delete items when their publisher goes offline"),
        roster_groups_allowed: z.array(nonEmpty()).optional().describe("Roster groups that may subscribe"),
        send_last_published_item: nodeText("When the last item is sent"),
        subscribe: nodeFlag("Allow subscriptions"),
      })
      .prefault({})
      .describe("Configuration of a new node, over that of its kind"),
    host: subdomainTemplate().default("pubsub.@HOST@").describe("Domain of the service"),
    ignore_pep_from_offline: z.boolean().default(true).describe("Drop events of contacts that are offline"),
    iqdisc: iqdisc("one_queue"),
    item_publisher: z.boolean().default(false).describe("Name the publisher in each item"),
    last_item_cache: z
      .union([z.enum(["mnesia", "rdbms"]), z.literal(false)], { error: 'it must be "mnesia", "rdbms" or false' })
      .default(false)
      .describe("Where last items are kept ready"),
    max_items_node: nonNegative().default(10).describe("Items any node may be configured to keep"),
    max_subscriptions_node: nonNegative().optional().describe("Subscriptions a node may have"),
    nodetree: enumOf("tree", "dag").default("tree").describe("How nodes are ordered"),
    pep_mapping: keyedList(
      z.strictObject({
        namespace: nonEmpty().describe("Namespace of the node"),
        node: nonEmpty().describe("Plugin used for it"),
      }),
      "namespace",
    )
      .default([])
      .describe("Plugins for single PEP nodes"),
    plugins: z
      .array(enumOf("dag", "flat", "hometree", "pep", "push"))
      .default(["flat"])
      .describe("Kinds of nodes, the default first"),
    sync_broadcast: z.boolean().default(false).describe("Send events before the publisher is answered"),
    wpool: workerPool("best_worker"),
  });
