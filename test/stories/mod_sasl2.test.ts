// XEP-0388: authentication in one step, over TLS alone.
import { describe, expect } from "vitest";
import type { Client } from "../support/client.ts";
import { childOf, childrenOf, textOf } from "../support/match.ts";
import {
  arrives,
  authenticate,
  authenticates,
  bind,
  NS_SASL,
  NS_SASL2,
  NS_SM,
  offer,
  plainData,
  response,
  SECURE_DOORS,
  secure,
  succeeds,
  UUID,
  userAgent,
} from "../support/sasl2.ts";
import { type Scene, stage } from "../support/story.ts";
import { ScramClient } from "../unit/core/sasl/client.ts";

const NS_STANZAS = "urn:ietf:params:xml:ns:xmpp-stanzas";

const failure = (condition: string): string =>
  `<failure xmlns="${NS_SASL2}"><${condition} xmlns="${NS_SASL}"/></failure>`;

const { story } = stage(SECURE_DOORS);

/** A client of an account that exists, connected over TLS. */
async function romeo({ actor, server, door }: Scene): Promise<Client> {
  return arrives(await actor("romeo"), server, door);
}

describe("what is offered", () => {
  story(
    "XEP-0388 §4: nothing without TLS, and nothing is taken there",
    {},
    async ({ actor, server, door }) => {
      const c = await (await actor("romeo")).connects(server.target(door));
      await c.opens();
      expect(offer(c)).toBeUndefined();
      c.sendsRaw(authenticate("PLAIN", plainData(c)));
      await c.hears(failure("encryption-required"));
    },
    { covers: ["sasl2_SUITE:server_does_not_announce_if_not_tls"] },
  );

  story(
    "XEP-0388 §4: where TLS is required, <authenticate/> in clear is refused",
    {},
    async ({ actor, server }) => {
      const c = await (await actor("romeo")).connects(server.target("tcp", 1));
      await c.opens();
      expect(offer(c)).toBeUndefined();
      c.sendsRaw(authenticate("PLAIN", plainData(c)));
      await c.receivesStreamError("policy-violation");
    },
    { door: "tcp" },
  );

  story(
    "XEP-0388 §2.1: the mechanisms of RFC 6120's list, and what can be asked for inline",
    {},
    async (scene) => {
      const c = await romeo(scene);
      const named = (list: ReturnType<typeof offer>) =>
        childrenOf(list!)
          .filter((e) => e.name === "mechanism")
          .map(textOf);
      expect(named(offer(c))).toEqual(named(childOf(c.features!, "mechanisms", NS_SASL)));
      expect(named(offer(c))).toContain("SCRAM-SHA-256");
      expect(childOf(childOf(offer(c)!, "inline", NS_SASL2)!, "sm", NS_SM)).toBeDefined();
      c.tally.assertions++;
    },
    { covers: ["sasl2_SUITE:server_announces_sasl2_with_some_mechanism_and_inline_sm"] },
  );

  story(
    "XEP-0440: the binding types stand beside both lists once",
    {},
    async (scene) => {
      const c = await romeo(scene);
      const types = childrenOf(c.features!).filter((e) => e.ns === "urn:xmpp:sasl-cb:0");
      expect(types.map((e) => childrenOf(e).map((t) => t.attrs["type"]))).toEqual([
        ["tls-exporter", "tls-server-end-point"],
      ]);
      c.tally.assertions++;
    },
    { door: "tcp" },
  );
});

