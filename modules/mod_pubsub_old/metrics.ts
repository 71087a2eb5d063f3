// Counters of requests, by MongooseIM's names: how many, how many failed, how long the others took.

import type { Counter, MaybePromise } from "../../core/module.ts";
import type { Request } from "../pubsub/request.ts";

const ACTIONS = [
  "get_affiliations",
  "get_configure",
  "get_default",
  "get_items",
  "get_options",
  "get_subscriptions",
  "set_affiliations",
  "set_configure",
  "set_create",
  "set_delete",
  "set_options",
  "set_publish",
  "set_purge",
  "set_retract",
  "set_subscribe",
  "set_subscriptions",
  "set_unsubscribe",
] as const;
type Action = (typeof ACTIONS)[number];
export type Metric = `mod_pubsub_old_${Action}_${"count" | "errors" | "time"}`;

type Definition = { kind: "counter" | "histogram"; help: string };

export const metrics = Object.fromEntries(
  ACTIONS.flatMap((action): [Metric, Definition][] => {
    const what = action.replace("_", " ");
    return [
      [`mod_pubsub_old_${action}_count`, { kind: "counter", help: `Requests of pubsub answered: ${what}` }],
      [`mod_pubsub_old_${action}_errors`, { kind: "counter", help: `Requests of pubsub refused: ${what}` }],
      [`mod_pubsub_old_${action}_time`, { kind: "histogram", help: `Microseconds of a request of pubsub: ${what}` }],
    ];
  }),
) as Readonly<Record<Metric, Definition>>;

const BY_KIND: Readonly<Record<Request["kind"], Action>> = {
  create: "set_create",
  publish: "set_publish",
  retract: "set_retract",
  items: "get_items",
  subscribe: "set_subscribe",
  unsubscribe: "set_unsubscribe",
  subscriptions: "get_subscriptions",
  affiliations: "get_affiliations",
  options: "get_options",
  "set options": "set_options",
  "default options": "get_default",
  configuration: "get_configure",
  configure: "set_configure",
  "default configuration": "get_default",
  delete: "set_delete",
  purge: "set_purge",
  "node affiliations": "get_affiliations",
  "set affiliations": "set_affiliations",
  "node subscriptions": "get_subscriptions",
  "set subscriptions": "set_subscriptions",
};

/** Runs a request and counts it; a thrown error counts as refused. */
export async function counted<T>(
  counters: Readonly<Record<Metric, Counter>>,
  kind: Request["kind"],
  work: () => MaybePromise<T>,
): Promise<T> {
  const action = BY_KIND[kind];
  const from = performance.now();
  try {
    const result = await work();
    counters[`mod_pubsub_old_${action}_count`].add();
    counters[`mod_pubsub_old_${action}_time`].add(Math.round((performance.now() - from) * 1000));
    return result;
  } catch (error) {
    counters[`mod_pubsub_old_${action}_errors`].add();
    throw error;
  }
}
