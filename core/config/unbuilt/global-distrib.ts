// modules.mod_global_distrib: several clusters as one service.
import { z } from "zod";
import { clientAndServerTls } from "../tls.ts";
import { domainName, networkAddress, nonNegative, poolName, port, positive } from "../types.ts";

const DEFAULT_PORT = 5555;

const endpoints = (what: string) =>
  z
    .array(
      z.strictObject({
        host: networkAddress().describe("Host name or address"),
        port: port().describe("Port"),
      }),
    )
    .optional()
    .describe(what);

const connections = () =>
  z
    .strictObject({
      endpoints: endpoints("Where this cluster listens; local_host on port 5555 when not set"),
      advertised_endpoints: endpoints("Where others reach it; as endpoints when not set"),
      connections_per_endpoint: nonNegative().default(1).describe("Connections to each endpoint"),
      endpoint_refresh_interval: positive().default(60).describe("Seconds between two look-ups of endpoints"),
      endpoint_refresh_interval_when_empty: positive().default(3).describe("The same while none is known, seconds"),
      disabled_gc_interval: positive().default(60).describe("Seconds between two removals of old endpoints"),
      tls: clientAndServerTls().optional().describe("TLS between clusters"),
    })
    .prefault({})
    .describe("Connections between clusters");

export const mod_global_distrib = () =>
  z
    .strictObject({
      global_host: domainName().describe("Domain that all clusters serve"),
      local_host: domainName().describe("Domain that only this cluster serves"),
      message_ttl: nonNegative().default(4).describe("How often a stanza is passed on"),
      hosts_refresh_interval: nonNegative().default(3000).describe("Milliseconds between two searches for clusters"),
      connections: connections(),
      cache: z
        .strictObject({
          cache_missed: z.boolean().default(true).describe("Remember unknown JIDs too"),
          domain_lifetime_seconds: nonNegative().default(600).describe("Seconds for which a domain is remembered"),
          jid_lifetime_seconds: nonNegative().default(5).describe("Seconds for which a JID is remembered"),
          max_jids: nonNegative().default(10_000).describe("JIDs remembered"),
        })
        .prefault({})
        .describe("Where users were found last"),
      bounce: z
        .strictObject({
          enabled: z.boolean().default(true).describe("Try again to deliver what found nobody"),
          resend_after_ms: nonNegative().default(200).describe("Milliseconds between two tries"),
          max_retries: nonNegative().default(4).describe("Tries at most"),
        })
        .prefault({})
        .describe("Stanzas that found nobody"),
      redis: z
        .strictObject({
          pool: poolName().default("global_distrib").describe("Tag of the redis pool"),
          expire_after: positive().default(120).describe("Seconds for which an entry is valid"),
          refresh_after: nonNegative().default(60).describe("Seconds after which an entry is renewed"),
        })
        .prefault({})
        .describe("Where all clusters look up users"),
    })
    .transform(({ connections: links, ...options }) => {
      const own = links.endpoints ?? [{ host: options.local_host, port: DEFAULT_PORT }];
      const advertised_endpoints = links.advertised_endpoints ?? own;
      return { ...options, connections: { ...links, endpoints: own, advertised_endpoints } };
    });
