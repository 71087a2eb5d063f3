import { afterEach, describe, expect, test } from "vitest";
import { z } from "zod";
import { STOP } from "../../../core/hooks.ts";
import { parseBareJid } from "../../../core/jid.ts";
import { certificateMetric } from "../../../core/metrics/names.ts";
import { defineModule } from "../../../core/module.ts";
import type { Node } from "../../../core/node.ts";
import { renderMetrics, wireMetrics } from "../../../core/node-metrics.ts";
import { StubClient, StubConn } from "../../support/stub-conn.ts";
import { type StubNodeOptions, stubNode } from "../../support/stub-node.ts";

const running: Node[] = [];

afterEach(async () => {
  for (const node of running.splice(0)) await node.stop();
});

async function start(options: StubNodeOptions = {}): Promise<Node> {
  const { node } = await stubNode({ users: ["alice", "bob"], ...options });
  running.push(node);
  wireMetrics(node);
  return node;
}

/** The value of a sample by its name and labels as Prometheus reads them. */
function value(node: Node, sample: string): number | undefined {
  const line = renderMetrics(node)
    .split("\n")
    .find((l) => l.startsWith(`${sample} `));
  return line === undefined ? undefined : Number(line.slice(sample.length + 1));
}

const C2S = '{connection_type="c2s",host_type="localhost"}';
const HOST = '{host_type="localhost"}';

describe("xmpp_element_*", () => {
  test("counts messages of each direction", async () => {
    const node = await start();
    const alice = await StubClient.logIn(node, "alice@localhost/home");
    const bob = await StubClient.logIn(node, "bob@localhost/home");
    alice.sends("<message to='bob@localhost/home'><body>one</body></message>".repeat(2));
    await bob.hears("one");
    expect(value(node, `xmpp_element_in_message_count${C2S}`)).toBe(2);
    expect(value(node, `xmpp_element_out_message_count${C2S}`)).toBe(2);
  });

  test("an error is counted as an error and not among its kind", async () => {
    const node = await start();
    const alice = await StubClient.logIn(node, "alice@localhost/home");
    alice.sends("<message to='nobody@localhost'><body>lost</body></message>");
    await alice.hears("service-unavailable");
    expect(value(node, `xmpp_element_out_message_error_count${C2S}`)).toBe(1);
    expect(value(node, `xmpp_element_out_message_count${C2S}`)).toBe(0);
    expect(value(node, `xmpp_element_out_error_count${C2S}`)).toBe(1);
  });

  test("an error that a client sends is one received", async () => {
    const node = await start();
    const alice = await StubClient.logIn(node, "alice@localhost/home");
    const error = "<error type='cancel'><gone xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>";
    alice.sends(`<message to='bob@localhost' type='error'>${error}</message>`);
    expect(value(node, `xmpp_element_in_message_error_count${C2S}`)).toBe(1);
    expect(value(node, `xmpp_element_in_message_count${C2S}`)).toBe(0);
  });

  test("a log-in is four elements out and two in, of which one each is a stanza", async () => {
    const node = await start();
    await StubClient.logIn(node, "alice@localhost/home");
    // features, success, features, result of bind
    expect(value(node, `xmpp_element_out_count${C2S}`)).toBe(4);
    expect(value(node, `xmpp_element_out_stanza_count${C2S}`)).toBe(1);
    // auth, bind
    expect(value(node, `xmpp_element_in_count${C2S}`)).toBe(2);
    expect(value(node, `xmpp_element_in_stanza_count${C2S}`)).toBe(1);
  });

  test("a stream error counts among the errors sent", async () => {
    const node = await start();
    const alice = await StubClient.logIn(node, "alice@localhost/home");
    alice.sends("<message from='bob@localhost/x' to='bob@localhost'/>");
    await alice.hears("<invalid-from");
    expect(value(node, `xmpp_element_out_error_count${C2S}`)).toBe(1);
  });

  test("an error on a stream without a domain has an empty host type", async () => {
    const node = await start();
    new StubClient(node).sends("this is not XML");
    expect(value(node, 'xmpp_element_out_error_count{connection_type="c2s",host_type=""}')).toBe(1);
  });
});

describe("sessions", () => {
  test("log-ins, log-outs and what is left", async () => {
    const node = await start();
    const alice = await StubClient.logIn(node, "alice@localhost/one");
    await StubClient.logIn(node, "alice@localhost/two");
    await StubClient.logIn(node, "bob@localhost/home");
    alice.sends("</stream:stream>");
    expect(value(node, `sm_session_logins${HOST}`)).toBe(3);
    expect(value(node, `sm_session_logouts${HOST}`)).toBe(1);
    expect(value(node, `sm_session_count${HOST}`)).toBe(2);
  });

  test("users with several sessions are unique once", async () => {
    const node = await start();
    await StubClient.logIn(node, "alice@localhost/one");
    await StubClient.logIn(node, "alice@localhost/two");
    const counts = ["sm_total_sessions_count", "sm_node_sessions_count", "sm_unique_sessions_count"];
    expect(counts.map((name) => value(node, name))).toEqual([2, 2, 1]);
  });

  test("a failed log-in", async () => {
    const node = await start();
    await expect(StubClient.logIn(node, "alice@localhost/x", { password: "wrong" })).rejects.toThrow("not-authorized");
    expect(value(node, `c2s_auth_failed_count${HOST}`)).toBe(1);
  });

  test("anonymous users come and go", async () => {
    const auth = 'methods = ["anonymous"]\nanonymous.protocol = "both"\n';
    const node = await start({ auth, users: [] });
    const guest = await StubClient.logIn(node, "guest@localhost/x");
    expect(value(node, `auth_anonymous_register_user_count${HOST}`)).toBe(1);
    expect(value(node, `auth_anonymous_unregister_user_count${HOST}`)).toBe(0);
    guest.sends("</stream:stream>");
    await new Promise((resolve) => setTimeout(resolve, 5));
    expect(value(node, `auth_anonymous_unregister_user_count${HOST}`)).toBe(1);
  });
});

