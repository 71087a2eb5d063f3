// RFC 6120 §6: who a client is. Mechanisms, failures, and what a stream allows after each.
import { describe, expect } from "vitest";
import { type Client, plain } from "../support/client.ts";
import { childOf, childrenOf, textOf } from "../support/match.ts";
import { stage } from "../support/story.ts";
import { ScramClient } from "../unit/core/sasl/client.ts";

const NS_SASL = "urn:ietf:params:xml:ns:xmpp-sasl";
const HASHES = { 1: "sha1", 224: "sha224", 256: "sha256", 384: "sha384", 512: "sha512" } as const;
type Bits = keyof typeof HASHES;
const ALL_BITS = Object.keys(HASHES).map(Number) as Bits[];

const mechanisms = (c: Client): string[] => {
  const list = childOf(c.features!, "mechanisms", NS_SASL);
  return list ? childrenOf(list).map(textOf) : [];
};
const auth = (mechanism: string, data: string | Uint8Array): string =>
  `<auth xmlns="${NS_SASL}" mechanism="${mechanism}">${typeof data === "string" ? data : Buffer.from(data).toString("base64")}</auth>`;
const failure = (condition: string): string => `<failure xmlns="${NS_SASL}"><${condition}/></failure>`;

/** Runs SCRAM until the server's last word; the story says which that must be. */
async function scram(c: Client, bits: Bits, password: string, name = c.local): Promise<ScramClient> {
  const client = new ScramClient({ hash: HASHES[bits], username: name, password, nonce: "fyko+d2lbbFgONRv9qkxdawL" });
  c.sendsRaw(auth(`SCRAM-SHA-${bits}`, client.first()));
  const challenge = await c.hears(`<challenge xmlns="${NS_SASL}">{any}</challenge>`);
  const response = client.final(Buffer.from(textOf(challenge), "base64"));
  c.sendsRaw(`<response xmlns="${NS_SASL}">${response.toString("base64")}</response>`);
  return client;
}

async function scramSucceeds(c: Client, bits: Bits): Promise<void> {
  const client = await scram(c, bits, c.account.password);
  const signature = Buffer.from(client.serverSignature()).toString("base64");
  await c.hears(`<success xmlns="${NS_SASL}">${signature}</success>`);
  await c.opens();
  await c.binds();
}

