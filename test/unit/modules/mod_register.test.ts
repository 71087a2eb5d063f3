import { beforeEach, describe, expect, test } from "vitest";
import { STOP } from "../../../core/hooks.ts";
import type { Session } from "../../../core/module.ts";
import { viewText } from "../../../core/xml/framer.ts";
import modRegister, { addressMay, entropy } from "../../../modules/mod_register.ts";
import { FakeServer } from "../../support/fake-server.ts";

const query = (inside: string) => `<query xmlns='jabber:iq:register'>${inside}</query>`;
const account = (user: string, password: string) =>
  query(`<username>${user}</username><password>${password}</password>`);
const condition = (text = "") => /<error[^>]*><([\w-]+)/.exec(text)?.[1];

/** A stream that has not authenticated: what it sends goes to user_send_xmlel, as the stream machine does it. */
function stranger(server: FakeServer, address = "192.0.2.7") {
  const heard: string[] = [];
  const session = {
    jid: undefined,
    domain: "localhost",
    address,
    host: server.host,
    write: (text: string) => void heard.push(String(text)),
  } as unknown as Session;
  return {
    async sends(type: string, payload: string) {
      const stanza = viewText(`<iq type='${type}' id='r'>${payload}</iq>`);
      const verdict = await server.host.hooks.session(server.host.hooks.sendOther, stanza, session);
      expect(verdict).toBe(STOP);
      return heard.splice(0).join("");
    },
  };
}

describe("before authentication (XEP-0077 §3.1)", () => {
  let server: FakeServer;
  beforeEach(async () => {
    server = new FakeServer({ users: ["alice"] });
    await server.startModule(modRegister);
  });

  test("registration is offered as a stream feature", async () => {
    const params = { session: server.connect("a@localhost/b"), domain: "localhost", authenticated: false };
    const features = await server.host.hooks.fold("c2s_stream_features", [], params);
    expect(features.map(String)).toEqual(["<register xmlns='http://jabber.org/features/iq-register'/>"]);
  });

  test("the form asks for a user name and a password", async () => {
    expect(await stranger(server).sends("get", query(""))).toMatch(
      /^<iq from='localhost' id='r' type='result'><query xmlns='jabber:iq:register'><instructions>[^<]+<\/instructions><username><\/username><password\/><\/query><\/iq>$/,
    );
  });

  test("an account is made, and features are told", async () => {
    const told: string[] = [];
    server.hook({ register_user: ({ jid }) => void told.push(jid.text) });
    const reply = await stranger(server).sends("set", account("romeo", "secret"));
    expect(reply).toBe("<iq from='localhost' id='r' type='result'/>");
    expect(server.accounts.checkPassword("romeo", "localhost", "secret")).toBe(true);
    expect(told).toEqual(["romeo@localhost"]);
  });

  test("the user name is prepared as a JID's is", async () => {
    await stranger(server).sends("set", account("ROMEO", "secret"));
    expect(server.accounts.exists("romeo", "localhost")).toBe(true);
  });

  test.each([
    ["an account that exists", account("alice", "x"), "conflict"],
    ["no user name", query("<password>x</password>"), "bad-request"],
    ["an empty user name", account("", "x"), "not-acceptable"],
    ["an empty password", account("romeo", ""), "not-acceptable"],
    ["no password", query("<username>romeo</username>"), "not-acceptable"],
    ["a user name that is none", account("a b", "x"), "jid-malformed"],
    ["removal", query("<remove/>"), "registration-required"],
  ])("%s is refused", async (_what, payload, error) => {
    const reply = await stranger(server).sends("set", payload);
    expect(condition(reply)).toBe(error);
    expect(reply).toContain(payload);
  });

  test("what is no registration is left to others", async () => {
    const stanza = viewText("<iq type='set' id='x'><other xmlns='jabber:iq:auth'/></iq>");
    const session = { jid: undefined, domain: "localhost" } as unknown as Session;
    expect(await server.host.hooks.session(server.host.hooks.sendOther, stanza, session)).toBeUndefined();
  });
});

