// What an unkind client or an unlucky moment does to a stream: connections that break while something is being worked
// on, two that want one resource, input that comes behind a step that takes time.
import { describe, expect, vi } from "vitest";
import { STOP } from "../../core/hooks.ts";
import type { Stanza } from "../../core/stanza.ts";
import { type Stage, stage } from "../support/story.ts";

const NS_SM = "urn:xmpp:sm:3";

/** A feature whose work on messages takes as long as the test wants: those that have <slow/> wait for `go`. */
function slowness(of: Stage) {
  let go: () => void = () => {};
  const gate = () => new Promise<void>((resolve) => (go = resolve));
  let installed = false;
  let seen = 0;
  return {
    install() {
      if (installed) return;
      installed = true;
      of.server.node.hostOf("localhost")!.hooks.add(
        "slow",
        {
          user_send_message: {
            at: 1,
            run: (stanza: Stanza) => {
              if (!stanza.has("slow", "urn:slow")) return undefined;
              seen++;
              return gate();
            },
          },
        },
        {},
      );
    },
    go: () => go(),
    async seen(n: number) {
      while (seen < n) await new Promise((resolve) => setTimeout(resolve, 5));
    },
    reset() {
      seen = 0;
    },
  };
}

describe("a stanza that is being worked on", () => {
  const place = stage();
  const { story } = place;
  const slow = slowness(place);

  story(
    "XEP-0198 §5: a stream that is resumed while a stanza is being worked on counts it before it tells h",
    { romeo: 1, juliet: 1 },
    async ({ romeo, juliet, another, server, door }) => {
      slow.install();
      slow.reset();
      await romeo.managesStream();
      romeo.says(`<message to="${juliet.full}" id="m1"><slow xmlns="urn:slow"/></message>`);
      await slow.seen(1);
      await romeo.breaks();
      const back = await another(romeo).connects(server.target(door));
      await back.opens();
      await back.authenticates();
      back.sendsRaw(`<resume xmlns='${NS_SM}' h='0' previd='${romeo.resumeId}'/>`);
      await new Promise((resolve) => setTimeout(resolve, 50));
      slow.go();
      await back.receives`<resumed xmlns="urn:xmpp:sm:3" h="1" previd="${romeo.resumeId}"/>`;
      await juliet.receives`<message id="m1"/>`;
      back.sendsRaw(`<r xmlns='${NS_SM}'/>`);
      await back.receives`<a xmlns="urn:xmpp:sm:3" h="1"/>`;
    },
  );

  story(
    "what has come behind it when the connection breaks is worked on too, and counted",
    { romeo: 1, juliet: 1 },
    async ({ romeo, juliet, another, server, door }) => {
      slow.install();
      slow.reset();
      await romeo.managesStream();
      romeo.says(`<message to="${juliet.full}" id="m1"><slow xmlns="urn:slow"/></message>`);
      romeo.says(`<message to="${juliet.full}" id="m2"/>`);
      await slow.seen(1);
      await new Promise((resolve) => setTimeout(resolve, 30));
      await romeo.breaks();
      await new Promise((resolve) => setTimeout(resolve, 30));
      slow.go();
      await juliet.receives`<message id="m1"/>`;
      await juliet.receives`<message id="m2"/>`;
      const back = await another(romeo).connects(server.target(door));
      await back.opens();
      await back.authenticates();
      back.sendsRaw(`<resume xmlns='${NS_SM}' h='0' previd='${romeo.resumeId}'/>`);
      await back.receives`<resumed xmlns="urn:xmpp:sm:3" h="2" previd="${romeo.resumeId}"/>`;
      await juliet.receivesNothing();
    },
  );

  story(
    "what a client sent before it closed its stream and its connection is still worked on",
    { romeo: 1, juliet: 1 },
    async ({ romeo, juliet }) => {
      slow.install();
      slow.reset();
      romeo.says(`<message to="${juliet.full}" id="m1"><slow xmlns="urn:slow"/></message>`);
      romeo.says(`<message to="${juliet.full}" id="m2"/>`);
      romeo.sendsRaw("</stream:stream>");
      romeo.wire.end();
      await slow.seen(1);
      await new Promise((resolve) => setTimeout(resolve, 50));
      slow.go();
      await juliet.receives`<message id="m1"/>`;
      await juliet.receives`<message id="m2"/>`;
    },
    { door: "tcp" },
  );
});