describe("passwords stored as they are", () => {
  const { story } = stage();

  story("RFC 6120 §6.3.3: mechanisms are offered, the strongest first", {}, async ({ stranger, server, door }) => {
    const c = await stranger().connects(server.target(door));
    await c.opens();
    expect(mechanisms(c)).toEqual([
      "SCRAM-SHA-512",
      "SCRAM-SHA-384",
      "SCRAM-SHA-256",
      "SCRAM-SHA-224",
      "SCRAM-SHA-1",
      "PLAIN",
    ]);
    c.tally.assertions++;
  });

  story(
    "RFC 6120 §6.4.6: after success a new stream offers no mechanisms, but binding",
    {},
    async ({ actor, server, door }) => {
      const c = await (await actor("romeo")).connects(server.target(door));
      await c.opens();
      c.sendsRaw(plain(c.local, c.account.password));
      await c.hears(`<success xmlns="${NS_SASL}"/>`);
      await c.opens();
      expect(mechanisms(c)).toEqual([]);
      expect(childOf(c.features!, "bind", "urn:ietf:params:xml:ns:xmpp-bind")).toBeDefined();
    },
    { covers: ["login_SUITE:log_one", "mim_c2s_SUITE:two_users_can_log_and_chat"] },
  );

  for (const bits of ALL_BITS) {
    story(
      `RFC 5802: SCRAM-SHA-${bits} lets in who knows the password, and proves that the server knows it`,
      {},
      async ({ actor, server, door }) => {
        const c = await (await actor("romeo")).connects(server.target(door));
        await c.opens();
        await scramSucceeds(c, bits);
      },
      { covers: [`login_SUITE:log_one_scram_sha${bits}`] },
    );
  }

  for (const [who, wrong] of [
    ["a wrong password", "wrong"],
    ["no account", undefined],
  ] as const) {
    story(
      `RFC 6120 §6.5.10: PLAIN with ${who} is not-authorized`,
      {},
      async ({ actor, stranger, server, door }) => {
        const c = await (wrong ? await actor("romeo") : stranger()).connects(server.target(door));
        await c.opens();
        c.sendsRaw(plain(c.local, wrong ?? "secret"));
        await c.hears(failure("not-authorized"));
      },
      { covers: [wrong ? "login_SUITE:log_bad_user_fails" : "login_SUITE:log_non_existent_plain"] },
    );

    story(
      `RFC 5802 §7: SCRAM with ${who} fails only at the end, so that accounts cannot be guessed`,
      {},
      async ({ actor, stranger, server, door }) => {
        const c = await (wrong ? await actor("romeo") : stranger()).connects(server.target(door));
        await c.opens();
        await scram(c, 256, wrong ?? "secret");
        await c.hears(failure("not-authorized"));
      },
      {
        covers: [wrong ? "login_SUITE:scram_failed_with_non_authorized" : "login_SUITE:log_non_existent_scram"],
      },
    );
  }

  const bad: [title: string, markup: string, condition: string][] = [
    ["§6.5.7: a mechanism that is not offered is invalid-mechanism", auth("NOPE", "AA=="), "invalid-mechanism"],
    [
      "§6.5.7: a mechanism of TLS without TLS is invalid-mechanism",
      auth("SCRAM-SHA-1-PLUS", "AA=="),
      "invalid-mechanism",
    ],
    ["§6.5.7: no mechanism at all is invalid-mechanism", `<auth xmlns="${NS_SASL}"/>`, "invalid-mechanism"],
    ["§6.5.5: what is not base64 is incorrect-encoding", auth("PLAIN", "!!!notbase64"), "incorrect-encoding"],
    ["§6.5.5: base64 in base64's disorder is incorrect-encoding", auth("PLAIN", "AGE=="), "incorrect-encoding"],
    [
      "§6.5.8: PLAIN without a password is malformed-request",
      auth("PLAIN", Buffer.from("\0romeo")),
      "malformed-request",
    ],
    [
      "§6.5.8: a <response/> to nothing is malformed-request",
      `<response xmlns="${NS_SASL}">AA==</response>`,
      "malformed-request",
    ],
    ["§6.5.8: another element of SASL is malformed-request", `<success xmlns="${NS_SASL}"/>`, "malformed-request"],
    ["§6.5.1: <abort/> is aborted", `<abort xmlns="${NS_SASL}"/>`, "aborted"],
  ];
  for (const [title, markup, condition] of bad) {
    story(`RFC 6120 ${title}, and the stream goes on`, {}, async ({ actor, server, door }) => {
      const c = await (await actor("romeo")).connects(server.target(door));
      await c.opens();
      c.sendsRaw(markup);
      await c.hears(failure(condition));
      await c.authenticates();
      await c.binds();
    });
  }

  story(
    "RFC 6120 §6.5.6: somebody else's authorization identity is invalid-authzid",
    {},
    async ({ actor, server, door }) => {
      const c = await (await actor("romeo")).connects(server.target(door));
      await c.opens();
      c.sendsRaw(auth("PLAIN", Buffer.from(`juliet@localhost\0${c.local}\0${c.account.password}`)));
      await c.hears(failure("invalid-authzid"));
    },
  );

  story("RFC 4616: one's own bare JID is an authorization identity", {}, async ({ actor, server, door }) => {
    const c = await (await actor("romeo")).connects(server.target(door));
    await c.opens();
    c.sendsRaw(auth("PLAIN", Buffer.from(`${c.bare}\0${c.local}\0${c.account.password}`)));
    await c.hears(`<success xmlns="${NS_SASL}"/>`);
  });

  story(
    "RFC 6120 §6.4.4: a challenge can be aborted, and another mechanism tried",
    {},
    async ({ actor, server, door }) => {
      const c = await (await actor("romeo")).connects(server.target(door));
      await c.opens();
      c.sendsRaw(auth("SCRAM-SHA-1", Buffer.from(`n,,n=${c.local},r=abc`)));
      await c.hears(`<challenge xmlns="${NS_SASL}">{any}</challenge>`);
      c.sendsRaw(`<abort xmlns="${NS_SASL}"/>`);
      await c.hears(failure("aborted"));
      await c.authenticates();
    },
  );

  story("RFC 6120 §6.4.5: five failures end the stream", {}, async ({ actor, server, door }) => {
    const c = await (await actor("romeo")).connects(server.target(door));
    await c.opens();
    for (let i = 0; i < 5; i++) {
      c.sendsRaw(plain(c.local, `wrong${i}`));
      await c.hears(failure("not-authorized"));
    }
    await c.receivesStreamError("policy-violation");
  });

  story("RFC 6120 §6.4.6: nobody authenticates twice on one stream", {}, async ({ actor, server, door }) => {
    const c = await (await actor("romeo")).connects(server.target(door));
    await c.opens();
    await c.authenticates();
    c.sendsRaw(plain(c.local, c.account.password));
    await c.receivesStreamError("not-authorized");
  });

  story(
    "RFC 6120 §6.4.6: the stream after authentication is for the same domain",
    {},
    async ({ actor, server, door }) => {
      const c = await (await actor("romeo")).connects(server.target(door));
      await c.opens();
      c.sendsRaw(plain(c.local, c.account.password));
      await c.hears(`<success xmlns="${NS_SASL}"/>`);
      c.sendsHeader("nowhere.example");
      await c.receivesStreamError("host-unknown");
    },
  );

  story("RFC 6120 §6.3.8: names are prepared before they are compared", {}, async ({ actor, server, door }) => {
    const c = await (await actor("romeo")).connects(server.target(door));
    await c.opens();
    c.sendsRaw(plain(c.local.toUpperCase(), c.account.password));
    await c.hears(`<success xmlns="${NS_SASL}"/>`);
    await c.opens();
    await c.binds("r");
    expect(c.full).toBe(`${c.local}@localhost/r`);
  });

  story(
    "RFC 6120 §6.4: everything from the first header to initial presence may be sent at once",
    {},
    async ({ actor, server, door }) => {
      const c = await (await actor("romeo")).connects(server.target(door));
      const header =
        "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='localhost' version='1.0'>";
      const bind =
        "<iq id='bind' type='set'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>r</resource></bind></iq>";
      c.sendsRaw(`${header}${plain(c.local, c.account.password)}${header}${bind}<presence/>`);
      await c.hears("<stream:features/>");
      await c.hears(`<success xmlns="${NS_SASL}"/>`);
      await c.hears("<stream:features/>");
      await c.hears("<iq id='bind' type='result'/>");
      await c.hears(`<presence from='${c.bare}/r'/>`);
    },
    { door: "tcp" },
  );

  story(
    "RFC 6120 §6.4: when what was sent at once fails to authenticate, nothing behind it is taken",
    { juliet: 1 },
    async ({ juliet, actor, server, door }) => {
      const c = await (await actor("romeo")).connects(server.target(door));
      const header =
        "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='localhost' version='1.0'>";
      c.sendsRaw(`${header}${plain(c.local, "wrong")}<message to='${juliet.full}'><body>In?</body></message>`);
      await c.hears("<stream:features/>");
      await c.hears(failure("not-authorized"));
      await c.receivesStreamError("not-authorized");
      await juliet.receivesNothing();
    },
    { door: "tcp", covers: ["connect_SUITE:auth_bind_pipelined_auth_failure"] },
  );
});

