// [general], [auth], [acl], [access], [shaper], [services], [internal_databases], [instrumentation].
import { z } from "zod";
import {
  domainName,
  enumOf,
  filename,
  inert,
  localPart,
  logLevel,
  matching,
  nonEmpty,
  positive,
  positiveOrInfinity,
  rule,
  uniqueList,
  uniqueNonEmptyList,
} from "./types.ts";

const routeSubdomains = () =>
  enumOf("s2s").optional().describe("Send stanzas for unknown subdomains of ours to other servers");
const replacedWait = () => positive();

/** `general` */
export const general = () =>
  rule(
    rule(
      z.strictObject({
        loglevel: logLevel().default("warning").describe("Least severity that is logged"),
        hosts: uniqueList(domainName()).default([]).describe("Domains that are served; each is a host type of its own"),
        host_types: uniqueList(nonEmpty()).default([]).describe("Host types, for domains made at run time"),
        default_server_domain: domainName().describe("The domain that speaks for the server itself"),
        registration_timeout: positiveOrInfinity()
          .default(600)
          .describe("Seconds between two registrations from one IP address"),
        language: nonEmpty().default("en").describe("Language of texts sent to users"),
        sm_backend: inert(
          enumOf("mnesia", "cets", "redis"),
          "one node knows its sessions by itself; clusters come later",
        )
          .default("mnesia")
          .describe("Where the list of sessions is kept"),
        component_backend: inert(enumOf("mnesia", "cets"), "one node knows its components by itself")
          .default("mnesia")
          .describe("Where the list of components is kept"),
        s2s_backend: inert(enumOf("mnesia", "cets"), "one node knows its dialback secrets by itself")
          .default("mnesia")
          .describe("Where the dialback secrets are kept"),
        http_server_name: z.string().optional().describe("Value of the Server header of HTTP answers"),
        route_subdomains: routeSubdomains(),
        routing_modules: inert(z.array(nonEmpty()), "the router is one piece; its order cannot be changed")
          .default([
            "mongoose_router_global",
            "mongoose_router_localdomain",
            "mongoose_router_external_localnode",
            "mongoose_router_external",
            "mongoose_router_dynamic_domains",
            "ejabberd_s2s",
          ])
          .describe("Order of the routing steps"),
        replaced_wait_timeout: replacedWait()
          .default(2000)
          .describe("Milliseconds a new session waits for the one it replaces to end"),
        hide_service_name: z.boolean().default(false).describe("Keep the server's domain out of stream errors"),
      }),
      (table) => !table.hosts?.some?.((host) => table.host_types?.includes?.(host)),
      "it must not name a host that is in general.hosts too",
      "host_types",
    ),
    (table) => table.hosts?.length !== 0 || table.host_types?.length !== 0,
    "it needs hosts or host_types, or both",
  ).describe("The server as a whole");

/** `host_config[].general`: the two options that a host type may set for itself, without defaults. */
export const hostGeneral = () =>
  z.strictObject({
    route_subdomains: routeSubdomains(),
    replaced_wait_timeout: replacedWait()
      .optional()
      .describe("Milliseconds a new session waits for the one it replaces to end"),
  });

const condition = (what: string) => localPart().optional().describe(what);

const pattern = (what: string) =>
  localPart().refine(isRegExp, { error: "it must be a regular expression" }).optional().describe(what);

/** `acl`: named classes of users; a class is a union of patterns, a pattern an intersection of conditions. */
export const acl = () =>
  z
    .record(
      nonEmpty(),
      z.array(
        z.strictObject({
          match: enumOf("all", "none", "current_domain", "any_hosted_domain")
            .default("current_domain")
            .describe("Whose users can match at all"),
          user: condition("User part, exactly"),
          server: condition("Domain, exactly"),
          resource: condition("Resource, exactly"),
          user_regexp: pattern("User part, regular expression"),
          server_regexp: pattern("Domain, regular expression"),
          resource_regexp: pattern("Resource, regular expression"),
          user_glob: condition("User part, with * and ?"),
          server_glob: condition("Domain, with * and ?"),
          resource_glob: condition("Resource, with * and ?"),
        }),
      ),
    )
    .describe("Classes of users");

/** `access`: named rules; the first clause whose class the user is in gives the value. */
export const access = () =>
  z
    .record(
      nonEmpty(),
      z.array(
        z.strictObject({
          acl: nonEmpty().meta({ ref: "acl" }).describe("Class of users, or all, or none"),
          value: z
            .union([z.string(), z.int()], { error: "it must be a whole number or text" })
            .describe("What these users get: allow, deny, a number or a name"),
        }),
      ),
    )
    .describe("What classes of users may do");

/** `shaper` */
export const shaper = () =>
  z
    .record(nonEmpty(), z.strictObject({ max_rate: positive().describe("Bytes a second (lookups a second for MAM)") }))
    .describe("Limits of rate");

const ALONE = "nodes do not look for each other; clusters come later";

/** `internal_databases`: where MongooseIM keeps what it does not keep in a pool. */
export const internalDatabases = () =>
  z
    .strictObject({
      mnesia: z.strictObject({}).optional().describe("The embedded store"),
      cets: z
        .strictObject({
          backend: inert(enumOf("file", "rdbms"), ALONE)
            .default("rdbms")
            .describe("Where the nodes of the cluster are listed"),
          cluster_name: nonEmpty()
            .default("mongooseim")
            .describe(
              "Name of the cluster, whose nodes that share a database mark their message ids with different numbers",
            ),
          node_list_file: inert(filename(), ALONE).optional().describe("File with one node a line"),
        })
        .optional()
        .describe("Tables replicated between the nodes of a cluster"),
    })
    .default({ mnesia: {} })
    .describe("Stores that need no outgoing pool");

/** `instrumentation` except exometer, which is in unbuilt/instrumentation.ts. */
export const instrumentationParts = () => ({
  probe_interval: positive().default(15).describe("Seconds between two readings of gauges"),
  prometheus: z.strictObject({}).optional().describe("Metrics for Prometheus"),
  log: z
    .strictObject({
      level: logLevel()
        .exclude(["none"], { error: "it must be a severity, from debug to emergency" })
        .default("debug")
        .describe("Severity of the log lines"),
    })
    .optional()
    .describe("Metrics as log lines"),
});

/** `services.service_domain_db` */
export const serviceDomainDb = () =>
  z
    .strictObject({
      db_pool: matching((tag) => tag !== "", "it must be the tag of an outgoing pool")
        .default("global")
        .describe("Tag of the rdbms pool that holds the domains"),
      event_cleaning_interval: positive().default(1800).describe("Seconds between two deletions of old events"),
      event_max_age: positive().default(7200).describe("Seconds for which an event of a domain is kept"),
    })
    .describe("Domains made and removed at run time");

/** Hashes that SCRAM can store, strongest last. */
const SCRAM_HASHES = ["sha", "sha224", "sha256", "sha384", "sha512"] as const;

/** `auth.password` */
export const password = () =>
  z
    .strictObject({
      format: enumOf("scram", "plain").default("scram").describe("How passwords are stored"),
      hash: uniqueNonEmptyList(enumOf(...SCRAM_HASHES))
        .optional()
        .describe("SCRAM hashes kept for each account; all when not set"),
      scram_iterations: positive().default(10_000).describe("Rounds of the key derivation"),
    })
    .prefault({})
    .describe("How passwords are stored");

function isRegExp(text: string): boolean {
  try {
    new RegExp(text);
    return true;
  } catch {
    return false;
  }
}
