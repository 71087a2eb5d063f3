// RFC 6120 §4.9: what ends a stream, and what is said then.
import { describe, expect } from "vitest";
import { plain } from "../support/client.ts";
import { stage } from "../support/story.ts";

const { story } = stage({ modules: { mod_stream_management: null } });

describe("the header", () => {
  story(
    "RFC 6120 §4.7: the server's header names itself, an id, the version and a language",
    {},
    async ({ stranger, server, door }) => {
      const c = await stranger().connects(server.target(door));
      await c.opens("localhost");
      const { attrs } = c.streamHeader!;
      expect(attrs).toMatchObject({ from: "localhost", version: "1.0", "xml:lang": "en" });
      expect(attrs["id"]).toMatch(/^\w{16,}$/);
      c.tally.assertions++;
    },
  );

  story("RFC 6120 §4.7.3: every stream has another id", { romeo: 1 }, async ({ romeo, another, server, door }) => {
    const first = romeo.streamHeader!.attrs["id"];
    const other = another(romeo);
    await other.connects(server.target(door));
    await other.opens();
    expect(other.streamHeader!.attrs["id"]).not.toBe(first);
    await other.authenticates();
    expect(other.streamHeader!.attrs["to"]).toBe(romeo.bare);
    other.tally.assertions++;
  });

  story(
    "RFC 6120 §4.9.3.6: a domain that is not served is host-unknown",
    {},
    async ({ stranger, server, door }) => {
      const c = await stranger().connects(server.target(door));
      c.sendsHeader("nowhere.example");
      await c.receivesStreamError("host-unknown");
    },
    { covers: ["connect_SUITE:invalid_host"] },
  );

  story("RFC 6120 §4.7.2: a header without 'to' is host-unknown", {}, async ({ stranger, server, door }) => {
    const c = await stranger().connects(server.target(door));
    c.sendsHeader("", "version='1.0'");
    await c.receivesStreamError("host-unknown");
  });

  story("RFC 6120 §4.7.2: a header for an account is host-unknown", {}, async ({ stranger, server, door }) => {
    const c = await stranger().connects(server.target(door));
    c.sendsHeader("juliet@localhost");
    await c.receivesStreamError("host-unknown");
  });

  story(
    "RFC 6120 §4.9.3.25: a header without a version is unsupported-version",
    {},
    async ({ stranger, server, door }) => {
      const c = await stranger().connects(server.target(door));
      c.sendsHeader("localhost", "");
      await c.receivesStreamError("unsupported-version");
    },
    { covers: ["websockets_SUITE:invalid_xmpp_version_is_rejected", "connect_SUITE:deny_pre_xmpp_1_0_stream"] },
  );

  story(
    "RFC 6120 §4.9.3.25: version 0.9 is unsupported-version",
    {},
    async ({ stranger, server, door }) => {
      const c = await stranger().connects(server.target(door));
      c.sendsHeader("localhost", "version='0.9'");
      await c.receivesStreamError("unsupported-version");
    },
    { covers: ["connect_SUITE:invalid_stream_version"] },
  );

  story(
    "RFC 6120 §4.9.3.1: a second header on an open stream ends it",
    {},
    async ({ stranger, server, door }) => {
      const c = await stranger().connects(server.target(door));
      await c.opens("localhost");
      c.wire.send(
        door === "tcp"
          ? "<stream:stream to='localhost' version='1.0'><a/></stream:stream>"
          : "<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='localhost' version='1.0'/>",
      );
      // Over TCP it is an element of the open stream, which nobody may send before authentication.
      await c.receivesStreamError(door === "tcp" ? "not-authorized" : "bad-format");
    },
    { covers: ["connect_SUITE:close_connection_if_start_stream_duplicated"] },
  );

  story(
    "RFC 6120 §4.9.3.10: another namespace than that of streams is invalid-namespace",
    {},
    async ({ stranger, server, door }) => {
      const c = await stranger().connects(server.target(door));
      c.sendsRaw(
        "<stream:stream xmlns='jabber:client' xmlns:stream='http://example.org/' to='localhost' version='1.0'>",
      );
      await c.receivesStreamError("invalid-namespace");
    },
    { door: "tcp", covers: ["connect_SUITE:invalid_stream_namespace"] },
  );

  story(
    "RFC 6120 §4.9.3.10: another content namespace than jabber:client is invalid-namespace",
    {},
    async ({ stranger, server, door }) => {
      const c = await stranger().connects(server.target(door));
      c.sendsRaw(
        "<stream:stream xmlns='jabber:nope' xmlns:stream='http://etherx.jabber.org/streams' to='localhost' version='1.0'>",
      );
      await c.receivesStreamError("invalid-namespace");
    },
    { door: "tcp" },
  );

  story(
    "RFC 6120 §4.9.3.22: an encoding other than UTF-8 is unsupported-encoding",
    {},
    async ({ stranger, server, door }) => {
      const c = await stranger().connects(server.target(door));
      c.sendsRaw("<?xml version='1.0' encoding='ISO-8859-1'?><stream:stream>");
      await c.receivesStreamError("unsupported-encoding");
    },
    { door: "tcp" },
  );

  for (const [what, bytes] of [
    ["text", "hello\n\n"],
    ["an HTTP request", "GET / HTTP/1.1\r\nHost: x\r\n\r\n"],
    ["a TLS ClientHello", Buffer.from("1603010200010001fc0303", "hex")],
    ["an end tag", "</stream:stream>"],
  ] as const) {
    story(
      `RFC 6120 §4.9.3.13: ${what} instead of a header is not-well-formed`,
      {},
      async ({ stranger, server, door }) => {
        const c = await stranger().connects(server.target(door));
        c.sendsRaw(bytes);
        const header = await c.receivesHeader();
        expect(header.attrs).toMatchObject({ version: "1.0", from: "localhost" });
        await c.receivesStreamError("not-well-formed");
      },
      {
        door: "tcp",
        ...(what === "text" && {
          covers: ["connect_SUITE:bad_xml", "connect_SUITE:return_proper_stream_error_if_service_is_not_hidden"],
        }),
      },
    );
  }
});