describe("the router", () => {
  test("counts messages that found nobody", async () => {
    const node = await start();
    const alice = await StubClient.logIn(node, "alice@localhost/home");
    alice.sends("<message to='bob@localhost'><body>Hi</body></message>");
    await alice.hears("service-unavailable");
    expect(value(node, `sm_message_bounced_count${HOST}`)).toBe(1);
  });

  test("counts stanzas for domains that nobody serves", async () => {
    const node = await start();
    const alice = await StubClient.logIn(node, "alice@localhost/home");
    alice.sends("<message to='bob@elsewhere.example'><body>Hi</body></message>");
    await alice.hears("remote-server-not-found");
    expect(value(node, "router_no_route_found_count")).toBe(1);
  });

  test("counts stanzas that a filter drops", async () => {
    const filter = defineModule({
      name: "mod_filter",
      xeps: [],
      config: z.strictObject({}),
      hooks: { filter_local_packet: () => STOP },
    });
    const node = await start({ modules: [filter] });
    const alice = await StubClient.logIn(node, "alice@localhost/home");
    alice.sends("<message to='bob@localhost'><body>Hi</body></message>");
    expect(value(node, `router_stanza_dropped_count${HOST}`)).toBe(1);
  });
});

describe("bytes", () => {
  test("in clear and in TLS are told apart", async () => {
    const node = await start();
    const plain = await StubClient.logIn(node, "alice@localhost/plain");
    expect(value(node, 'tcp_data_out_byte_size{connection_type="c2s"}')).toBe(plain.conn.written.length);
    expect(value(node, 'tls_data_in_byte_size{connection_type="c2s"}')).toBe(0);
    const secure = await StubClient.logIn(node, "alice@localhost/secure", { secure: true });
    expect(value(node, 'tls_data_out_byte_size{connection_type="c2s"}')).toBe(secure.conn.written.length);
  });

  test("that come in are counted as they come", async () => {
    const node = await start();
    const client = new StubClient(node, new StubConn());
    client.sends("<stream:stream");
    client.sends(" to='localhost'");
    expect(value(node, 'tcp_data_in_byte_size{connection_type="c2s"}')).toBe(29);
  });
});

describe("accounts", () => {
  test("calls of the authentication are counted and timed", async () => {
    const node = await start();
    await StubClient.logIn(node, "alice@localhost/home");
    expect(value(node, `auth_authorize_count${HOST}`)).toBe(1);
    expect(value(node, `auth_authorize_time_count${HOST}`)).toBe(1);
    expect(value(node, `auth_authorize_time_sum${HOST}`)).toBeGreaterThan(0);
  });

  test("registered and removed accounts are counted", async () => {
    const node = await start();
    await node.removeUser(parseBareJid("alice@localhost"));
    expect(value(node, `auth_register_user_count${HOST}`)).toBe(2);
    expect(value(node, `auth_unregister_user_count${HOST}`)).toBe(1);
  });
});

describe("the node", () => {
  test("tells how long it is up, its memory and its connections", async () => {
    let now = 5_000_000;
    const node = await start({ now: () => now });
    await StubClient.logIn(node, "alice@localhost/home");
    now += 90_500;
    expect(value(node, "system_up_time_seconds")).toBe(90);
    expect(value(node, "system_tcp_ports_count")).toBe(1);
    expect(value(node, "system_memory_total")).toBeGreaterThan(10_000_000);
  });

  test("tells how long the certificate of a listener is good", async () => {
    const node = await start();
    certificateMetric(node.registry, "0.0.0.0@tcp/5222", () => 89);
    expect(value(node, 'tls_cert_remaining_days_count{listener_id="0.0.0.0@tcp/5222"}')).toBe(89);
  });

  test("counts its domains", async () => {
    const node = await start();
    await node.domains.add("a.example", "dynamic");
    await node.domains.add("b.example", "dynamic");
    expect([value(node, 'domains_count{type="static"}'), value(node, 'domains_count{type="dynamic"}')]).toEqual([1, 2]);
  });

  test("tells what its store has done", async () => {
    const node = await start();
    const before = value(node, 'storage_batches_count{database="embedded"}')!;
    await node.domains.add("a.example", "dynamic");
    expect(value(node, 'storage_batches_count{database="embedded"}')).toBe(before + 2);
    expect(value(node, 'storage_queue_length{database="embedded"}')).toBe(0);
  });
});
