// RFC 6120 §5 and XEP-0368: encryption of the TCP door, and SASL that is bound to it.
import { connect as tlsConnect } from "node:tls";
import { describe, expect } from "vitest";
import { type Client, plain } from "../support/client.ts";
import { childOf, childrenOf, textOf } from "../support/match.ts";
import { stage } from "../support/story.ts";
import { ScramClient } from "../unit/core/sasl/client.ts";

const NS_TLS = "urn:ietf:params:xml:ns:xmpp-tls";
const NS_SASL = "urn:ietf:params:xml:ns:xmpp-sasl";
const STARTTLS = 1;
const DIRECT = 2;

const mechanisms = (c: Client): string[] => {
  const list = childOf(c.features!, "mechanisms", NS_SASL);
  return list ? childrenOf(list).map(textOf) : [];
};

async function startsTls(c: Client): Promise<void> {
  c.sendsRaw(`<starttls xmlns='${NS_TLS}'/>`);
  await c.hears(`<proceed xmlns="${NS_TLS}"/>`);
  await c.wire.startTls!();
}

const { story } = stage();

describe("STARTTLS", () => {
  story(
    "RFC 6120 §5.3.1: where TLS is required, the features offer nothing else",
    {},
    async ({ stranger, server }) => {
      const c = await stranger().connects(server.target("tcp", STARTTLS));
      await c.opens();
      expect(childrenOf(c.features!).map((f) => f.name)).toEqual(["starttls"]);
      expect(childrenOf(childOf(c.features!, "starttls", NS_TLS)!).map((f) => f.name)).toEqual(["required"]);
      c.tally.assertions++;
    },
    { door: "tcp", covers: ["connect_SUITE:correct_features_are_advertised_for_required_starttls"] },
  );

  story(
    "RFC 6120 §5.4.2: a client goes over to TLS, authenticates and talks",
    { juliet: 1 },
    async ({ juliet, actor, server }) => {
      const c = await (await actor("romeo")).connects(server.target("tcp", STARTTLS));
      await c.opens();
      await startsTls(c);
      await c.opens();
      expect(childOf(c.features!, "starttls")).toBeUndefined();
      await c.authenticates();
      await c.binds();
      c.sends`<message to="${juliet.full}"><body>In private</body></message>`;
      await juliet.receives`<message from="${c.full}"><body>In private</body></message>`;
    },
    { door: "tcp", covers: ["connect_SUITE:tls_authenticate", "connect_SUITE:bind_server_generated_resource"] },
  );

  story(
    "RFC 6120 §6.5.4: log-in before TLS is answered with encryption-required",
    {},
    async ({ actor, server }) => {
      const c = await (await actor("romeo")).connects(server.target("tcp", STARTTLS));
      await c.opens();
      c.sendsRaw(plain(c.local, c.account.password));
      await c.hears(`<failure xmlns="${NS_SASL}"><encryption-required/></failure>`);
    },
    {
      door: "tcp",
      covers: [
        "connect_SUITE:should_fail_to_authenticate_without_starttls",
        "connect_SUITE:auth_bind_pipelined_starttls_skipped_error",
      ],
    },
  );

  story(
    "RFC 6120 §5.3.1: a stanza before TLS is a policy-violation",
    {},
    async ({ stranger, server }) => {
      const c = await stranger().connects(server.target("tcp", STARTTLS));
      await c.opens();
      c.sendsRaw("<iq type='get' id='1'><query xmlns='jabber:iq:register'/></iq>");
      await c.receivesStreamError("policy-violation");
    },
    { door: "tcp" },
  );

  story(
    "RFC 6120 §5.4.3.3: what follows <starttls/> in clear is not taken for encrypted",
    { juliet: 1 },
    async ({ juliet, actor, server }) => {
      const c = await (await actor("romeo")).connects(server.target("tcp", STARTTLS));
      await c.opens();
      const header =
        "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='localhost' version='1.0'>";
      c.sendsRaw(`<starttls xmlns='${NS_TLS}'/>${header}${plain(c.local, c.account.password)}`);
      await c.hears(`<proceed xmlns="${NS_TLS}"/>`);
      // The injected bytes are either thrown away, or spoil the handshake: never acted upon.
      const outcome = await Promise.race([
        c.wire.startTls!().then(() => "encrypted"),
        c.losesConnection().then(() => "ended"),
      ]);
      if (outcome === "encrypted") {
        await c.opens();
        expect(mechanisms(c).length).toBeGreaterThan(0);
      }
      expect(c.waiting).toEqual([]);
      await juliet.receivesNothing();
    },
    { door: "tcp" },
  );

  story(
    "RFC 6120 §5.4.2.2: <starttls/> where there is no TLS fails, and the stream ends",
    {},
    async ({ stranger, server }) => {
      const c = await stranger().connects(server.target("tcp"));
      await c.opens();
      expect(childOf(c.features!, "starttls")).toBeUndefined();
      c.sendsRaw(`<starttls xmlns='${NS_TLS}'/>`);
      await c.hears(`<failure xmlns="${NS_TLS}"/>`);
      await c.receivesEnd();
    },
    {
      door: "tcp",
      covers: [
        "connect_SUITE:starttls_should_fail_when_disabled",
        "connect_SUITE:correct_features_are_advertised_for_disabled_starttls",
      ],
    },
  );

  story(
    "RFC 6120 §5.4.2.2: <starttls/> inside TLS fails",
    {},
    async ({ stranger, server }) => {
      const c = await stranger().connects(server.target("tcp", STARTTLS));
      await c.opens();
      await startsTls(c);
      await c.opens();
      c.sendsRaw(`<starttls xmlns='${NS_TLS}'/>`);
      await c.hears(`<failure xmlns="${NS_TLS}"/>`);
      await c.receivesEnd();
    },
    { door: "tcp" },
  );

  story(
    "a handshake that is none ends the connection and harms nobody",
    { juliet: 1 },
    async ({ juliet, stranger, server }) => {
      const c = await stranger().connects(server.target("tcp", STARTTLS));
      await c.opens();
      c.sendsRaw(`<starttls xmlns='${NS_TLS}'/>`);
      await c.hears(`<proceed xmlns="${NS_TLS}"/>`);
      c.sendsRaw("this is no handshake, this is no handshake, this is no handshake");
      c.wire.restart();
      await c.losesConnection().catch((error: Error) => {
        // An alert of TLS may come first; the test's reader cannot read it.
        if (!/cannot be read|decod/.test(error.message)) throw error;
      });
      await juliet.receivesNothing();
    },
    { door: "tcp" },
  );
});