describe("options", () => {
  async function configured(config: Record<string, unknown>, access: Record<string, string> = {}) {
    const server = new FakeServer({ users: ["nurse"], access });
    await server.startModule(modRegister, config);
    return server;
  }

  test("access refuses user names", async () => {
    const server = await configured({ access: "nobody" }, { nobody: "deny" });
    expect(condition(await stranger(server).sends("set", account("romeo", "x")))).toBe("forbidden");
  });

  test("ip_access refuses addresses", async () => {
    const server = await configured({ ip_access: [{ address: "10.0.0.0/8", policy: "deny" }] });
    expect(condition(await stranger(server, "10.1.2.3").sends("set", account("romeo", "x")))).toBe("forbidden");
    expect(condition(await stranger(server, "192.0.2.1").sends("set", account("romeo", "x")))).toBeUndefined();
  });

  test.each([
    ["127.0.0.1", "allow"],
    ["10.1.0.1", "allow"],
    ["10.2.0.1", "deny"],
    ["::ffff:10.2.0.1", "deny"],
    ["2001:db8::1", "deny"],
  ])("the narrowest network that holds %s decides: %s", (address, policy) => {
    const entries = [
      { address: "10.0.0.0/8", policy: "deny" },
      { address: "10.1.0.0/16", policy: "allow" },
      { address: "2001:db8::/32", policy: "deny" },
    ] as const;
    expect(addressMay(address, entries)).toBe(policy === "allow");
  });

  test.each([
    ["kotek", 23.5],
    ["abc123", 30.8],
    ["L33tSp34k", 53.4],
    ["CamelCase", 51.3],
    ["lowUP1#", 45.9],
  ])("the entropy of %s is about %f bits, as MongooseIM documents", (password, bits) => {
    expect(Math.abs(entropy(password) - bits)).toBeLessThan(0.5);
  });

  test("password_strength refuses a weak password, for a new account and for a change", async () => {
    const server = await configured({ password_strength: 40 });
    expect(condition(await stranger(server).sends("set", account("romeo", "abc123")))).toBe("not-acceptable");
    const nurse = server.connect("nurse@localhost/house");
    await nurse.sends(`<iq type='set' id='p' to='localhost'>${account("nurse", "abc123")}</iq>`);
    expect(condition(nurse.received()[0])).toBe("not-acceptable");
  });

  test("a watcher is told, and the new account is welcomed", async () => {
    const server = await configured({
      registration_watchers: ["nurse@localhost"],
      welcome_message: { subject: "Hi", body: "Welcome & enjoy" },
    });
    const nurse = server.connect("nurse@localhost/house");
    nurse.setPresence(viewText("<presence/>"), 0);
    const romeo = server.connect("romeo@localhost/orchard");
    romeo.setPresence(viewText("<presence/>"), 0);
    await server.accounts.remove("romeo", "localhost");
    await stranger(server).sends("set", account("romeo", "x"));
    await server.settle();
    romeo.hears(
      "<message from='localhost' to='romeo@localhost' type='normal'><subject>Hi</subject><body>Welcome &amp; enjoy</body></message>",
    );
    expect(nurse.received()[0]).toMatch(
      /^<message from='localhost' to='nurse@localhost' type='chat'><body>[^<]*romeo@localhost[^<]*192\.0\.2\.7/,
    );
  });

  test("registration_timeout lets an address try again only after a while, even when it failed", async () => {
    const server = await configured({});
    Object.assign(server.host, { registrationTimeout: 600 });
    expect(condition(await stranger(server).sends("set", account("nurse", "x")))).toBe("conflict");
    expect(condition(await stranger(server).sends("set", account("romeo", "x")))).toBe("resource-constraint");
    expect(condition(await stranger(server, "192.0.2.8").sends("set", account("romeo", "x")))).toBeUndefined();
    server.clock.advance(600_000);
    expect(condition(await stranger(server).sends("set", account("paris", "x")))).toBeUndefined();
  });
});

