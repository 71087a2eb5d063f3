// [[listen.c2s]], [[listen.http]] with its handlers, [[listen.s2s]], [[listen.component]].
import ipaddr from "ipaddr.js";
import { z } from "zod";
import { AUTH_METHODS } from "./auth.ts";
import { type Names, selected } from "./selected.ts";
import { componentTls, serverTls, xmppServerTls } from "./tls.ts";
import {
  accessRule,
  enumOf,
  inert,
  ipAddress,
  nonEmpty,
  nonNegative,
  nonNegativeOrInfinity,
  own,
  port,
  positive,
  positiveOrInfinity,
  rule,
  secret,
  shaperName,
  uniqueList,
  uniqueNonEmptyList,
} from "./types.ts";

const common = () => ({
  port: port().describe("Port to listen on"),
  ip_address: ipAddress().optional().describe("Address to listen on; all addresses when not set"),
  ip_version: z
    .union([z.literal(4), z.literal(6)], { error: "it must be 4 or 6" })
    .optional()
    .describe("Family of the address, when ip_address is not set"),
  proto: enumOf("tcp").default("tcp").describe("Transport protocol"),
  hibernate_after: inert(nonNegativeOrInfinity(), "an idle connection keeps no process that could hibernate")
    .default(0)
    .describe("Milliseconds of silence after which memory is given back"),
});

const xmpp = () => ({
  ...common(),
  backlog: inert(nonNegative(), "Bun chooses the length of the queue of new connections")
    .default(1024)
    .describe("Connections the kernel holds before they are accepted"),
  max_connections: positiveOrInfinity().default(Number.POSITIVE_INFINITY).describe("Connections at once"),
  max_stanza_size: positiveOrInfinity().default(Number.POSITIVE_INFINITY).describe("Largest stanza, bytes"),
  num_acceptors: inert(positive(), "connections are accepted by the event loop")
    .default(100)
    .describe("Processes that accept connections"),
  proxy_protocol: z.boolean().default(false).describe("Read the client's address from a PROXY header"),
  reuse_port: z.boolean().default(false).describe("Let several processes listen on this port"),
  shaper: shaperName().default("none").describe("Shaper that limits what one connection sends"),
  state_timeout: nonNegativeOrInfinity().default(5000).describe("Milliseconds a step of the negotiation may take"),
});

// Off by default, as in MongooseIM: behind a load balancer that does not tell them apart all clients have one address. The
// embedded configuration sets both.
const failedLogins = () => ({
  max_failed_logins_per_minute: own(positiveOrInfinity())
    .default(Number.POSITIVE_INFINITY)
    .describe("Log-ins from one address that may fail; the addresses of this machine have no bound"),
});

/** What clients are slowed down or turned away for. */
const rates = () => ({
  max_stanzas_per_second: own(positiveOrInfinity())
    .default(1000)
    .describe("Stanzas a session may send, after a burst of up to as many, before the server reads them more slowly"),
  max_connections_per_minute: own(positiveOrInfinity())
    .default(Number.POSITIVE_INFINITY)
    .describe("New connections from one address (an IPv6 /64 is one); the addresses of this machine have no bound"),
  ...failedLogins(),
});

type Addressed = { ip_address?: string; ip_version?: 4 | 6 };

/** Fills in the address: no address is all addresses of the family, and the family follows from the address. */
function addressed<T extends z.ZodType<Addressed>>(table: T) {
  return rule(
    table,
    ({ ip_address: ip, ip_version: version }) =>
      ip === undefined || version === undefined || !ipaddr.isValid(ip) || familyOf(ip) === version,
    "it must be an address of the family that ip_version names",
    "ip_address",
  ).transform((value) => {
    const given = value as z.output<T> & Addressed;
    const ip_address = given.ip_address ?? (given.ip_version === 6 ? "::" : "0.0.0.0");
    return { ...(value as z.output<T>), ip_address, ip_version: familyOf(ip_address) };
  });
}

const familyOf = (ip: string): 4 | 6 => (ipaddr.parse(ip).kind() === "ipv4" ? 4 : 6);

const boundAccess = (what: string) => accessRule().default("all").describe(what);

/** `listen.c2s[]` */
const listenC2s = () =>
  addressed(
    z.strictObject({
      ...xmpp(),
      ...rates(),
      access: boundAccess("Access rule that a user must pass to open a session"),
      allowed_auth_methods: uniqueList(enumOf(...AUTH_METHODS))
        .optional()
        .describe("Of the host type's methods, those that this listener uses"),
      backwards_compatible_session: z.boolean().default(true).describe("Offer the session feature of RFC 3921"),
      tls: xmppServerTls().optional().describe("TLS; without this table connections stay in clear"),
    }),
  ).describe("Client connections");

