// The instruments of the engine and its first modules, under MongooseIM's Prometheus names. Each function declares the
// instruments of one area and binds them, for a host type or a connection type, to be kept outside the hot path.
import type { Counter, Gauge, Histogram } from "./instrument.ts";
import type { Registry } from "./registry.ts";

/** What kind of peer a connection has. */
export type ConnectionType = "c2s" | "s2s" | "component";

/** Counts of XML elements in one direction; `observe` does the sums that belong together. */
export class ElementMetrics {
  readonly byteSize: Histogram;
  readonly count: Counter;
  readonly stanza: Counter;
  readonly message: Counter;
  readonly iq: Counter;
  readonly presence: Counter;
  readonly error: Counter;
  readonly messageError: Counter;
  readonly iqError: Counter;
  readonly presenceError: Counter;

  /** `hostType` is "" for components and as long as it is not known. */
  constructor(registry: Registry, direction: "in" | "out", connectionType: ConnectionType, hostType: string) {
    const labels = { connection_type: connectionType, host_type: hostType };
    const help = `XML elements ${direction === "in" ? "received" : "sent"}`;
    const counter = (measurement: string, of: string) =>
      registry
        .counter(`xmpp_element_${direction}_${measurement}`, `${help}${of}`, ["connection_type", "host_type"])
        .bind(labels);
    this.byteSize = registry
      .histogram(`xmpp_element_${direction}_byte_size`, `${help}: bytes each`, ["connection_type", "host_type"])
      .bind(labels);
    this.count = counter("count", "");
    this.stanza = counter("stanza_count", ": stanzas");
    this.message = counter("message_count", ": messages that are not errors");
    this.iq = counter("iq_count", ": IQs that are not errors");
    this.presence = counter("presence_count", ": presences that are not errors");
    this.error = counter("error_count", ": error stanzas and stream errors");
    this.messageError = counter("message_error_count", ": messages of type error");
    this.iqError = counter("iq_error_count", ": IQs of type error");
    this.presenceError = counter("presence_error_count", ": presences of type error");
  }

  /** Counts a stanza of `bytes` bytes. An error is counted as an error and not among its kind. */
  stanzaSeen(kind: "message" | "iq" | "presence", isError: boolean, bytes: number): void {
    this.byteSize.observe(bytes);
    this.count.value++;
    this.stanza.value++;
    if (!isError) {
      this[kind].value++;
      return;
    }
    this.error.value++;
    if (kind === "message") this.messageError.value++;
    else if (kind === "iq") this.iqError.value++;
    else this.presenceError.value++;
  }

  /** Counts an element that is no stanza (negotiation, stream management), or a stream error. */
  elementSeen(isStreamError: boolean, bytes: number): void {
    this.byteSize.observe(bytes);
    this.count.value++;
    if (isStreamError) this.error.value++;
  }
}

/** Bytes of a connection type, in clear and inside TLS. */
export interface TrafficMetrics {
  readonly tcpIn: Counter;
  readonly tcpOut: Counter;
  readonly tlsIn: Counter;
  readonly tlsOut: Counter;
}

export function trafficMetrics(registry: Registry, connectionType: ConnectionType): TrafficMetrics {
  const bytes = (name: string, help: string) =>
    registry.counter(name, help, ["connection_type"]).bind({ connection_type: connectionType });
  return {
    tcpIn: bytes("tcp_data_in_byte_size", "Bytes received over TCP without TLS"),
    tcpOut: bytes("tcp_data_out_byte_size", "Bytes sent over TCP without TLS"),
    tlsIn: bytes("tls_data_in_byte_size", "Bytes received over TLS, decrypted"),
    tlsOut: bytes("tls_data_out_byte_size", "Bytes sent over TLS, before encryption"),
  };
}

export interface WebSocketMetrics {
  readonly received: Counter;
  readonly sent: Counter;
}

export function webSocketMetrics(registry: Registry): WebSocketMetrics {
  return {
    received: registry.counter("websocket_data_received_byte_size", "Bytes received over WebSocket").bind({}),
    sent: registry.counter("websocket_data_sent_byte_size", "Bytes sent over WebSocket").bind({}),
  };
}

export interface C2sMetrics {
  readonly authFailed: Counter;
  /** Microseconds. */
  readonly messageProcessed: Histogram;
}

export function c2sMetrics(registry: Registry, hostType: string): C2sMetrics {
  const { counter, histogram } = forHostType(registry, hostType);
  return {
    authFailed: counter("c2s_auth_failed_count", "Client authentications that failed"),
    messageProcessed: histogram("c2s_message_processed_time", "Microseconds to handle a message from a client"),
  };
}

