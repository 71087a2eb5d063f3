// Instruments of the engine under MongooseIM's Prometheus names. Each function declares those of one area; features
// declare their own.
import type { Counter, Histogram } from "./instrument.ts";
import type { Registry } from "./registry.ts";

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
