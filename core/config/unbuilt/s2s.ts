// [s2s]: federation.
import { z } from "zod";
import { xmppClientTls } from "../tls.ts";
import {
  enumOf,
  ipAddress,
  keyedList,
  nonEmpty,
  nonNegativeOrInfinity,
  port,
  positive,
  positiveOrInfinity,
  secret,
  shaperName,
  uniqueNonEmptyList,
} from "../types.ts";

/** `s2s` and `host_config[].s2s` */
export const s2s = () =>
  z
    .strictObject({
      default_policy: enumOf("allow", "deny")
        .default("allow")
        .describe("Whether servers that are not listed may connect"),
      host_policy: keyedList(
        z.strictObject({
          host: nonEmpty().describe("Domain of the other server"),
          policy: enumOf("allow", "deny").describe("Whether it may connect"),
        }),
        "host",
      )
        .optional()
        .describe("Exceptions from the policy"),
      shared: secret(nonEmpty()).optional().describe("Secret of server dialback, for all nodes"),
      outgoing: z
        .strictObject({
          address: keyedList(
            z.strictObject({
              host: nonEmpty().describe("Domain of the other server"),
              ip_address: ipAddress().describe("Address used for it"),
              port: port().optional().describe("Port used for it"),
              tls: z.boolean().default(false).describe("Start TLS at once"),
            }),
            "host",
          )
            .optional()
            .describe("Addresses used in place of DNS"),
          connection_timeout: positiveOrInfinity().default(10_000).describe("Milliseconds a connection may take"),
          dns: z
            .strictObject({
              timeout: positive().default(10).describe("Seconds a question may take"),
              retries: positive().default(2).describe("How often a question is asked"),
            })
            .prefault({})
            .describe("Questions to DNS"),
          ip_versions: uniqueNonEmptyList(z.union([z.literal(4), z.literal(6)], { error: "it must be 4 or 6" }))
            .default([4, 6])
            .describe("Address families, in the order of trying"),
          max_retry_delay: positive().default(300).describe("Longest pause between two tries, seconds"),
          max_stanza_size: positiveOrInfinity().default(Number.POSITIVE_INFINITY).describe("Largest stanza, bytes"),
          port: port().default(5269).describe("Port used when DNS names none"),
          shaper: shaperName().default("none").describe("Shaper that limits what a server sends back"),
          state_timeout: nonNegativeOrInfinity()
            .default(5000)
            .describe("Milliseconds a step of the negotiation may take"),
          stream_timeout: nonNegativeOrInfinity()
            .default(600_000)
            .describe("Milliseconds of silence after which the stream is closed"),
          tls: xmppClientTls().optional().describe("TLS; without this table streams stay in clear"),
        })
        .prefault({})
        .describe("Connections to other servers"),
    })
    .prefault({})
    .describe("Federation");