describe("one step", () => {
  story(
    "XEP-0388 §2.6.1: PLAIN: the bare JID, then features of the same stream, then binding as ever",
    {},
    async (scene) => {
      const c = await romeo(scene);
      c.sendsRaw(authenticate("PLAIN", plainData(c)));
      await c.receives`<success xmlns="${NS_SASL2}"><authorization-identifier>${c.bare}</authorization-identifier></success>`;
      const features =
        await c.receives`<stream:features><bind xmlns="urn:ietf:params:xml:ns:xmpp-bind"/></stream:features>`;
      expect(childOf(features, "authentication", NS_SASL2)).toBeUndefined();
      await c.binds("orchard");
      await c.comesOnline();
    },
    { covers: ["sasl2_SUITE:authenticate_with_plain"] },
  );

  story(
    "XEP-0388 §2.3: a user-agent needs no id",
    {},
    async (scene) => {
      const c = await romeo(scene);
      const success = await authenticates(c, userAgent());
      expect(textOf(childOf(success, "authorization-identifier")!)).toBe(c.bare);
    },
    { covers: ["sasl2_SUITE:authenticate_with_plain_and_user_agent_without_id"] },
  );

  story(
    "XEP-0388 §2.3: an id that is no UUID ends the stream",
    {},
    async (scene) => {
      const c = await romeo(scene);
      c.sendsRaw(authenticate("PLAIN", plainData(c), userAgent("bad-id")));
      await c.receivesStreamError("policy-violation");
    },
    { covers: ["sasl2_SUITE:user_agent_is_invalid"] },
  );

  story(
    "XEP-0388 §2.3: nor is a UUID of another version good",
    {},
    async (scene) => {
      const c = await romeo(scene);
      c.sendsRaw(authenticate("PLAIN", plainData(c), userAgent("a55c8fde-2cef-0655-a55c-8fde2cefc655")));
      await c.receivesStreamError("policy-violation");
    },
    { covers: ["sasl2_SUITE:user_agent_is_invalid_uuid_but_not_v4"] },
  );

  story(
    "XEP-0388 §2.3: a mechanism that was not offered fails, and the next attempt may succeed",
    {},
    async (scene) => {
      const c = await romeo(scene);
      c.sendsRaw(authenticate("invalid-non-existent-mechanism", undefined));
      await c.hears(failure("invalid-mechanism"));
      await authenticates(c);
    },
    { covers: ["sasl2_SUITE:authenticate_stanza_has_invalid_mechanism"] },
  );

  story("XEP-0388 §2.6.2: wrong passwords fail, five of them end the stream", {}, async (scene) => {
    const c = await romeo(scene);
    for (let n = 0; n < 5; n++) {
      c.sendsRaw(authenticate("PLAIN", plainData(c, "wrong"), bind()));
      await c.hears(failure("not-authorized"));
    }
    await c.receivesStreamError("policy-violation");
  });

  story("XEP-0388 §2.2: what is no Base64 fails", {}, async (scene) => {
    const c = await romeo(scene);
    c.sendsRaw(authenticate("PLAIN", undefined, "<initial-response>=!</initial-response>"));
    await c.hears(failure("incorrect-encoding"));
  });

  story("XEP-0388 §2.3: who is not who its stream header says fails", {}, async ({ actor, server, door }) => {
    const c = await (await actor("romeo")).connects(secure(server, door));
    c.sendsHeader(c.domain, "version='1.0' from='juliet@localhost'");
    await c.receives`<stream:features/>`;
    c.sendsRaw(authenticate("PLAIN", plainData(c), bind()));
    await c.hears(failure("invalid-authzid"));
  });

  story("XEP-0388 §2.1: a stream from another domain's user is not opened", {}, async ({ stranger, server, door }) => {
    const c = await stranger().connects(secure(server, door));
    c.sendsHeader(c.domain, "version='1.0' from='juliet@elsewhere.example'");
    await c.receivesStreamError("invalid-from");
  });

  story(
    "XEP-0388 §6.8: no second authentication on a stream",
    {},
    async (scene) => {
      const c = await romeo(scene);
      await authenticates(c);
      c.sendsRaw(authenticate("PLAIN", plainData(c)));
      await c.receivesStreamError("policy-violation");
    },
    { covers: ["sasl2_SUITE:authenticate_again_results_in_stream_error"] },
  );

  story("XEP-0388 §6.8: nor on one that has a session", {}, async (scene) => {
    const c = await romeo(scene);
    await authenticates(c, bind());
    c.sendsRaw(authenticate("PLAIN", plainData(c)));
    await c.receivesStreamError("policy-violation");
  });

  story("<response/>, <abort/> and <next/> without an attempt are malformed", {}, async (scene) => {
    const c = await romeo(scene);
    for (const name of ["response", "abort", "next", "continue"]) {
      c.sendsRaw(`<${name} xmlns='${NS_SASL2}'/>`);
      await c.hears(failure("malformed-request"));
    }
    await authenticates(c);
  });
});