/** `listen.s2s[]` */
const listenS2s = () =>
  addressed(
    z.strictObject({
      ...xmpp(),
      tls: xmppServerTls().optional().describe("TLS; without this table connections stay in clear"),
    }),
  ).describe("Connections from other servers");

/** `listen.component[]` */
const listenComponent = () =>
  addressed(
    z.strictObject({
      ...xmpp(),
      access: boundAccess("Access rule that a component must pass"),
      check_from: z.boolean().default(true).describe("Refuse stanzas from another domain than the component's"),
      conflict_behaviour: enumOf("kick_old", "disconnect")
        .default("disconnect")
        .describe("Who goes when a component connects twice"),
      hidden_components: z.boolean().default(false).describe("Keep the components out of service discovery"),
      password: secret(nonEmpty()).describe("Password of the handshake (XEP-0114)"),
      tls: componentTls().optional().describe("TLS; without this table connections stay in clear"),
    }),
  ).describe("Connections from external components");

const handler = () => ({
  host: nonEmpty().describe('Host name the request must have; "_" for any'),
  path: z.string().describe("Path of the resource"),
});

/** GraphQL categories that an endpoint can be limited to. */
const GRAPHQL_CATEGORIES = [
  "checkAuth",
  "account",
  "domain",
  "last",
  "muc",
  "muc_light",
  "session",
  "stanza",
  "roster",
  "vcard",
  "private",
  "metric",
  "stat",
  "gdpr",
  "mnesia",
  "server",
  "inbox",
  "http_upload",
  "offline",
  "token",
  "cets",
  "broadcast",
  "blocklist",
  // Ours.
  "report",
  "invite",
  "retention",
] as const;

/** `listen.http[].handlers` */
export const handlers = () =>
  z
    .strictObject({
      mongoose_websocket_handler: z
        .array(
          z.strictObject({
            ...handler(),
            ...rates(),
            backwards_compatible_session: z.boolean().default(true).describe("Offer the session feature of RFC 3921"),
            max_stanza_size: positiveOrInfinity().default(Number.POSITIVE_INFINITY).describe("Largest stanza, bytes"),
            ping_rate: positive().optional().describe("Milliseconds between two WebSocket pings; none when not set"),
            state_timeout: nonNegativeOrInfinity()
              .default(5000)
              .describe("Milliseconds a step of the negotiation may take"),
            timeout: nonNegativeOrInfinity()
              .default(60_000)
              .describe("Milliseconds of silence after which the connection is closed"),
          }),
        )
        .optional()
        .describe("XMPP over WebSocket (RFC 7395)"),
      mongoose_graphql_handler: z
        .array(
          rule(
            z.strictObject({
              ...handler(),
              schema_endpoint: enumOf("admin", "domain_admin", "user").describe("For whom the endpoint is"),
              username: z.string().optional().describe("User of the administrator, HTTP basic authentication"),
              password: secret(z.string()).optional().describe("Password of the administrator"),
              ...failedLogins(),
              allowed_categories: uniqueNonEmptyList(enumOf(...GRAPHQL_CATEGORIES))
                .optional()
                .describe("Categories that can be used; all when not set"),
              sse_idle_timeout: positiveOrInfinity()
                .default(3_600_000)
                .describe("Milliseconds after which a subscription that sent nothing is closed"),
            }),
            (table) => (table.username === undefined) === (table.password === undefined),
            "username and password go together",
          ),
        )
        .optional()
        .describe("GraphQL API"),
      mongoose_prometheus_handler: z.array(z.strictObject(handler())).optional().describe("Metrics for Prometheus"),
      mongoose_bosh_handler: z.array(z.strictObject(handler())).optional().describe("XMPP over HTTP (XEP-0206)"),
    })
    .prefault({})
    .describe("What is served, by kind");

/** `listen.http[]` */
const listenHttp = () =>
  addressed(
    z.strictObject({
      ...common(),
      handlers: handlers(),
      protocol: z
        .strictObject({
          compress: z.boolean().default(false).describe("Compress answers for clients that can read it"),
        })
        .prefault({})
        .describe("HTTP options"),
      tls: serverTls().optional().describe("TLS (HTTPS, WSS)"),
      transport: z
        .strictObject({
          max_connections: nonNegativeOrInfinity().default(1024).describe("Connections at once"),
          num_acceptors: inert(positive(), "connections are accepted by the event loop")
            .default(100)
            .describe("Processes that accept connections"),
        })
        .prefault({})
        .describe("Connection options"),
    }),
  ).describe("HTTP services");

const KINDS = {
  c2s: () => z.array(listenC2s()),
  http: () => z.array(listenHttp()),
  s2s: () => z.array(listenS2s()),
  component: () => z.array(listenComponent()),
};

/** `listen` */
export const listen = (names: Names) =>
  selected(KINDS, names)
    .prefault({})
    .transform(({ c2s = [], http = [], s2s = [], component = [] }) => ({ c2s, http, s2s, component }))
    .describe("Ports that are listened on");
