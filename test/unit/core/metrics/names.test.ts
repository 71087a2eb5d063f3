import { expect, test } from "vitest";
import {
  authMetrics,
  backendMetrics,
  c2sMetrics,
  certificateMetric,
  csiMetrics,
  discoMetrics,
  ElementMetrics,
  hookMetric,
  pingMetrics,
  rosterMetrics,
  routerMetrics,
  sessionMetrics,
  sessionTotals,
  systemMetrics,
  trafficMetrics,
  webSocketMetrics,
} from "../../../../core/metrics/names.ts";
import { Registry } from "../../../../core/metrics/registry.ts";

test("the names, kinds and labels are MongooseIM's", () => {
  const registry = new Registry();
  const host = "localhost";
  new ElementMetrics(registry, "in", "c2s", host);
  trafficMetrics(registry, "c2s");
  webSocketMetrics(registry);
  sessionTotals(registry, { total: () => 1, unique: () => 1, node: () => 1 });
  systemMetrics(registry, { upTimeSeconds: () => 1, memoryBytes: () => 1, tcpConnections: () => 1 });
  certificateMetric(registry, "0.0.0.0@tcp/5222", () => 90);
  for (const area of [c2sMetrics, sessionMetrics, routerMetrics, authMetrics, rosterMetrics, csiMetrics]) {
    area(registry, host);
  }
  discoMetrics(registry, host);
  pingMetrics(registry, host);
  for (const module of ["mod_roster", "mod_last", "mod_offline", "mod_private", "mod_vcard"] as const) {
    backendMetrics(registry, module, "rdbms", host);
  }
  hookMetric(registry, "user_send_xmlel", host);
  hookMetric(registry, "node_cleanup");
  const declared = registry.families().map(({ name, kind, labelNames }) => `${name} ${kind} ${labelNames.join()}`);
  expect(declared.map((line) => line.trim())).toMatchInlineSnapshot(`
    [
      "auth_anonymous_register_user_count counter host_type",
      "auth_anonymous_unregister_user_count counter host_type",
      "auth_authorize_count counter host_type",
      "auth_authorize_time histogram host_type",
      "auth_check_password_count counter host_type",
      "auth_check_password_time histogram host_type",
      "auth_does_user_exist_count counter host_type",
      "auth_does_user_exist_time histogram host_type",
      "auth_register_user_count counter host_type",
      "auth_try_register_count counter host_type",
      "auth_try_register_time histogram host_type",
      "auth_unregister_user_count counter host_type",
      "c2s_auth_failed_count counter host_type",
      "c2s_message_processed_time histogram host_type",
      "hook_node_cleanup_count counter",
      "hook_user_send_xmlel_count counter host_type",
      "mod_csi_active_count counter host_type",
      "mod_csi_inactive_count counter host_type",
      "mod_disco_roster_get_count counter host_type",
      "mod_last_rdbms_count counter function,host_type",
      "mod_last_rdbms_time histogram function,host_type",
      "mod_offline_rdbms_count counter function,host_type",
      "mod_offline_rdbms_time histogram function,host_type",
      "mod_ping_response_count counter host_type",
      "mod_ping_response_time histogram host_type",
      "mod_ping_response_timeout_count counter host_type",
      "mod_private_rdbms_count counter function,host_type",
      "mod_private_rdbms_time histogram function,host_type",
      "mod_roster_get_count counter host_type",
      "mod_roster_push_count counter host_type",
      "mod_roster_rdbms_count counter function,host_type",
      "mod_roster_rdbms_time histogram function,host_type",
      "mod_roster_set_count counter host_type",
      "mod_vcard_rdbms_count counter function,host_type",
      "mod_vcard_rdbms_time histogram function,host_type",
      "router_no_route_found_count counter",
      "router_stanza_dropped_count counter host_type",
      "sm_message_bounced_count counter host_type",
      "sm_node_sessions_count gauge",
      "sm_presence_subscription_subscription_count counter host_type",
      "sm_presence_subscription_unsubscription_count counter host_type",
      "sm_session_count gauge host_type",
      "sm_session_logins counter host_type",
      "sm_session_logouts counter host_type",
      "sm_total_sessions_count gauge",
      "sm_unique_sessions_count gauge",
      "system_memory_total gauge",
      "system_tcp_ports_count gauge",
      "system_up_time_seconds gauge",
      "tcp_data_in_byte_size counter connection_type",
      "tcp_data_out_byte_size counter connection_type",
      "tls_cert_remaining_days_count gauge listener_id",
      "tls_data_in_byte_size counter connection_type",
      "tls_data_out_byte_size counter connection_type",
      "websocket_data_received_byte_size counter",
      "websocket_data_sent_byte_size counter",
      "xmpp_element_in_byte_size histogram connection_type,host_type",
      "xmpp_element_in_count counter connection_type,host_type",
      "xmpp_element_in_error_count counter connection_type,host_type",
      "xmpp_element_in_iq_count counter connection_type,host_type",
      "xmpp_element_in_iq_error_count counter connection_type,host_type",
      "xmpp_element_in_message_count counter connection_type,host_type",
      "xmpp_element_in_message_error_count counter connection_type,host_type",
      "xmpp_element_in_presence_count counter connection_type,host_type",
      "xmpp_element_in_presence_error_count counter connection_type,host_type",
      "xmpp_element_in_stanza_count counter connection_type,host_type",
    ]
  `);
});

test("a stanza that is an error counts as an error and not among its kind", () => {
  const metrics = new ElementMetrics(new Registry(), "out", "c2s", "localhost");
  metrics.stanzaSeen("message", false, 300);
  metrics.stanzaSeen("iq", true, 100);
  metrics.elementSeen(true, 50);
  const { count, stanza, message, iq, error, iqError, byteSize } = metrics;
  expect([count, stanza, message, iq, error, iqError].map(({ value }) => value)).toEqual([3, 2, 1, 0, 2, 1]);
  expect([byteSize.count, byteSize.sum]).toEqual([3, 450]);
});

test("both host types of a module share a name and have their own values", () => {
  const registry = new Registry();
  rosterMetrics(registry, "a").push.add(3);
  rosterMetrics(registry, "b").push.add(4);
  expect(registry.render()).toContain('mod_roster_push_count{host_type="a"} 3\nmod_roster_push_count{host_type="b"} 4');
});