describe("challenges", () => {
  const scram = (c: Client, password = c.account.password): ScramClient =>
    new ScramClient({ hash: "sha256", username: c.local, password, nonce: "fyko+d2lbbFgONRv9qkxdawL" });

  /** The client's first message, and its answer to the challenge. */
  async function challenged(c: Client, side: ScramClient): Promise<{ answer: Buffer; challenge: string }> {
    c.sendsRaw(authenticate("SCRAM-SHA-256", side.first(), userAgent(UUID)));
    const challenge = await c.receives`<challenge xmlns="${NS_SASL2}">{any}</challenge>`;
    const data = Buffer.from(textOf(challenge), "base64");
    return { answer: side.final(data), challenge: data.toString() };
  }

  story(
    "XEP-0388 §2.5: SCRAM: the server's signature comes as additional data",
    {},
    async (scene) => {
      const c = await romeo(scene);
      const side = scram(c);
      const { answer } = await challenged(c, side);
      c.sendsRaw(response(answer));
      const success = await succeeds(c);
      const data = textOf(childOf(success, "additional-data", NS_SASL2)!);
      expect(Buffer.from(data, "base64").toString()).toBe(side.serverSignature());
      expect(textOf(childOf(success, "authorization-identifier", NS_SASL2)!)).toBe(c.bare);
    },
    { covers: ["sasl2_SUITE:authenticate_with_scram"] },
  );

  story(
    "XEP-0388 §6.5: <abort/> ends the attempt, not the stream",
    {},
    async (scene) => {
      const c = await romeo(scene);
      await challenged(c, scram(c));
      c.sendsRaw(`<abort xmlns='${NS_SASL2}'><text>Second thoughts</text></abort>`);
      await c.hears(failure("aborted"));
      await authenticates(c);
    },
    { covers: ["sasl2_SUITE:authenticate_with_scram_abort"] },
  );

  story(
    "XEP-0388 §2.4: an <abort/> of another namespace ends the stream",
    {},
    async (scene) => {
      const c = await romeo(scene);
      await challenged(c, scram(c));
      c.sendsRaw("<abort xmlns='bad-namespace'/>");
      await c.receivesStreamError("invalid-namespace");
    },
    { covers: ["sasl2_SUITE:authenticate_with_scram_bad_abort"] },
  );

  story(
    "XEP-0388 §2.4: and so does a <response/> of another namespace",
    {},
    async (scene) => {
      const c = await romeo(scene);
      const { answer } = await challenged(c, scram(c));
      c.sendsRaw(response(answer).replace(NS_SASL2, "bad-namespace"));
      await c.receivesStreamError("invalid-namespace");
    },
    { covers: ["sasl2_SUITE:authenticate_with_scram_bad_response"] },
  );

  story("XEP-0388 §2.4: a stanza between challenge and response ends the stream", {}, async (scene) => {
    const c = await romeo(scene);
    await challenged(c, scram(c));
    c.sends`<iq type="get" id="r"><query xmlns="jabber:iq:register"/></iq>`;
    await c.receivesStreamError("not-authorized");
  });

  story("an attempt by one profile is not gone on with by the other", {}, async (scene) => {
    const c = await romeo(scene);
    const side = scram(c);
    c.sendsRaw(`<auth xmlns='${NS_SASL}' mechanism='SCRAM-SHA-256'>${side.first().toString("base64")}</auth>`);
    const challenge = await c.receives`<challenge xmlns="${NS_SASL}">{any}</challenge>`;
    c.sendsRaw(response(side.final(Buffer.from(textOf(challenge), "base64"))));
    await c.hears(failure("malformed-request"));
    await authenticates(c);
  });

  story("XEP-0474: SCRAM tells the hash of what was offered, by either profile", {}, async (scene) => {
    const c = await romeo(scene);
    const texts = (list: readonly string[]): string => [...list].sort().join("\x1e");
    const bindings = childOf(c.features!, "sasl-channel-binding", "urn:xmpp:sasl-cb:0");
    const types = bindings === undefined ? [] : childrenOf(bindings).map((e) => e.attrs["type"]);
    const offered = childrenOf(offer(c)!)
      .filter((e) => e.name === "mechanism")
      .map(textOf);
    const text = types.length === 0 ? texts(offered) : `${texts(offered)}\x1f${texts(types)}`;
    const h = `h=${new Bun.CryptoHasher("sha256").update(text).digest("base64")}`;

    const first = scram(c);
    const { challenge } = await challenged(c, first);
    expect(challenge.split(",")[3]).toBe(h);
    c.sendsRaw(`<abort xmlns='${NS_SASL2}'/>`);
    await c.hears(failure("aborted"));

    const side = scram(c);
    c.sendsRaw(`<auth xmlns='${NS_SASL}' mechanism='SCRAM-SHA-256'>${side.first().toString("base64")}</auth>`);
    const other = Buffer.from(textOf(await c.receives`<challenge xmlns="${NS_SASL}">{any}</challenge>`), "base64");
    expect(other.toString().split(",")[3]).toBe(h);
    c.sendsRaw(`<response xmlns='${NS_SASL}'>${side.final(other).toString("base64")}</response>`);
    await c.receives`<success xmlns="${NS_SASL}">{any}</success>`;
  });

  story(
    "XEP-0388 with channel binding: SCRAM-SHA-256-PLUS bound to tls-exporter",
    {},
    async (scene) => {
      const c = await romeo(scene);
      const side = new ScramClient({
        hash: "sha256",
        username: c.local,
        password: c.account.password,
        nonce: "abcdef",
        gs2: "p=tls-exporter,,",
        binding: c.wire.exporter!(),
      });
      c.sendsRaw(authenticate("SCRAM-SHA-256-PLUS", side.first()));
      const challenge = await c.receives`<challenge xmlns="${NS_SASL2}">{any}</challenge>`;
      c.sendsRaw(response(side.final(Buffer.from(textOf(challenge), "base64"))));
      await succeeds(c);
    },
    { door: "tcp" },
  );
});