describe("direct TLS", () => {
  story(
    "XEP-0368: a client speaks TLS from the first byte",
    {},
    async ({ actor, server }) => {
      const c = await (await actor("romeo")).connects(server.target("tcp", DIRECT));
      await c.opens();
      expect(childOf(c.features!, "starttls")).toBeUndefined();
      await c.authenticates();
      await c.binds("orchard");
      expect(c.full).toBe(`${c.bare}/orchard`);
      await c.receivesNothing();
    },
    { door: "tcp" },
  );

  story(
    "a stream in clear at a TLS port gets no answer but the end",
    {},
    async ({ stranger, server }) => {
      const c = await stranger().connects({ ...server.target("tcp", DIRECT), tls: false });
      c.sendsHeader("localhost");
      await c.losesConnection();
      expect(c.streamHeader).toBeUndefined();
    },
    { door: "tcp", covers: ["connect_SUITE:should_fail_without_tls"] },
  );

  story(
    "RFC 6120 §6.4: on TLS too, log-in and binding may be sent at once",
    {},
    async ({ actor, server }) => {
      const c = await (await actor("romeo")).connects(server.target("tcp", DIRECT));
      const header =
        "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='localhost' version='1.0'>";
      await c.opens();
      c.sendsRaw(plain(c.local, c.account.password));
      await c.hears(`<success xmlns="${NS_SASL}"/>`);
      c.wire.restart();
      c.sendsRaw(`${header}<iq id='b' type='set'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>`);
      await c.hears("<stream:features/>");
      await c.hears("<iq id='b' type='result'/>");
    },
    { door: "tcp", covers: ["connect_SUITE:auth_bind_pipelined_session"] },
  );

  for (const [version, works] of [
    ["TLSv1.3", true],
    ["TLSv1.2", true],
    ["TLSv1.1", false],
    ["TLSv1", false],
  ] as const) {
    story(
      `RFC 8996: ${version} is ${works ? "spoken" : "refused"}`,
      {},
      async ({ stranger, server }) => {
        const { port } = server.target("tcp", DIRECT);
        const outcome = await new Promise<string>((resolve) => {
          const socket = tlsConnect(
            { port, host: "127.0.0.1", rejectUnauthorized: false, minVersion: version, maxVersion: version },
            () => {
              resolve(socket.getProtocol() ?? "");
              socket.destroy();
            },
          );
          socket.on("error", () => resolve("refused"));
          socket.on("close", () => resolve("refused"));
        });
        expect(outcome).toBe(works ? version : "refused");
        stranger().tally.assertions++;
      },
      {
        door: "tcp",
        covers: {
          "TLSv1.3": [],
          "TLSv1.2": ["connect_SUITE:should_pass_with_tlsv1_2"],
          "TLSv1.1": ["connect_SUITE:should_fail_with_tlsv1_1"],
          TLSv1: ["connect_SUITE:should_fail_with_tlsv1"],
        }[version],
      },
    );
  }
});

