// The configuration of mod_auth_token, and what its handlers are given.
import { z } from "zod";
import { enumOf, iqdisc, period } from "../../core/config/types.ts";
import type { ModuleContext } from "../../core/module.ts";
import type { TokenStore } from "./store.ts";

export const config = z.strictObject({
  backend: enumOf("rdbms").default("rdbms").describe("Where tokens are kept"),
  iqdisc: iqdisc("no_queue"),
  validity_period: z
    .strictObject({
      access: period(1, "hours", "Life of an access token"),
      refresh: period(25, "days", "Life of a refresh token"),
    })
    .prefault({})
    .describe("Life of tokens"),
});

export type TokenContext = ModuleContext<z.output<typeof config>, TokenStore>;