describe("resumption inline", () => {
  const failed = (condition: string): string =>
    `<failed xmlns="${NS_SM}"><${condition} xmlns="${NS_STANZAS}"/></failed>`;
  const resume = (attrs: string): string => `<resume xmlns='${NS_SM}' ${attrs}/>`;

  /** A client whose stream is managed gets three messages that it does not acknowledge, and is lost. */
  async function lost(juliet: Client, scene: Scene): Promise<Client> {
    const c = await arrives(await scene.actor("romeo"), scene.server, scene.door);
    await authenticates(c, bind());
    await c.managesStream();
    await c.comesOnline();
    for (const n of [1, 2, 3]) juliet.sends`<message to="${c.full}" type="chat" id="m${n}"><body>${n}</body></message>`;
    for (const n of [1, 2, 3]) await c.receives`<message id="m${n}"/>`;
    await c.breaks();
    return c;
  }

  async function returns(from: Client, { another, server, door }: Scene): Promise<Client> {
    return arrives(another(from), server, door);
  }

  story(
    "XEP-0198 §8.2: <resumed/> in <success/>, no features, and then what was not acknowledged",
    { juliet: 1 },
    async ({ juliet, ...scene }) => {
      const gone = await lost(juliet, scene);
      const c = await returns(gone, scene);
      c.sendsRaw(authenticate("PLAIN", plainData(c), resume(`previd='${gone.resumeId}' h='1'`)));
      await c.receives`<success xmlns="${NS_SASL2}"><authorization-identifier>${gone.full}</authorization-identifier><resumed xmlns="${NS_SM}" h="1" previd="${gone.resumeId}"/></success>`;
      for (const n of [1, 2, 3]) await c.receives`<message id="m${n}" to="${gone.full}"/>`;
      c.managed = true;
      await c.receivesNothing();
      juliet.sends`<message to="${gone.full}" type="chat" id="m4"><body>4</body></message>`;
      await c.receives`<message id="m4"/>`;
      c.sends`<message to="${juliet.full}" type="chat" id="m5"><body>5</body></message>`;
      await juliet.receives`<message id="m5" from="${gone.full}"/>`;
    },
    { covers: ["sasl2_SUITE:sm_is_bound_at_sasl2_success"] },
  );

  const refusals: [string, string, (id: string) => string, string][] = [
    ["without previd", "sm_failure_missing_previd_does_not_stop_sasl2", () => "h='aaa'", "bad-request"],
    ["without a number", "sm_failure_invalid_h_does_not_stop_sasl2", (id) => `previd='${id}' h='aaa'`, "bad-request"],
    [
      "with too high a number",
      "sm_failure_exceeding_h_does_not_stop_sasl2",
      (id) => `previd='${id}' h='999'`,
      "bad-request",
    ],
    [
      "of nobody's stream",
      "sm_failure_unknown_smid_does_not_stop_sasl2",
      () => "previd='123456' h='1'",
      "item-not-found",
    ],
  ];
  for (const [what, name, attrs, condition] of refusals) {
    story(
      `XEP-0198 §8.2.1: a resumption ${what} fails in <success/>, and the client may bind`,
      { juliet: 1 },
      async ({ juliet, ...scene }) => {
        const gone = await lost(juliet, scene);
        const c = await returns(gone, scene);
        c.sendsRaw(authenticate("PLAIN", plainData(c), resume(attrs(gone.resumeId))));
        await c.receives`<success xmlns="${NS_SASL2}"><authorization-identifier>${c.bare}</authorization-identifier>${failed(condition)}</success>`;
        await c.receives`<stream:features><bind xmlns="urn:ietf:params:xml:ns:xmpp-bind"/></stream:features>`;
        await c.binds();
      },
      { covers: [`sasl2_SUITE:${name}`] },
    );
  }

  story("XEP-0198 §9: another user's stream is nobody's", { juliet: 1 }, async ({ juliet, ...scene }) => {
    const gone = await lost(juliet, scene);
    const c = await arrives(await scene.actor("mallory"), scene.server, scene.door);
    c.sendsRaw(authenticate("PLAIN", plainData(c), resume(`previd='${gone.resumeId}' h='1'`)));
    await c.receives`<success xmlns="${NS_SASL2}"><authorization-identifier>${c.bare}</authorization-identifier>${failed("item-not-found")}</success>`;
    await c.receives`<stream:features/>`;
    // The stream is still there for its owner.
    const own = await returns(gone, scene);
    const success = await authenticates(own, resume(`previd='${gone.resumeId}' h='4'`));
    expect(childOf(success, "resumed", NS_SM)).toBeDefined();
  });

  story("a failed password resumes nothing", { juliet: 1 }, async ({ juliet, ...scene }) => {
    const gone = await lost(juliet, scene);
    const c = await returns(gone, scene);
    c.sendsRaw(authenticate("PLAIN", plainData(c, "wrong"), resume(`previd='${gone.resumeId}' h='1'`)));
    await c.hears(failure("not-authorized"));
    expect([...scene.server.node.resumable.keys()]).toContain(gone.resumeId);
  });
});