describe("with a session", () => {
  let server: FakeServer;
  beforeEach(async () => {
    server = new FakeServer({ users: ["romeo"] });
    await server.startModule(modRegister);
  });

  test.each(["", " to='localhost'"])("the form tells that one is registered (addressee%s)", async (to) => {
    const romeo = server.connect("romeo@localhost/orchard");
    await romeo.sends(`<iq type='get' id='f'${to}>${query("")}</iq>`);
    expect(romeo.received()[0]).toContain("<username>romeo</username><password/><registered/>");
  });

  test("§3.3: the password is changed", async () => {
    const romeo = server.connect("romeo@localhost/orchard");
    await romeo.sends(`<iq type='set' id='p' to='localhost'>${account("romeo", "new")}</iq>`);
    romeo.hears("<iq from='localhost' id='p' to='romeo@localhost/orchard' type='result'/>");
    expect(server.accounts.checkPassword("romeo", "localhost", "new")).toBe(true);
  });

  test("an empty password is a bad request", async () => {
    const romeo = server.connect("romeo@localhost/orchard");
    await romeo.sends(`<iq type='set' id='p' to='localhost'>${account("romeo", "")}</iq>`);
    expect(condition(romeo.received()[0])).toBe("bad-request");
  });

  // That its sessions end, after the answer, is told in test/stories/review-protocol.test.ts.
  test("§3.2: removal is answered, and the account is gone", async () => {
    const orchard = server.connect("romeo@localhost/orchard");
    await orchard.sends(`<iq type='set' id='u' to='localhost'>${query("<remove/>")}</iq>`);
    orchard.hears("<iq from='localhost' id='u' to='romeo@localhost/orchard' type='result'/>");
    expect(server.accounts.exists("romeo", "localhost")).toBe(false);
  });

  test("removal together with anything else is a bad request", async () => {
    const romeo = server.connect("romeo@localhost/orchard");
    await romeo.sends(`<iq type='set' id='u' to='localhost'>${query("<remove/><username>romeo</username>")}</iq>`);
    expect(condition(romeo.received()[0])).toBe("bad-request");
    expect(server.accounts.exists("romeo", "localhost")).toBe(true);
  });
});

describe("who counts as one", () => {
  const form = (user: string, to = "localhost", from = "tybalt@elsewhere/x") =>
    `<iq type='set' id='r' from='${from}' to='${to}'>${account(user, "x")}</iq>`;

  test("registration_timeout: the /64 of an IPv6 address", async () => {
    const server = new FakeServer({ registrationTimeout: 600 });
    await server.startModule(modRegister);
    expect(condition(await stranger(server, "2001:db8::1").sends("set", account("a", "x")))).toBeUndefined();
    expect(condition(await stranger(server, "2001:db8::2").sends("set", account("b", "x")))).toBe(
      "resource-constraint",
    );
    expect(condition(await stranger(server, "2001:db8:0:1::1").sends("set", account("c", "x")))).toBeUndefined();
  });

  test("registration_timeout: so many seconds, wherever the machine's clock is set", async () => {
    const server = new FakeServer({ registrationTimeout: 600 });
    await server.startModule(modRegister);
    const from = (user: string) => stranger(server, "192.0.2.8").sends("set", account(user, "x"));
    expect(condition(await from("a"))).toBeUndefined();
    server.setBy = 3_600_000;
    expect(condition(await from("b"))).toBe("resource-constraint");
    server.setBy = -3_600_000;
    server.clock.advance(600_000);
    expect(condition(await from("c"))).toBeUndefined();
  });

  test("registration_timeout: a user of another server, whatever the resource", async () => {
    const server = new FakeServer({ registrationTimeout: 600 });
    await server.startModule(modRegister);
    for (const [user, resource] of [
      ["a", "x"],
      ["b", "y"],
    ])
      await server.receivesFrom(form(user, "localhost", `tybalt@elsewhere/${resource}`));
    expect(server.remote.map((text) => condition(text))).toEqual([undefined, "resource-constraint"]);
  });

  test("ip_access: nobody from another server, who has no address here", async () => {
    const server = new FakeServer();
    await server.startModule(modRegister, { ip_access: [{ address: "10.0.0.0/8", policy: "deny" }] });
    await server.receivesFrom(form("a"));
    expect(server.remote.map((text) => condition(text))).toEqual(["forbidden"]);
    expect(server.accounts.exists("a", "localhost")).toBe(false);
  });
});