describe("passwords stored for SCRAM-SHA-256", () => {
  const { story } = stage({ auth: { password: { format: "scram", hash: ["sha256"], scram_iterations: 4096 } } });

  story("only the hashes that are stored are offered", {}, async ({ stranger, server, door }) => {
    const c = await stranger().connects(server.target(door));
    await c.opens();
    expect(mechanisms(c)).toEqual(["SCRAM-SHA-256", "PLAIN"]);
    c.tally.assertions++;
  });

  story(
    "RFC 7677: SCRAM-SHA-256 lets in who knows the password",
    {},
    async ({ actor, server, door }) => {
      const c = await (await actor("romeo")).connects(server.target(door));
      await c.opens();
      await scramSucceeds(c, 256);
    },
    { covers: ["login_SUITE:configure_sha256_log_with_sha256"] },
  );

  story(
    "SCRAM with a hash that is not stored is refused",
    {},
    async ({ actor, server, door }) => {
      const c = await (await actor("romeo")).connects(server.target(door));
      await c.opens();
      c.sendsRaw(auth("SCRAM-SHA-384", Buffer.from(`n,,n=${c.local},r=abc`)));
      await c.hears(failure("invalid-mechanism"));
    },
    { covers: ["login_SUITE:configure_sha256_fail_log_with_sha384"] },
  );

  story("PLAIN works against a password that is stored for SCRAM", {}, async ({ actor, server, door }) => {
    const c = await (await actor("romeo")).connects(server.target(door));
    await c.opens();
    await c.authenticates();
    await c.binds();
    c.tally.assertions++;
  });

  story("a wrong password is refused there too", {}, async ({ actor, server, door }) => {
    const c = await (await actor("romeo")).connects(server.target(door));
    await c.opens();
    c.sendsRaw(plain(c.local, "wrong"));
    await c.hears(failure("not-authorized"));
  });
});

