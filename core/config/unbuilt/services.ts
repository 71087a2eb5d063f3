// Services that are not built yet.
import { z } from "zod";
import { enumOf, nonEmpty, nonNegative, positive, positiveOrInfinity, secret, uniqueList } from "../types.ts";

/** `services.service_bosh` */
export const serviceBosh = () =>
  z
    .strictObject({
      backend: enumOf("mnesia", "cets").default("mnesia").describe("Where the list of BOSH sessions is kept"),
      host_types: uniqueList(nonEmpty()).optional().describe("Host types that may use it; all when not set"),
      inactivity: positiveOrInfinity().default(30).describe("Seconds without a request after which a session ends"),
      max_pause: positive().default(120).describe("Longest pause a client may ask for, seconds"),
      max_wait: positiveOrInfinity()
        .default(Number.POSITIVE_INFINITY)
        .describe("Longest time a request is held, seconds"),
      server_acks: z.boolean().default(false).describe("Send acknowledgements of requests"),
    })
    .describe("XMPP over HTTP (XEP-0124)");

/** `services.service_mongoose_system_metrics` */
export const serviceSystemMetrics = () =>
  z
    .strictObject({
      initial_report: nonNegative().default(300_000).describe("Milliseconds from start to the first report"),
      periodic_report: nonNegative().default(10_800_000).describe("Milliseconds between two reports"),
      report: z.boolean().optional().describe("Send usage figures to the makers of MongooseIM"),
      tracking_id: z
        .strictObject({
          id: nonEmpty().describe("Identifier of the account"),
          secret: secret(nonEmpty()).describe("Secret of the account"),
        })
        .optional()
        .describe("An analytics account of one's own"),
    })
    .describe("Usage figures sent out");

/** `services.service_traffic` */
export const serviceTraffic = () => z.strictObject({}).describe("A live view of stanzas");