describe("what comes in one piece", () => {
  const { story } = stage();

  story(
    "stanzas that come right behind <resume/> are handled after it",
    { romeo: 1, juliet: 1 },
    async ({ romeo, juliet, another, server, door }) => {
      await romeo.managesStream();
      await romeo.breaks();
      const back = await another(romeo).connects(server.target(door));
      await back.opens();
      await back.authenticates();
      const resume = `<resume xmlns='${NS_SM}' h='0' previd='${romeo.resumeId}'/>`;
      const message = `<message xmlns='jabber:client' to='${juliet.full}' id='behind'/>`;
      if (door === "tcp") back.sendsRaw(resume + message);
      else {
        back.sendsRaw(resume);
        back.sendsRaw(message);
      }
      await back.receives`<resumed xmlns="urn:xmpp:sm:3" h="0" previd="${romeo.resumeId}"/>`;
      await juliet.receives`<message id="behind"/>`;
    },
  );

  story(
    "a whole log-in in one piece, up to a message, works",
    { juliet: 1 },
    async ({ juliet, actor, server }) => {
      const c = await (await actor("romeo")).connects(server.target("tcp"));
      const header = `<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='localhost' version='1.0'>`;
      const auth = Buffer.from(`\0${c.local}\0romeo's secret`).toString("base64");
      c.wire.restart();
      c.sendsRaw(
        `${header}<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>${auth}</auth>${header}` +
          `<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq><message to='${juliet.full}' id='m'/>`,
      );
      await juliet.receives`<message id="m"/>`;
    },
    { door: "tcp" },
  );
});

describe("two that want one resource", () => {
  const { story } = stage();

  story(
    "RFC 6120 §7.7.2.2: however many bind one resource at once, one has it in the end",
    { romeo: 0 },
    async ({ romeo, server, door, another }) => {
      const first = await romeo.comes("same");
      await first.managesStream();
      const late = await Promise.all(
        [1, 2, 3].map(async () => {
          const c = await another(romeo).connects(server.target(door));
          await c.opens();
          await c.authenticates();
          return c;
        }),
      );
      for (const c of late) {
        c.sendsRaw(
          "<iq xmlns='jabber:client' id='bind' type='set'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>same</resource></bind></iq>",
        );
      }
      await new Promise((resolve) => setTimeout(resolve, 500));
      expect(server.node.sessions.of(first.bare).length).toBe(1);
    },
  );
});

describe("a session that is ending", () => {
  const place = stage();
  const { story } = place;

  story(
    "a message that meets one whose end takes time is stored, or goes to another session",
    { romeo: 1, juliet: 1 },
    async ({ romeo, juliet, another, server, door }) => {
      let go: () => void = () => {};
      const gate = new Promise<void>((resolve) => (go = resolve));
      place.server.node.hostOf("localhost")!.hooks.add("slow", { user_terminate: { at: 1, run: () => gate } }, {});
      juliet.wire.cut();
      await new Promise((resolve) => setTimeout(resolve, 50));
      romeo.says(`<message to="${juliet.bare}" id="m1" type="chat"><body>Hello</body></message>`);
      await romeo.receivesNothing();
      go();
      place.server.node.hostOf("localhost")!.hooks.remove("slow");
      const back = await another(juliet).logsIn(server.target(door));
      back.says("<presence/>");
      await back.skipsTo((e) => e.attrs["id"] === "m1");
    },
    { silent: false },
  );
  void STOP;
});

describe("how many sessions an account has", () => {
  const { story } = stage({ access: { max_user_sessions: [{ acl: "all", value: 2 }] } });

  story(
    "max_user_sessions: the oldest gives way to one more",
    { romeo: 2 },
    async ({ romeo: [oldest, second], another, server, door }) => {
      const third = await another(oldest).logsIn(server.target(door));
      await oldest.skipsTo((e) => e.name === "error");
      await oldest.receivesEnd();
      await second.receives`<presence type="unavailable" from="${oldest.full}"><status>Replaced by new connection</status></presence>`;
      await third.receivesNothing();
      expect(server.node.sessions.of(third.bare).length).toBe(2);
    },
  );
});

describe("a stream that breaks twice", () => {
  const { story } = stage({ modules: { mod_stream_management: { resume_timeout: 2 } } });

  story(
    "XEP-0198 §5: has its whole time to be resumed each time",
    { romeo: 1 },
    async ({ romeo, another, server, door }) => {
      await romeo.managesStream();
      const resumes = async () => {
        const back = await another(romeo).connects(server.target(door));
        await back.opens();
        await back.authenticates();
        back.sendsRaw(`<resume xmlns='${NS_SM}' h='0' previd='${romeo.resumeId}'/>`);
        await back.receives`<resumed xmlns="urn:xmpp:sm:3" h="0" previd="${romeo.resumeId}"/>`;
        return back;
      };
      await romeo.breaks();
      await new Promise((resolve) => setTimeout(resolve, 1_200));
      const back = await resumes();
      await back.breaks();
      await new Promise((resolve) => setTimeout(resolve, 1_400));
      await resumes();
    },
  );
});

