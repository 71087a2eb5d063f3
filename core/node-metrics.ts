// A node's metrics under MongooseIM's names. What is counted on the hot path are plain numbers; here the registry
// learns where to read them when somebody asks. Nothing is counted twice and nothing is copied between readings.

import type { AuthEvent, HostAuth } from "./auth/index.ts";
import { type StreamCounters, TIMED, type Traffic } from "./c2s/engine.ts";
import type { HookTable } from "./hooks.ts";
import { authMetrics, type CallMetrics, sessionTotals, systemMetrics } from "./metrics/names.ts";
import type { Registry } from "./metrics/registry.ts";
import type { Session } from "./module.ts";
import type { Pools } from "./storage/pools.ts";
import { storageMetrics } from "./storage-metrics.ts";

/** A host type, as far as its numbers go. */
interface MeteredHost {
  readonly name: string;
  readonly hooks: HookTable;
  readonly auth: Pick<HostAuth, "methods">;
  readonly counters: StreamCounters;
}

/** A node, as far as its numbers go. */
export interface MeteredNode {
  readonly registry: Registry;
  readonly hosts: ReadonlyMap<string, MeteredHost>;
  readonly sessions: Iterable<Session> & { readonly count: number; readonly users: number };
  readonly waiting: { readonly size: number };
  /** Streams whose domain is not known yet. */
  readonly counters: StreamCounters;
  readonly traffic: { readonly tcp: Traffic; readonly tls: Traffic; readonly websocket: Traffic };
  readonly router: { readonly noRouteFound: number };
  readonly domains: { readonly count: number; readonly dynamicCount: number };
  readonly startedAt: number;
  steady(): number;
  readonly pools: Pools;
}

/** Declares the node's metrics. Once a node, after its host types are made. */
export function wireMetrics(node: MeteredNode): void {
  const { registry } = node;
  elements(registry, "", node.counters);
  for (const host of node.hosts.values()) hostMetrics(registry, host);
  traffic(registry, node.traffic);
  registry
    .counter("router_no_route_found_count", "Stanzas that no route took")
    .probe({}, () => node.router.noRouteFound);
  sessionTotals(registry, {
    total: () => node.sessions.count,
    unique: () => node.sessions.users,
    node: () => node.sessions.count,
  });
  systemMetrics(registry, {
    upTimeSeconds: () => Math.floor((node.steady() - node.startedAt) / 1000),
    memoryBytes: () => process.memoryUsage.rss(),
    tcpConnections: () => streams(node),
  });
  const domains = registry.gauge("domains_count", "Domains in service", ["type"]);
  domains.probe({ type: "static" }, () => node.domains.count - node.domains.dynamicCount);
  domains.probe({ type: "dynamic" }, () => node.domains.dynamicCount);
  storageMetrics(registry, node.pools);
}

/** The metrics in Prometheus' text format 0.0.4. */
export function renderMetrics(node: Pick<MeteredNode, "registry">): string {
  return node.registry.render();
}

/** What a host type's authentication tells its calls to: MongooseIM's auth_* metrics. */
export function observeAuth(registry: Registry, hostType: string): (event: AuthEvent, microseconds: number) => void {
  const metrics = authMetrics(registry, hostType);
  const call = ({ count, time }: CallMetrics, microseconds: number): void => {
    count.add();
    time.observe(microseconds);
  };
  return (event, microseconds) => {
    switch (event) {
      case "auth_authorize":
        return call(metrics.authorize, microseconds);
      case "auth_check_password":
        return call(metrics.checkPassword, microseconds);
      case "auth_does_user_exist":
        return call(metrics.doesUserExist, microseconds);
      case "auth_try_register":
        return call(metrics.tryRegister, microseconds);
      case "auth_register_user":
        return metrics.registerUser.add();
      case "auth_unregister_user":
        return metrics.unregisterUser.add();
    }
  };
}