describe("what is not XMPP", () => {
  const bad: [title: string, markup: string | Uint8Array, condition: string][] = [
    ["§4.9.3.13: tags that do not match", "<message><body></message>", "not-well-formed"],
    ["§4.9.3.13: an attribute without quotes", "<message to=x/>", "not-well-formed"],
    ["§4.9.3.13: an attribute given twice", "<message to='a' to='b'/>", "not-well-formed"],
    ["§4.9.3.13: a control character", "<message><body>\u0001</body></message>", "not-well-formed"],
    ["§4.9.3.13: U+FFFE", "<message><body>\ufffe</body></message>", "not-well-formed"],
    ["§4.9.3.13: a character reference to nothing", "<message><body>&#0;</body></message>", "not-well-formed"],
    ["§4.9.3.2: a prefix that is not bound", "<message><x:y/></message>", "bad-namespace-prefix"],
    ["§4.9.3.18: a comment", "<message><!-- c --></message>", "restricted-xml"],
    ["§4.9.3.18: a processing instruction", "<message><?foo bar?></message>", "restricted-xml"],
    ["§4.9.3.18: a document type", "<!DOCTYPE a [<!ENTITY b 'c'>]>", "restricted-xml"],
    ["§4.9.3.18: an entity of one's own", "<message><body>&nope;</body></message>", "restricted-xml"],
  ];
  for (const [title, markup, condition] of bad) {
    story(`RFC 6120 ${title} is ${condition}`, { romeo: 1, juliet: 1 }, async ({ romeo, juliet }) => {
      romeo.sendsRaw(markup);
      await romeo.receivesStreamError(condition);
      await juliet.receivesNothing();
    });
  }

  story(
    "RFC 6120 §11.6: bytes that are not UTF-8 are not-well-formed",
    { romeo: 1 },
    async ({ romeo }) => {
      romeo.sendsRaw(Buffer.concat([Buffer.from("<message><body>"), Buffer.from([0xc3, 0x28])]));
      romeo.sendsRaw("</body></message>");
      await romeo.receivesStreamError("not-well-formed");
    },
    { door: "tcp" },
  );

  story(
    "RFC 6120 §4.9.3.1: text between stanzas is bad-format",
    { romeo: 1 },
    async ({ romeo }) => {
      romeo.sendsRaw("hello");
      await romeo.receivesStreamError("bad-format");
    },
    { door: "tcp" },
  );

  story(
    "RFC 6120 §4.9.3.14: an element larger than max_stanza_size is a policy-violation",
    { romeo: 1, juliet: 1 },
    async ({ romeo, juliet }) => {
      romeo.says(`<message to="${juliet.full}"><body>${"x".repeat(66_000)}</body></message>`);
      await romeo.receivesStreamError("policy-violation");
      await juliet.receivesNothing();
    },
    { covers: ["mim_c2s_SUITE:too_big_stanza_is_rejected", "websockets_SUITE:too_big_stanza_is_rejected"] },
  );

  story("a stanza just below max_stanza_size is delivered", { romeo: 1, juliet: 1 }, async ({ romeo, juliet }) => {
    const body = "x".repeat(65_000);
    romeo.says(`<message to="${juliet.full}"><body>${body}</body></message>`);
    await juliet.hears(`<message><body>${body}</body></message>`);
  });

  story("RFC 6120 §4.9.3.14: elements nested too deeply are a policy-violation", { romeo: 1 }, async ({ romeo }) => {
    romeo.says(`<message>${"<a>".repeat(600)}${"</a>".repeat(600)}</message>`);
    await romeo.receivesStreamError("policy-violation");
  });

  story("RFC 6120 §4.9.3.14: too many attributes are a policy-violation", { romeo: 1 }, async ({ romeo }) => {
    const attributes = Array.from({ length: 300 }, (_, i) => `a${i}='1'`).join(" ");
    romeo.says(`<message ${attributes}/>`);
    await romeo.receivesStreamError("policy-violation");
  });

  story("RFC 6120 §4.9.3.14: too many elements are a policy-violation", { romeo: 1 }, async ({ romeo }) => {
    romeo.says(`<message>${"<a/>".repeat(16_000)}</message>`);
    await romeo.receivesStreamError("policy-violation");
  });
});

