// What the listeners bound: time, speed, number, size, addresses; and clients that behave oddly.
import { describe, expect } from "vitest";
import { stage } from "../support/story.ts";

const HERE = { port: 0, ip_address: "127.0.0.1" };
const websocket = (options: Record<string, string | number | boolean>) => [
  { ...HERE, handlers: { mongoose_websocket_handler: [{ host: "_", path: "/ws-xmpp", ...options }] } },
];

describe("odd clients", () => {
  const { story } = stage();

  story(
    "RFC 6120 §4.6.1: whitespace keeps a connection alive and is otherwise ignored",
    { romeo: 1, juliet: 1 },
    async ({ romeo, juliet }) => {
      romeo.sendsRaw(" \n\t ");
      romeo.sendsRaw(`  <message to="${juliet.full}" id="1"/> \n <message to="${juliet.full}" id="2"/>\n`);
      await juliet.receives`<message id="1"/>`;
      await juliet.receives`<message id="2"/>`;
      await romeo.receivesNothing();
    },
    { door: "tcp" },
  );

  story(
    "a stream that comes byte by byte is read as well",
    { juliet: 1 },
    async ({ juliet, actor, server }) => {
      const c = await (await actor("romeo")).connects(server.target("tcp"));
      const slowly = async (text: string) => {
        for (const byte of Buffer.from(text)) {
          c.sendsRaw(Buffer.of(byte));
          await new Promise<void>((resolve) => setImmediate(resolve));
        }
      };
      await slowly(
        "<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='localhost' version='1.0'>",
      );
      await c.hears("<stream:features/>");
      await c.authenticates();
      await c.binds();
      await slowly(`<message to="${juliet.full}"><body>Sl\u00f6wly \u{1f40c}</body></message>`);
      await juliet.receives`<message from="${c.full}"><body>Slöwly 🐌</body></message>`;
    },
    { door: "tcp" },
  );

  story(
    "a client that shuts its sending side down without closing the stream is taken for lost",
    { romeo: 1, juliet: 1 },
    async ({ romeo, juliet, befriend }) => {
      await befriend(romeo, juliet);
      romeo.wire.end();
      await juliet.receives`<presence type="unavailable" from="${romeo.full}"/>`;
    },
  );

  story(
    "a connection that breaks ends the session",
    { romeo: 1, juliet: 1 },
    async ({ romeo, juliet, befriend }) => {
      await befriend(romeo, juliet);
      await romeo.breaks();
      await juliet.receives`<presence type="unavailable" from="${romeo.full}"/>`;
      juliet.sends`<iq type="get" to="${romeo.full}" id="1"><ping xmlns="urn:xmpp:ping"/></iq>`;
      await juliet.receives`<iq type="error" id="1"/>`;
    },
    { covers: ["websockets_SUITE:unavailable_presence_on_ws_disconnect"] },
  );

  story(
    "a client that does not read is cut off when too much waits for it; its peers are not held up",
    { romeo: 1, juliet: 1, nurse: 1 },
    async ({ romeo, juliet, nurse }) => {
      juliet.wire.pause();
      const body = "x".repeat(60_000);
      for (let i = 0; i < 400; i++) romeo.says(`<message to="${juliet.full}"><body>${body}</body></message>`);
      romeo.sends`<message to="${nurse.full}" id="after"/>`;
      await nurse.skipsTo((e) => e.attrs["id"] === "after");
      romeo.sends`<message to="${juliet.full}" id="gone" type="chat"><body>Hello?</body></message>`;
      // She is not there any more: what comes now goes to offline storage, like what she had not read.
      romeo.sends`<iq to="${juliet.full}" id="ping" type="get"><ping xmlns="urn:xmpp:ping"/></iq>`;
      await romeo.receives`<iq id="ping" type="error" from="${juliet.full}"/>`;
      juliet.wire.resume();
      await juliet.skipsTo((e) => e.name === "error");
      juliet.wire.cut();
    },
    { door: "tcp" },
  );

  story("two clients that come and go leave no session behind", { romeo: 0 }, async ({ romeo, server }) => {
    // Those of the story before this one, too, are gone when their ends are stored.
    await server.node.endings.settled();
    const before = server.node.sessions.count;
    for (let i = 0; i < 5; i++) {
      const c = await romeo.comes();
      await c.comesOnline();
      if (i % 2 === 0) await c.leaves();
      else await c.breaks();
    }
    const last = await romeo.comes();
    await last.receivesNothing();
    await server.node.endings.settled();
    expect(server.node.sessions.count).toBe(before + 1);
    expect(server.node.waiting.size).toBe(0);
  });
});

describe("state_timeout", () => {
  const { story } = stage({
    listen: { c2s: [{ ...HERE, state_timeout: 200 }], http: websocket({ state_timeout: 200 }) },
  });

  story(
    "RFC 6120 §4.9.3.4: a client that does not go on is told connection-timeout",
    {},
    async ({ stranger, actor, server, door }) => {
      const silent = await stranger().connects(server.target(door));
      const hesitant = await stranger().connects(server.target(door));
      await hesitant.opens();
      const late = await (await actor("romeo")).connects(server.target(door));
      await late.opens();
      await late.authenticates();
      for (const c of [silent, hesitant, late]) await c.receivesStreamError("connection-timeout");
    },
    { slow: true, covers: ["connect_SUITE:disconnect_inactive_tcp_connection_after_timeout"] },
  );

  story(
    "a session is not bound by it",
    { romeo: 1 },
    async ({ romeo }) => {
      await new Promise((resolve) => setTimeout(resolve, 1400));
      await romeo.receivesNothing();
    },
    { slow: true },
  );
});