describe("channel binding", () => {
  const HASHES = { 1: "sha1", 224: "sha224", 256: "sha256", 384: "sha384", 512: "sha512" } as const;

  async function binding(c: Client, bits: keyof typeof HASHES, gs2: string, data: Uint8Array, plus = "-PLUS") {
    const client = new ScramClient({
      hash: HASHES[bits],
      username: c.local,
      password: c.account.password,
      nonce: "abcdefghijklmnop",
      gs2,
      binding: data,
    });
    c.sendsRaw(
      `<auth xmlns='${NS_SASL}' mechanism='SCRAM-SHA-${bits}${plus}'>${client.first().toString("base64")}</auth>`,
    );
    const challenge = await c.next();
    if (challenge.name !== "challenge") return challenge;
    const response = client.final(Buffer.from(textOf(challenge), "base64"));
    c.sendsRaw(`<response xmlns='${NS_SASL}'>${response.toString("base64")}</response>`);
    return c.next();
  }

  story(
    "XEP-0440: the types of channel binding are announced, and -PLUS before its plain form",
    {},
    async ({ stranger, server }) => {
      const c = await stranger().connects(server.target("tcp", DIRECT));
      await c.opens();
      const list = childOf(c.features!, "sasl-channel-binding", "urn:xmpp:sasl-cb:0")!;
      expect(childrenOf(list).map((b) => b.attrs["type"])).toEqual(["tls-exporter", "tls-server-end-point"]);
      expect(mechanisms(c).slice(0, 2)).toEqual(["SCRAM-SHA-512-PLUS", "SCRAM-SHA-512"]);
      c.tally.assertions++;
    },
    { door: "tcp" },
  );

  for (const bits of [1, 224, 256, 384, 512] as const) {
    story(
      `RFC 9266: SCRAM-SHA-${bits}-PLUS with tls-exporter lets in`,
      {},
      async ({ actor, server }) => {
        const c = await (await actor("romeo")).connects(server.target("tcp", DIRECT));
        await c.opens();
        const answer = await binding(c, bits, "p=tls-exporter,,", c.wire.exporter!());
        expect(answer.name).toBe("success");
        await c.opens();
        await c.binds();
        c.tally.assertions++;
      },
      { door: "tcp", covers: [`login_SUITE:log_one_scram_sha${bits}_plus`] },
    );
  }

  story(
    "RFC 9266: -PLUS works after STARTTLS too",
    {},
    async ({ actor, server }) => {
      const c = await (await actor("romeo")).connects(server.target("tcp", STARTTLS));
      await c.opens();
      await startsTls(c);
      await c.opens();
      expect((await binding(c, 256, "p=tls-exporter,,", c.wire.exporter!())).name).toBe("success");
    },
    { door: "tcp" },
  );

  story(
    "RFC 5802 §6: the data of another channel are refused",
    {},
    async ({ actor, server }) => {
      const c = await (await actor("romeo")).connects(server.target("tcp", DIRECT));
      await c.opens();
      const answer = await binding(c, 256, "p=tls-exporter,,", new Uint8Array(32));
      expect(childrenOf(answer)[0].name).toBe("not-authorized");
      c.tally.assertions++;
    },
    { door: "tcp" },
  );

  story(
    "RFC 5802 §6: a client that could bind and was told that the server cannot is being deceived: refused",
    {},
    async ({ actor, server }) => {
      const c = await (await actor("romeo")).connects(server.target("tcp", DIRECT));
      await c.opens();
      const answer = await binding(c, 256, "y,,", new Uint8Array(0), "");
      expect(answer.name).toBe("failure");
      c.tally.assertions++;
    },
    { door: "tcp" },
  );

  story(
    "RFC 5802 §6: a type of binding that the server does not know is refused",
    {},
    async ({ actor, server }) => {
      const c = await (await actor("romeo")).connects(server.target("tcp", DIRECT));
      await c.opens();
      const answer = await binding(c, 256, "p=tls-unique,,", new Uint8Array(12));
      expect(answer.name).toBe("failure");
      c.tally.assertions++;
    },
    { door: "tcp" },
  );
});

describe("TLS offered and not required", () => {
  const { story } = stage({
    listen: { c2s: [{ port: 0, ip_address: "127.0.0.1", tls: { mode: "starttls", verify_mode: "none" } }] },
  });

  story(
    "RFC 6120 §5.3.1: both STARTTLS and mechanisms are offered, and either way leads to a session",
    {},
    async ({ actor, another, server }) => {
      const open = await (await actor("romeo")).connects(server.target("tcp"));
      await open.opens();
      expect(childrenOf(childOf(open.features!, "starttls", NS_TLS)!)).toEqual([]);
      expect(mechanisms(open)).toContain("PLAIN");
      await open.authenticates();
      await open.binds();
      const secret = await another(open).connects(server.target("tcp"));
      await secret.opens();
      await startsTls(secret);
      await secret.opens();
      await secret.authenticates();
      await secret.binds();
      expect(secret.full).not.toBe(open.full);
    },
    { door: "tcp", covers: ["connect_SUITE:correct_features_are_advertised_for_optional_starttls"] },
  );

  story(
    "a listener that lets passwords through in clear says so in the log when it opens",
    { romeo: 1 },
    async ({ romeo, server }) => {
      const warnings = server.logged.filter((line) => line.level === "warning");
      expect(warnings).toContainEqual(expect.objectContaining({ what: "plain_text_authentication_possible" }));
      romeo.tally.assertions++;
    },
    { door: "tcp" },
  );
});