describe("stanzas out of place", () => {
  for (const stanza of ["message", "presence", "iq"]) {
    story(
      `RFC 6120 §4.9.3.12: ${stanza} before authentication is not-authorized`,
      { juliet: 1 },
      async ({ juliet, stranger, server, door }) => {
        const c = await stranger().connects(server.target(door));
        await c.opens("localhost");
        c.says(`<${stanza} to="${juliet.full}" type="get" id="1"><ping xmlns="urn:xmpp:ping"/></${stanza}>`);
        await c.receivesStreamError("not-authorized");
        await juliet.receivesNothing();
      },
    );
  }

  story(
    "RFC 6120 §7.1: a message before a resource is bound is not-authorized",
    { juliet: 1 },
    async ({ juliet, actor, server, door }) => {
      const c = await (await actor("romeo")).connects(server.target(door));
      await c.opens();
      await c.authenticates();
      c.sends`<message to="${juliet.full}"><body>Too early</body></message>`;
      await c.receivesStreamError("not-authorized");
      await juliet.receivesNothing();
    },
    { covers: ["connect_SUITE:close_connection_if_protocol_violation_after_authentication"] },
  );

  for (const [what, from] of [
    ["another account", "juliet@localhost"],
    ["another resource", ""],
    ["a domain", "localhost"],
    ["no JID at all", "@@@"],
  ]) {
    story(
      `RFC 6120 §8.1.2.1: a 'from' of ${what} is invalid-from`,
      { romeo: 1, juliet: 1 },
      async ({ romeo, juliet }) => {
        romeo.sends`<message from="${from || `${romeo.bare}/other`}" to="${juliet.full}"><body>Spoof</body></message>`;
        await romeo.receivesStreamError("invalid-from");
        await juliet.receivesNothing();
      },
    );
  }

  story(
    "RFC 6120 §8.1.2.1: one's own bare or full JID as 'from' is accepted, and becomes the full one",
    { romeo: 1, juliet: 1 },
    async ({ romeo, juliet }) => {
      romeo.sends`<message from="${romeo.bare}" to="${juliet.full}" id="1"/>`;
      romeo.sends`<message from="${romeo.full}" to="${juliet.full}" id="2"/>`;
      await juliet.receives`<message from="${romeo.full}" id="1"/>`;
      await juliet.receives`<message from="${romeo.full}" id="2"/>`;
    },
  );

  for (const markup of ['<foo xmlns="urn:bar"/>', '<message xmlns="urn:other" to="juliet@localhost"/>', "<stanza/>"]) {
    story(
      `RFC 6120 §4.9.3.24: ${markup} is unsupported-stanza-type`,
      { romeo: 1 },
      async ({ romeo }) => {
        romeo.says(markup);
        await romeo.receivesStreamError("unsupported-stanza-type");
      },
      { covers: ["connect_SUITE:close_connection_if_protocol_violation_after_binding"] },
    );
  }
});