export interface SessionMetrics {
  readonly sessions: Gauge;
  readonly logins: Counter;
  readonly logouts: Counter;
  readonly bounced: Counter;
  readonly subscriptions: Counter;
  readonly unsubscriptions: Counter;
}

/** Session manager of a host type: a login adds to `sessions` and `logins`, a logout takes from `sessions`. */
export function sessionMetrics(registry: Registry, hostType: string): SessionMetrics {
  const { counter } = forHostType(registry, hostType);
  return {
    sessions: registry.gauge("sm_session_count", "Open sessions", ["host_type"]).bind({ host_type: hostType }),
    logins: counter("sm_session_logins", "Sessions opened"),
    logouts: counter("sm_session_logouts", "Sessions closed"),
    bounced: counter("sm_message_bounced_count", "Messages answered with service-unavailable: nobody was there"),
    subscriptions: counter("sm_presence_subscription_subscription_count", "Presence subscriptions handled"),
    unsubscriptions: counter("sm_presence_subscription_unsubscription_count", "Presence unsubscriptions handled"),
  };
}

/** What is asked for the session totals. */
export interface SessionTotals {
  /** Sessions in the cluster. */
  total(): number;
  /** Users with at least one session in the cluster. */
  unique(): number;
  /** Sessions on this node. */
  node(): number;
}

export function sessionTotals(registry: Registry, totals: SessionTotals): void {
  registry.gauge("sm_total_sessions_count", "Sessions in the cluster").probe({}, () => totals.total());
  registry.gauge("sm_unique_sessions_count", "Users online in the cluster").probe({}, () => totals.unique());
  registry.gauge("sm_node_sessions_count", "Sessions on this node").probe({}, () => totals.node());
}

export interface RouterMetrics {
  /** Not by host type. */
  readonly noRouteFound: Counter;
  readonly dropped: Counter;
}

export function routerMetrics(registry: Registry, hostType: string): RouterMetrics {
  const { counter } = forHostType(registry, hostType);
  return {
    noRouteFound: registry.counter("router_no_route_found_count", "Stanzas that no route took").bind({}),
    dropped: counter("router_stanza_dropped_count", "Stanzas dropped by a filter"),
  };
}

/** How often and how long (microseconds) something was done. */
export interface CallMetrics {
  readonly count: Counter;
  readonly time: Histogram;
}

export interface AuthMetrics {
  readonly authorize: CallMetrics;
  readonly checkPassword: CallMetrics;
  readonly doesUserExist: CallMetrics;
  readonly tryRegister: CallMetrics;
  readonly registerUser: Counter;
  readonly unregisterUser: Counter;
  readonly anonymousRegisterUser: Counter;
  readonly anonymousUnregisterUser: Counter;
}

export function authMetrics(registry: Registry, hostType: string): AuthMetrics {
  const { counter, call } = forHostType(registry, hostType);
  return {
    authorize: call("auth_authorize", "Authorisations"),
    checkPassword: call("auth_check_password", "Password checks"),
    doesUserExist: call("auth_does_user_exist", "Questions whether an account exists"),
    tryRegister: call("auth_try_register", "Attempts to create an account"),
    registerUser: counter("auth_register_user_count", "Accounts created"),
    unregisterUser: counter("auth_unregister_user_count", "Accounts removed"),
    anonymousRegisterUser: counter("auth_anonymous_register_user_count", "Anonymous users that came"),
    anonymousUnregisterUser: counter("auth_anonymous_unregister_user_count", "Anonymous users that left"),
  };
}

export interface RosterMetrics {
  readonly get: Counter;
  readonly set: Counter;
  readonly push: Counter;
}

export function rosterMetrics(registry: Registry, hostType: string): RosterMetrics {
  const { counter } = forHostType(registry, hostType);
  return {
    get: counter("mod_roster_get_count", "Rosters fetched"),
    set: counter("mod_roster_set_count", "Rosters changed by their owner"),
    push: counter("mod_roster_push_count", "Roster pushes sent"),
  };
}

export interface CsiMetrics {
  readonly active: Counter;
  readonly inactive: Counter;
}

export function csiMetrics(registry: Registry, hostType: string): CsiMetrics {
  const { counter } = forHostType(registry, hostType);
  return {
    active: counter("mod_csi_active_count", "Clients that said they are active"),
    inactive: counter("mod_csi_inactive_count", "Clients that said they are inactive"),
  };
}

