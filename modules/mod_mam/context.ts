// What mod_mam's parts are given.

import type { ModuleContext } from "../../core/module.ts";
import type { MamConfig } from "./config.ts";
import type { MamMetric } from "./metrics.ts";
import type { MamStore } from "./store.ts";

export type Context = ModuleContext<MamConfig, MamStore, MamMetric>;