describe("the end", () => {
  story("RFC 6120 §4.4: a closed stream is closed by the other side too", { romeo: 1 }, async ({ romeo }) => {
    await romeo.leaves();
    await romeo.receivesEnd();
  });

  story(
    "RFC 6120 §4.4: stanzas sent before the closing tag are delivered",
    { romeo: 1, juliet: 1 },
    async ({ romeo, juliet }) => {
      romeo.sends`<message to="${juliet.full}"><body>Goodbye</body></message>`;
      await romeo.leaves();
      await juliet.receives`<message from="${romeo.full}"><body>Goodbye</body></message>`;
    },
  );

  story("a stream can be closed before authentication", {}, async ({ stranger, server, door }) => {
    const c = await stranger().connects(server.target(door));
    await c.opens("localhost");
    await c.leaves();
    await c.receivesEnd();
  });
});

describe("who the client says it is", () => {
  story(
    "RFC 6120 §4.7.2: a 'from' in the header is answered in 'to'",
    {},
    async ({ actor, server, door }) => {
      const c = await (await actor("romeo")).connects(server.target(door));
      c.sendsHeader("localhost", `from='${c.bare}' version='1.0'`);
      const header = await c.receivesHeader();
      expect(header.attrs["to"]).toBe(c.bare);
      await c.receives`<stream:features/>`;
      await c.authenticates();
      await c.binds();
    },
    { covers: ["mim_c2s_SUITE:client_sets_stream_from_server_answers_with_to"] },
  );

  story(
    "RFC 6120 §4.9.3.9: who proves to be another than he said gets invalid-from",
    { juliet: 1 },
    async ({ juliet, actor, server, door }) => {
      const c = await (await actor("romeo")).connects(server.target(door));
      c.sendsHeader("localhost", `from='${juliet.bare}' version='1.0'`);
      await c.receives`<stream:features/>`;
      c.sendsRaw(plain(c.local, c.account.password));
      await c.receivesStreamError("invalid-from");
    },
    { covers: ["mim_c2s_SUITE:stream_from_does_not_match_sasl_jid_results_in_stream_error"] },
  );

  story(
    "RFC 6120 §4.9.3.9: the same in the header after authentication",
    { juliet: 1 },
    async ({ juliet, actor, server, door }) => {
      const c = await (await actor("romeo")).connects(server.target(door));
      await c.opens();
      c.sendsRaw(plain(c.local, c.account.password));
      await c.receives`<success xmlns="urn:ietf:params:xml:ns:xmpp-sasl"/>`;
      c.sendsHeader("localhost", `from='${juliet.bare}' version='1.0'`);
      await c.receivesStreamError("invalid-from");
    },
  );

  story(
    "RFC 6120 §4.9.3.14: a header that is too long is a policy-violation",
    {},
    async ({ stranger, server, door }) => {
      const c = await stranger().connects(server.target(door));
      c.sendsHeader("localhost", `version='1.0' x='${"y".repeat(70_000)}'`);
      await c.receivesStreamError("policy-violation");
    },
    { covers: ["mim_c2s_SUITE:too_big_opening_tag_is_rejected"] },
  );
});

describe("hide_service_name", () => {
  const { story } = stage({ general: { hide_service_name: true } });

  for (const [what, send] of [
    ["something else than XMPP", "hello\n"],
    ["a domain that is not ours", undefined],
  ] as const) {
    story(
      `who sends ${what} is told nothing`,
      {},
      async ({ stranger, server, door }) => {
        const c = await stranger().connects(server.target(door));
        if (send === undefined) c.sendsHeader("nowhere.example");
        else c.sendsRaw(send);
        await c.losesConnection();
        expect([c.streamHeader, c.streamEnded]).toEqual([undefined, false]);
      },
      { covers: ["connect_SUITE:close_connection_if_service_type_is_hidden"] },
    );
  }

  story("who speaks XMPP sees no difference", { romeo: 1 }, async ({ romeo }) => {
    romeo.sends`<nonsense/>`;
    await romeo.receivesStreamError("unsupported-stanza-type");
  });
});
