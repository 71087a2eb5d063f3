// [instrumentation.exometer]
import { z } from "zod";
import { networkAddress, port, positive, secret } from "../types.ts";

/** `instrumentation.exometer` */
export const exometer = () =>
  z
    .strictObject({
      all_metrics_are_global: z.boolean().default(false).describe("One figure for all host types"),
      report: z
        .strictObject({
          graphite: z
            .array(
              z.strictObject({
                host: networkAddress().describe("Graphite server"),
                port: port().default(2003).describe("Its port"),
                interval: positive().default(60_000).describe("Milliseconds between two reports"),
                connect_timeout: positive().default(5000).describe("Milliseconds a connection may take"),
                prefix: z.string().optional().describe("Text put before metric names"),
                env_prefix: z
                  .string()
                  .optional()
                  .describe("Environment variable whose value is put before metric names"),
                api_key: secret(z.string()).default("").describe("Key of a hosted service"),
              }),
            )
            .optional()
            .describe("Graphite servers"),
        })
        .prefault({})
        .describe("Where metrics are sent"),
    })
    .describe("Metrics pushed to Graphite");