function hostMetrics(registry: Registry, host: MeteredHost): void {
  const { counters, hooks, name } = host;
  elements(registry, name, counters);
  const labels = { host_type: name };
  const counter = (metric: string, help: string) => registry.counter(metric, help, ["host_type"]);
  counter("c2s_auth_failed_count", "Client authentications that failed").probe(labels, () => counters.authFailures);
  counter("sm_session_logins", "Sessions opened").probe(labels, () => counters.logins);
  counter("sm_session_logouts", "Sessions closed").probe(labels, () => counters.logouts);
  registry
    .gauge("sm_session_count", "Open sessions", ["host_type"])
    .probe(labels, () => counters.logins - counters.logouts);
  counter("sm_message_bounced_count", "Messages answered with service-unavailable: nobody was there").probe(
    labels,
    () => counters.bounced,
  );
  counters.messageTimes = registry
    .histogram("c2s_message_processed_time", `Microseconds to handle a message of a client, of one in ${TIMED}`, [
      "host_type",
    ])
    .bind(labels);
  counter("router_stanza_dropped_count", "Stanzas dropped by a filter").probe(labels, () => counters.dropped);

  // A handler at every log-in only where there can be something to count.
  if (!host.auth.methods.includes("anonymous")) return;
  const auth = authMetrics(registry, name);
  hooks.add(
    "metrics",
    {
      sm_register_connection: ({ session }) => (session.anonymous ? auth.anonymousRegisterUser.add() : undefined),
      sm_remove_connection: ({ session }) => (session.anonymous ? auth.anonymousUnregisterUser.add() : undefined),
    },
    undefined,
  );
}

const KINDS = ["message", "iq", "presence"] as const;

/** xmpp_element_*: an error is counted as an error and not among its kind, as MongooseIM does. */
function elements(registry: Registry, hostType: string, c: StreamCounters): void {
  const labels = { connection_type: "c2s", host_type: hostType };
  const numbers = {
    in: {
      message: [() => c.messagesReceived, () => c.messageErrorsReceived],
      iq: [() => c.iqReceived, () => c.iqErrorsReceived],
      presence: [() => c.presencesReceived, () => c.presenceErrorsReceived],
      others: () => c.othersReceived,
      streamErrors: () => c.streamErrorsReceived,
    },
    out: {
      message: [() => c.messagesSent, () => c.messageErrorsSent],
      iq: [() => c.iqSent, () => c.iqErrorsSent],
      presence: [() => c.presencesSent, () => c.presenceErrorsSent],
      others: () => c.othersSent,
      streamErrors: () => c.streamErrorsSent,
    },
  } as const;
  for (const direction of ["in", "out"] as const) {
    const here = numbers[direction];
    const stanzas = () => KINDS.reduce((sum, kind) => sum + here[kind][0](), 0);
    const errors = () => KINDS.reduce((sum, kind) => sum + here[kind][1](), 0);
    const help = `XML elements ${direction === "in" ? "received" : "sent"}`;
    const probe = (what: string, of: string, read: () => number): void =>
      registry
        .counter(`xmpp_element_${direction}_${what}`, `${help}${of}`, ["connection_type", "host_type"])
        .probe(labels, read);
    const sizes = registry
      .histogram(`xmpp_element_${direction}_byte_size`, `${help}: bytes each`, ["connection_type", "host_type"])
      .bind(labels);
    if (direction === "in") c.sizesIn = sizes;
    else c.sizesOut = sizes;
    probe("count", "", () => stanzas() + here.others());
    probe("stanza_count", ": stanzas", stanzas);
    probe("error_count", ": error stanzas and stream errors", () => errors() + here.streamErrors());
    for (const kind of KINDS) {
      const [all, failed] = here[kind];
      probe(`${kind}_count`, `: ${kind} stanzas that are not errors`, () => all() - failed());
      probe(`${kind}_error_count`, `: ${kind} stanzas of type error`, failed);
    }
  }
}

function traffic(registry: Registry, { tcp, tls, websocket }: MeteredNode["traffic"]): void {
  const bytes = (name: string, help: string, read: () => number): void =>
    registry.counter(name, help, ["connection_type"]).probe({ connection_type: "c2s" }, read);
  bytes("tcp_data_in_byte_size", "Bytes received over TCP without TLS", () => tcp.in);
  bytes("tcp_data_out_byte_size", "Bytes sent over TCP without TLS", () => tcp.out);
  bytes("tls_data_in_byte_size", "Bytes received over TLS, decrypted", () => tls.in);
  bytes("tls_data_out_byte_size", "Bytes sent over TLS, before encryption", () => tls.out);
  registry.counter("websocket_data_received_byte_size", "Bytes received over WebSocket").probe({}, () => websocket.in);
  registry.counter("websocket_data_sent_byte_size", "Bytes sent over WebSocket").probe({}, () => websocket.out);
}

/** Streams of clients that have a connection. */
function streams(node: MeteredNode): number {
  let count = node.waiting.size;
  for (const session of node.sessions) if (!session.detached) count++;
  return count;
}