describe("a client held to a rate", () => {
  const { story } = stage({
    shaper: { slow: { max_rate: 600 } },
    listen: { c2s: [{ port: 0, ip_address: "127.0.0.1", shaper: "slow" }] },
  });

  story(
    "goes on after a resumption whose connection was being held back",
    { romeo: 1 },
    async ({ romeo, another, server }) => {
      await romeo.managesStream();
      await romeo.breaks();
      const back = await another(romeo).connects(server.target("tcp"));
      await back.opens();
      await back.authenticates();
      // Longer than what is left of the second's 600 bytes: reading stops.
      back.sendsRaw(`<resume xmlns='${NS_SM}'${" ".repeat(500)} h='0' previd='${romeo.resumeId}'/>`);
      await back.receives`<resumed xmlns="urn:xmpp:sm:3" h="0" previd="${romeo.resumeId}"/>`;
      back.says(`<iq type="get" id="p" to="localhost"><ping xmlns="urn:xmpp:ping"/></iq>`);
      await back.receives`<iq type="result" id="p"/>`;
    },
    { door: "tcp" },
  );
});

describe("exceptions", () => {
  const place = stage();
  const { story } = place;

  story(
    "what a feature throws costs nobody but the one it was thrown for",
    { romeo: 1, juliet: 1 },
    async ({ romeo, juliet, server }) => {
      const { hooks } = server.node.hostOf("localhost")!;
      const broken = (): never => {
        throw new RangeError("broken");
      };
      hooks.add("broken", { user_send_packet: broken, user_receive_packet: broken, xmpp_presend_element: broken }, {});
      try {
        romeo.says(`<message to="${juliet.full}" id="1"/>`);
        await juliet.receives`<message id="1"/>`;
      } finally {
        hooks.remove("broken");
      }
    },
    { logs: ["hook_failed"] },
  );

  story(
    "bytes that are no XML, no UTF-8 or no JIDs end one stream at most",
    { juliet: 1 },
    async ({ juliet, actor, server, door }) => {
      const attacks: (string | Uint8Array)[] = [
        Buffer.from([0x3c, 0xff, 0xfe, 0x3e]),
        "<message to='\ud800'/>",
        "<message to='&#x0;'/>",
        "<message to='&#xD800;'><body/></message>",
        `<message to='${"a".repeat(9000)}@localhost'/>`,
        `<message ${"x".repeat(15_000)}='1' to='juliet@localhost'/>`,
        "<iq/>",
        "<iq type='get' id=''/>",
        "<iq type='set' id='&lt;' to='&lt;@localhost'><x xmlns=''/></iq>",
        "<presence type='subscribe' to='localhost/x'/>",
        "<presence to='@'/>",
        "<presence><priority>999999999999999999999</priority></presence>",
        "<x:message xmlns:x='jabber:client' to='localhost'/>",
        "<message xmlns='jabber:client' xmlns:xml='http://www.w3.org/XML/1998/namespace'/>",
        "</message>",
        "<!DOCTYPE x>",
        "<stream:stream>",
        "<stream:error/>",
        "\u0000",
        "<a xmlns='urn:xmpp:sm:3' h='99999999999'/>",
        "<r xmlns='urn:xmpp:sm:3'/>",
        "<enable xmlns='urn:xmpp:sm:3' resume='maybe'/>",
        "<resume xmlns='urn:xmpp:sm:3'/>",
        "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>=</auth>",
        "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>",
        "<close xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>",
      ];
      for (const attack of attacks) {
        const c = await (await actor("romeo")).logsIn(server.target(door));
        c.element = () => {};
        c.sendsRaw(attack);
        await new Promise((resolve) => setTimeout(resolve, 5));
        c.wire.cut();
      }
      await juliet.receivesNothing();
    },
  );
});

