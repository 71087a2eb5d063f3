import { expect, test } from "vitest";
import modPing from "../../../modules/mod_ping.ts";
import { FakeServer } from "../../support/fake-server.ts";

const PING =
  "<iq from='localhost' id='{any}' to='romeo@localhost/orchard' type='get'><ping xmlns='urn:xmpp:ping'/></iq>";

async function pinging(config: Record<string, unknown> = {}) {
  const server = new FakeServer();
  await server.startModule(modPing, { send_pings: true, ...config });
  return { server, romeo: server.connect("romeo@localhost/orchard") };
}

test.each([["localhost"], ["juliet@localhost"]])(
  "XEP-0199: a ping to %s is answered with an empty result",
  async (to) => {
    const server = new FakeServer({ users: ["juliet"] });
    await server.startModule(modPing);
    const romeo = server.connect("romeo@localhost/orchard");
    await romeo.sends(`<iq type='get' id='p' to='${to}'><ping xmlns='urn:xmpp:ping'/></iq>`);
    romeo.hears(`<iq from='${to}' id='p' to='romeo@localhost/orchard' type='result'/>`);
  },
);

test("nobody is pinged unless send_pings is on", async () => {
  const server = new FakeServer();
  await server.startModule(modPing);
  const romeo = server.connect("romeo@localhost/orchard");
  server.clock.advance(600_000);
  romeo.hears();
});

test("a client that was silent for ping_interval is pinged", async () => {
  const { server, romeo } = await pinging();
  server.clock.advance(59_000);
  romeo.hears();
  server.clock.advance(2_000);
  romeo.hears(PING);
});

test("the silence of a client does not depend on where the machine's clock is set", async () => {
  const { server, romeo } = await pinging();
  server.setBy = 86_400_000;
  server.clock.advance(59_000);
  romeo.hears();
  server.setBy = -3_600_000;
  server.clock.advance(2_000);
  romeo.hears(PING);
});

test("a client that sends something is not pinged until it has been silent again", async () => {
  const { server, romeo } = await pinging();
  server.clock.advance(40_000);
  await romeo.sends("<message to='romeo@localhost'/>");
  romeo.received();
  server.clock.advance(40_000);
  romeo.hears();
  server.clock.advance(25_000);
  romeo.hears(PING);
});

test.each(["result", "error"])("a pong of type %s is counted with its time", async (type) => {
  const { server, romeo } = await pinging();
  const told: boolean[] = [];
  server.hook({ user_ping_response: ({ ok }) => void told.push(ok) });
  server.clock.advance(61_000);
  server.clock.advance(500);
  await romeo.sends(`<iq type='${type}' id='ask1' to='localhost'/>`);
  expect(told).toEqual([true]);
  expect(server.metric("mod_ping", "mod_ping_response_count")).toBe(1);
  expect(server.metric("mod_ping", "mod_ping_response_time")).toBeGreaterThanOrEqual(500_000);
});

test("timeout_action kill ends a session that does not answer", async () => {
  const { server, romeo } = await pinging({ timeout_action: "kill" });
  server.clock.advance(61_000);
  server.clock.advance(33_000);
  await server.settle();
  expect(romeo.closed).toMatchObject({ error: { condition: "connection-timeout" }, reason: "timeout" });
  expect(server.metric("mod_ping", "mod_ping_response_timeout_count")).toBe(1);
});

test("timeout_action none leaves the session, and pings it again", async () => {
  const { server, romeo } = await pinging();
  server.clock.advance(61_000);
  server.clock.advance(33_000);
  await server.settle();
  romeo.received();
  expect(romeo.closed).toBeUndefined();
  server.clock.advance(61_000);
  romeo.hears(PING);
});

test("a session that has ended is not pinged", async () => {
  const { server, romeo } = await pinging();
  await romeo.ends();
  server.clock.advance(120_000);
  romeo.hears();
});

test("no ping is sent after the feature was stopped", async () => {
  const { server, romeo } = await pinging();
  await server.stopModule("mod_ping");
  server.clock.advance(120_000);
  romeo.hears();
});