describe("max_connections", () => {
  const { story } = stage({ listen: { c2s: [{ ...HERE, max_connections: 2 }] } });

  story(
    "one connection more than max_connections is closed at once; when one goes another can come",
    { romeo: 0 },
    async ({ romeo, another, server }) => {
      const first = await romeo.comes("1");
      const second = await romeo.comes("2");
      const third = another(romeo);
      // The kernel has accepted the connection, so it opens and then ends.
      await third.connects(server.target("tcp")).catch(() => {});
      await third.losesConnection();
      await first.receivesNothing();
      await second.leaves();
      await (await romeo.comes("3")).receivesNothing();
    },
    { door: "tcp" },
  );
});

describe("shaper", () => {
  const { story } = stage({
    shaper: { slow: { max_rate: 2000 } },
    listen: { c2s: [{ ...HERE, shaper: "slow" }] },
  });

  story(
    "a shaper holds a client to its rate, and its stanzas are only late",
    { juliet: 0 },
    async ({ juliet, actor, server }) => {
      const reader = await juliet.comes();
      const c = await (await actor("romeo")).logsIn(server.target("tcp"));
      const began = Date.now();
      const body = "x".repeat(900);
      for (let i = 0; i < 5; i++) c.says(`<message to="${reader.full}" id="${i}"><body>${body}</body></message>`);
      for (let i = 0; i < 5; i++) {
        // One write a message: what has been read may pass, what comes after it waits.
        await reader.hears(`<message id="${i}"/>`);
      }
      c.sends`<message to="${reader.full}" id="late"/>`;
      await reader.receives`<message id="late"/>`;
      // 5 kB at 2 kB a second, of which 2 kB are free at the start.
      expect(Date.now() - began).toBeGreaterThan(900);
    },
    { door: "tcp" },
  );
});

describe("access", () => {
  const { story } = stage({
    acl: { blocked: [{ match: "current_domain", user_glob: "tybalt*" }] },
    access: {
      c2s: [
        { acl: "blocked", value: "deny" },
        { acl: "all", value: "allow" },
      ],
    },
    listen: { c2s: [{ ...HERE, access: "c2s" }, { ...HERE, access: "none" }, HERE] },
  });

  story(
    "an access rule that denies answers <bind/> with not-allowed",
    { romeo: 1 },
    async ({ actor, server }) => {
      const c = await (await actor("tybalt")).connects(server.target("tcp"));
      await c.opens();
      await c.authenticates();
      c.sends`<iq type="set" id="b"><bind xmlns="urn:ietf:params:xml:ns:xmpp-bind"/></iq>`;
      await c.receives`<iq type="error" id="b"><error type="cancel"><not-allowed xmlns="urn:ietf:params:xml:ns:xmpp-stanzas"/></error></iq>`;
    },
    { door: "tcp", covers: ["login_SUITE:blocked_user"] },
  );

  story(
    "access = none lets nobody in at its listener, and everybody elsewhere",
    {},
    async ({ actor, another, server }) => {
      const c = await (await actor("romeo")).connects(server.target("tcp", 1));
      await c.opens();
      await c.authenticates();
      c.sends`<iq type="set" id="b"><bind xmlns="urn:ietf:params:xml:ns:xmpp-bind"/></iq>`;
      await c.receives`<iq type="error" id="b"><error type="cancel"><not-allowed xmlns="urn:ietf:params:xml:ns:xmpp-stanzas"/></error></iq>`;
      await another(c).logsIn(server.target("tcp", 2));
    },
    {
      door: "tcp",
      covers: ["login_SUITE:access_none_blocks_all_users", "login_SUITE:access_none_for_other_listener_has_no_effect"],
    },
  );
});

describe("proxy_protocol", () => {
  const { story } = stage({ listen: { c2s: [{ ...HERE, proxy_protocol: true }, HERE] } });
  const header =
    "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='localhost' version='1.0'>";

  story(
    "the address of the client is the one of the PROXY header",
    {},
    async ({ actor, server }) => {
      const c = await (await actor("romeo")).connects(server.target("tcp"));
      c.sendsRaw(`PROXY TCP4 192.0.2.7 127.0.0.1 50123 5222\r\n${header}`);
      await c.hears("<stream:features/>");
      await c.authenticates();
      await c.binds();
      const [session] = [...server.node.sessions].filter((s) => s.jid.text === c.full);
      expect(session.address).toBe("192.0.2.7");
    },
    { door: "tcp", covers: ["connect_SUITE:connect_with_proxy_header"] },
  );

  story(
    "without a PROXY header there is no stream",
    {},
    async ({ stranger, server }) => {
      const c = await stranger().connects(server.target("tcp"));
      c.sendsRaw(header);
      await c.losesConnection();
      expect(c.streamHeader).toBeUndefined();
    },
    { door: "tcp", covers: ["connect_SUITE:cannot_connect_without_proxy_header"] },
  );

  story(
    "a PROXY header where none is expected is not XMPP",
    {},
    async ({ stranger, server }) => {
      const c = await stranger().connects(server.target("tcp", 1));
      c.sendsRaw(`PROXY TCP4 192.0.2.7 127.0.0.1 50123 5222\r\n${header}`);
      await c.receivesStreamError("not-well-formed");
    },
    { door: "tcp", covers: ["connect_SUITE:cannot_connect_with_proxy_header"] },
  );
});