describe("input that comes faster than it is worked on", () => {
  const place = stage();
  const { story } = place;

  for (const [which, kind] of [
    [0, "TCP"],
    [2, "TLS"],
  ] as const) {
    story(
      `waits with its sender (${kind}), and all of it arrives`,
      { juliet: 1 },
      async ({ juliet, actor, server }) => {
        let go: () => void = () => {};
        const gate = new Promise<void>((resolve) => (go = resolve));
        const romeo = await (await actor("romeo")).logsIn(server.target("tcp", which));
        const { hooks } = server.node.hostOf("localhost")!;
        hooks.add("slow", { user_send_message: { at: 1, run: () => gate } }, {});
        const body = "x".repeat(30_000);
        for (let i = 0; i < 400; i++)
          romeo.says(`<message to="${juliet.full}" id="m${i}"><body>${body}</body></message>`);
        await new Promise((resolve) => setTimeout(resolve, 500));
        const session = server.node.sessions.of(romeo.bare)[0] as unknown as { framer: { buffered: number } };
        expect(session.framer.buffered).toBeLessThan(2 * 1024 * 1024);
        hooks.remove("slow");
        go();
        for (let i = 0; i < 400; i++) await juliet.skipsTo((e) => e.attrs["id"] === `m${i}`);
        juliet.tally.assertions++;
      },
      { door: "tcp" },
    );
  }
});

describe("what was not acknowledged", () => {
  const place = stage({ modules: { mod_stream_management: { resume_timeout: 1 } } });
  const { story } = place;

  story(
    "is stored, all but what a feature refuses",
    { romeo: 1, juliet: 1 },
    async ({ romeo, juliet, another, server, door }) => {
      const { hooks } = server.node.hostOf("localhost")!;
      const { StanzaError } = await import("../../core/errors.ts");
      await juliet.managesStream(false);
      for (const id of ["m1", "m2", "m3"])
        romeo.says(`<message to="${juliet.full}" type="chat" id="${id}"><body>x</body></message>`);
      await romeo.settled();
      hooks.add(
        "picky",
        {
          unacknowledged_message: ({ stanza }) => {
            if (stanza.id === "m2") throw new StanzaError("not-acceptable");
          },
        },
        {},
      );
      await juliet.breaks();
      await vi.waitUntil(() => server.node.sessions.of(juliet.bare).length === 0);
      await server.node.endings.settled();
      hooks.remove("picky");
      const back = await another(juliet).logsIn(server.target(door));
      back.says("<presence/>");
      await back.skipsTo((e) => e.attrs["id"] === "m1");
      await back.hears(`<message id="m3" type="chat" from="${romeo.full}"><body>x</body></message>`);
    },
    { logs: ["unacked_stanza_not_rerouted"] },
  );
});

describe("a stream that is resumed at another door", () => {
  const { story } = stage();

  story(
    "XEP-0198 §5: gets what waits for it there, and goes on",
    { romeo: 1, juliet: 1 },
    async ({ romeo, juliet, another, server, door }) => {
      await juliet.managesStream();
      await juliet.breaks();
      romeo.says(`<message to="${juliet.full}" id="m1"><body>&lt;ü</body></message>`);
      await romeo.settled();
      const back = await another(juliet).connects(server.target(door === "tcp" ? "websocket" : "tcp"));
      await back.opens();
      await back.authenticates();
      back.sendsRaw(`<resume xmlns='${NS_SM}' h='0' previd='${juliet.resumeId}'/>`);
      await back.receives`<resumed xmlns="urn:xmpp:sm:3" h="0" previd="${juliet.resumeId}"/>`;
      await back.receives`<message from="${romeo.full}" to="${juliet.full}" id="m1"><body>&lt;ü</body></message>`;
      back.says(`<message to="${romeo.full}" id="m2"><body>x</body></message>`);
      await romeo.receives`<message from="${juliet.full}" id="m2"/>`;
      back.sendsRaw(`<a xmlns='${NS_SM}' h='1'/>`);
      romeo.says(`<message to="${juliet.full}" id="m3"/>`);
      await back.skipsTo((e) => e.attrs["id"] === "m3");
    },
  );
});

describe("two broken streams of one account", () => {
  const { story } = stage({ modules: { mod_stream_management: { resume_timeout: 1 } } });

  story(
    "a message for the account that both were to get is stored once",
    { romeo: 1, juliet: 2 },
    async ({ romeo, juliet: [laptop, phone], another, server, door }) => {
      for (const c of [laptop, phone]) await c.managesStream();
      for (const c of [laptop, phone]) await c.breaks();
      romeo.says(`<message to="${laptop.bare}" type="chat" id="m1"><body>x</body></message>`);
      await romeo.settled();
      await new Promise((resolve) => setTimeout(resolve, 2_500));
      const back = await another(laptop).logsIn(server.target(door));
      back.says("<presence/>");
      await back.skipsTo((e) => e.attrs["id"] === "m1");
      const more = await back.settles();
      expect(more.filter((e) => e.name === "message").length).toBe(0);
      back.tally.assertions++;
    },
  );
});
