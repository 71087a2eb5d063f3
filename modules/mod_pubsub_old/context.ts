// What runs for a host type that has mod_pubsub_old on.

import type { ModuleContext } from "../../core/module.ts";
import type { PubsubOldConfig } from "./config.ts";
import type { LastItems } from "./last.ts";
import type { Metric } from "./metrics.ts";
import type { PubsubOldStore } from "./store.ts";
import type { Engine } from "./tree.ts";
import type { Watchlist } from "./watch.ts";

export type Context = ModuleContext<PubsubOldConfig, PubsubOldStore, Metric>;

export interface Running {
  /** For the service's own domain. */
  readonly service: Engine;
  /** For accounts; undefined without the plugin pep. */
  readonly pep: Engine | undefined;
  readonly watch: Watchlist;
  readonly last: LastItems | undefined;
}