for (const [bits, other] of [
  [1, 224],
  [224, 256],
  [384, 512],
  [512, 1],
] as const) {
  describe(`passwords stored for SCRAM-SHA-${bits}`, () => {
    const hash = bits === 1 ? "sha" : `sha${bits}`;
    const { story } = stage({ auth: { password: { format: "scram", hash: [hash], scram_iterations: 4096 } } });

    story(
      `SCRAM-SHA-${bits} works and SCRAM-SHA-${other} does not`,
      {},
      async ({ actor, server, door }) => {
        const c = await (await actor("romeo")).connects(server.target(door));
        await c.opens();
        c.sendsRaw(auth(`SCRAM-SHA-${other}`, Buffer.from(`n,,n=${c.local},r=abc`)));
        await c.hears(failure("invalid-mechanism"));
        await scramSucceeds(c, bits);
      },
      {
        covers: [
          `login_SUITE:configure_sha${bits}_log_with_sha${bits}`,
          `login_SUITE:configure_sha${bits}_fail_log_with_sha${other}`,
        ],
      },
    );
  });
}

describe("anonymous users", () => {
  const { story } = stage({ auth: { methods: ["anonymous"], anonymous: { allow_multiple_connections: true } } });

  story(
    "RFC 4505: ANONYMOUS gives a name of the server's choice",
    {},
    async ({ stranger, server, door }) => {
      const names: string[] = [];
      for (let i = 0; i < 2; i++) {
        const c = await stranger().connects(server.target(door));
        await c.opens();
        expect(mechanisms(c)).toEqual(["ANONYMOUS"]);
        c.sendsRaw(auth("ANONYMOUS", ""));
        await c.hears(`<success xmlns="${NS_SASL}"/>`);
        await c.opens();
        await c.binds();
        names.push(c.full.split("@")[0]);
      }
      expect(new Set(names).size).toBe(2);
    },
    { covers: ["anonymous_SUITE:connection_is_registered_with_sasl_anon"] },
  );

  story(
    "anonymous users talk to each other",
    {},
    async ({ stranger, server, door }) => {
      const [a, b] = [stranger(), stranger()];
      for (const c of [a, b]) {
        await c.connects(server.target(door));
        await c.opens();
        c.sendsRaw(auth("ANONYMOUS", ""));
        await c.hears(`<success xmlns="${NS_SASL}"/>`);
        await c.opens();
        await c.binds();
      }
      a.says(`<message to="${b.full}" type="chat"><body>Who are you?</body></message>`);
      await b.hears(`<message from="${a.full}"><body>Who are you?</body></message>`);
    },
    { covers: ["anonymous_SUITE:messages_story"] },
  );
});

describe("methods allowed for a listener", () => {
  const { story } = stage({
    auth: { methods: ["internal", "anonymous"], anonymous: {} },
    listen: {
      c2s: [
        { port: 0, ip_address: "127.0.0.1", allowed_auth_methods: ["anonymous"] },
        { port: 0, ip_address: "127.0.0.1", allowed_auth_methods: ["internal"] },
      ],
    },
  });

  story(
    "an account of a method that the listener does not allow cannot log in there",
    {},
    async ({ actor, another, server }) => {
      const c = await (await actor("romeo")).connects(server.target("tcp", 0));
      await c.opens();
      expect(mechanisms(c)).toEqual(["ANONYMOUS"]);
      c.sendsRaw(plain(c.local, c.account.password));
      await c.hears(failure("invalid-mechanism"));
      const elsewhere = another(c);
      await elsewhere.logsIn(server.target("tcp", 1));
      expect(mechanisms(elsewhere)).toEqual([]);
    },
    {
      door: "tcp",
      covers: [
        "auth_methods_for_c2s_SUITE:can_login_to_another_listener",
        "auth_methods_for_c2s_SUITE:can_login_with_allowed_method",
        "auth_methods_for_c2s_SUITE:cannot_login_with_not_allowed_method",
      ],
    },
  );
});