export interface DiscoMetrics {
  readonly rosterGet: Counter;
}

export function discoMetrics(registry: Registry, hostType: string): DiscoMetrics {
  const { counter } = forHostType(registry, hostType);
  return { rosterGet: counter("mod_disco_roster_get_count", "Rosters read to answer a disco query") };
}

export interface PingMetrics {
  readonly response: CallMetrics;
  readonly timeout: Counter;
}

export function pingMetrics(registry: Registry, hostType: string): PingMetrics {
  const { counter, call } = forHostType(registry, hostType);
  return {
    response: call("mod_ping_response", "Pings answered by clients"),
    timeout: counter("mod_ping_response_timeout_count", "Pings that clients did not answer in time"),
  };
}

/** The functions that MongooseIM's back ends count, by module. */
export const BACKEND_FUNCTIONS = {
  mod_roster: [
    "read_roster_version",
    "write_roster_version",
    "get_roster",
    "get_roster_entry",
    "get_subscription_lists",
    "roster_subscribe_t",
    "update_roster_t",
    "del_roster_t",
  ],
  mod_last: ["get_last", "set_last_info", "session_cleanup"],
  mod_offline: ["pop_messages", "write_messages"],
  mod_private: ["multi_get_data", "multi_set_data"],
  mod_vcard: ["set_vcard", "get_vcard", "search"],
} as const;

export type BackendModule = keyof typeof BACKEND_FUNCTIONS;

/** Calls of a module's store, by function: `backendMetrics(r, "mod_last", "rdbms", host).get_last.count.add()`. */
export function backendMetrics<M extends BackendModule>(
  registry: Registry,
  module: M,
  backend: "rdbms",
  hostType: string,
): Readonly<Record<(typeof BACKEND_FUNCTIONS)[M][number], CallMetrics>> {
  const name = `${module}_${backend}`;
  const counts = registry.counter(`${name}_count`, `Calls of the store of ${module}`, ["function", "host_type"]);
  const times = registry.histogram(`${name}_time`, `Microseconds of a call of the store of ${module}`, [
    "function",
    "host_type",
  ]);
  const calls = BACKEND_FUNCTIONS[module].map((fn) => {
    const labels = { function: fn, host_type: hostType };
    return [fn, { count: counts.bind(labels), time: times.bind(labels) }] as const;
  });
  return Object.fromEntries(calls) as Record<(typeof BACKEND_FUNCTIONS)[M][number], CallMetrics>;
}

/** How often a hook was run. Node-wide hooks have no host type. Declared only for hooks that somebody handles. */
export function hookMetric(registry: Registry, hook: string, hostType?: string): Counter {
  const name = `hook_${hook}_count`;
  const help = `Runs of the hook ${hook}`;
  if (hostType === undefined) return registry.counter(name, help).bind({});
  return registry.counter(name, help, ["host_type"]).bind({ host_type: hostType });
}

/** What is asked for the system metrics. */
export interface SystemProbes {
  upTimeSeconds(): number;
  /** Resident bytes of the process. */
  memoryBytes(): number;
  tcpConnections(): number;
}

export function systemMetrics(registry: Registry, probes: SystemProbes): void {
  registry.gauge("system_up_time_seconds", "Seconds since the node started").probe({}, () => probes.upTimeSeconds());
  registry.gauge("system_memory_total", "Bytes of memory in use").probe({}, () => probes.memoryBytes());
  registry.gauge("system_tcp_ports_count", "Open TCP connections").probe({}, () => probes.tcpConnections());
}

/**
 * Days until the certificate of a listener ends: negative when it has ended, -32767 before it begins, -32768 when it
 * cannot be read.
 * @param listenerId address, protocol and port: `0.0.0.0@tcp/5222`
 */
export function certificateMetric(registry: Registry, listenerId: string, remainingDays: () => number): void {
  registry
    .gauge("tls_cert_remaining_days_count", "Days until the certificate of a listener ends", ["listener_id"])
    .probe({ listener_id: listenerId }, remainingDays);
}

function forHostType(registry: Registry, hostType: string) {
  const labels = { host_type: hostType };
  const counter = (name: string, help: string) => registry.counter(name, help, ["host_type"]).bind(labels);
  const histogram = (name: string, help: string) => registry.histogram(name, help, ["host_type"]).bind(labels);
  const call = (name: string, help: string): CallMetrics => ({
    count: counter(`${name}_count`, help),
    time: histogram(`${name}_time`, `${help}: microseconds`),
  });
  return { counter, histogram, call };
}
