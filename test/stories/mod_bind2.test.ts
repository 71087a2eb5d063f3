// XEP-0386: a resource, and what the session begins with, in the same step as authentication.
import { describe, expect } from "vitest";
import type { Client } from "../support/client.ts";
import { childOf, childrenOf } from "../support/match.ts";
import {
  arrives,
  authenticate,
  authenticates,
  bind,
  NS_BIND2,
  NS_SASL,
  NS_SASL2,
  NS_SM,
  offer,
  plainData,
  SECURE_DOORS,
  UUID,
  userAgent,
} from "../support/sasl2.ts";
import { type Scene, stage } from "../support/story.ts";

const NS_CARBONS = "urn:xmpp:carbons:2";
const NS_CSI = "urn:xmpp:csi:0";
const NS_STANZAS = "urn:ietf:params:xml:ns:xmpp-stanzas";

const { story } = stage(SECURE_DOORS);

async function arrived({ actor, server, door }: Scene): Promise<Client> {
  return arrives(await actor("romeo"), server, door);
}
const chat = (to: Client, n: number) => `<message to="${to.full}" type="chat" id="m${n}"><body>${n}</body></message>`;

story(
  "XEP-0386 §2.1: the feature names what a session can begin with",
  {},
  async (scene) => {
    const c = await arrived(scene);
    const feature = childOf(childOf(offer(c)!, "inline", NS_SASL2)!, "bind", NS_BIND2)!;
    const names = childrenOf(childOf(feature, "inline", NS_BIND2)!).map((e) => e.attrs["var"]);
    expect(names.sort()).toEqual([NS_CARBONS, NS_CSI, NS_SM]);
    c.tally.assertions++;
  },
  { covers: ["bind2_SUITE:server_announces_bind2_with_features"] },
);

describe("the resource", () => {
  story(
    "XEP-0386 §2.2.1: without a tag it is the server's, and the session can talk at once",
    { juliet: 1 },
    async ({ juliet, ...scene }) => {
      const c = await arrived(scene);
      const success = await authenticates(c, bind());
      expect(childOf(success, "bound", NS_BIND2)).toBeDefined();
      expect(c.resource).toMatch(/^[0-9a-f]{16}$/);
      await c.receivesNothing();
      c.sends`<message to="${juliet.full}" id="m"><body>Hi</body></message>`;
      await juliet.receives`<message id="m" from="${c.full}"/>`;
      juliet.sends`<message to="${c.full}" id="n"><body>Hi</body></message>`;
      await c.receives`<message id="n"/>`;
    },
    { covers: ["bind2_SUITE:auth_and_bind_to_random_resource"] },
  );

  story(
    "XEP-0386 §2.2.1: with a tag it begins with it",
    {},
    async (scene) => {
      const c = await arrived(scene);
      await authenticates(c, bind("", "AwesomeXMPP"));
      expect(c.resource).toMatch(/^AwesomeXMPP\/[0-9a-f]{16}$/);
    },
    { covers: ["bind2_SUITE:auth_and_bind_contains_client_tag"] },
  );

  story(
    "XEP-0386 §2.2.1: a tag that no resource can begin with is left out",
    {},
    async (scene) => {
      for (const tag of ["\uefbb", "x".repeat(1020), "\u200b"]) {
        const c = await arrived(scene);
        await authenticates(c, bind("", tag));
        expect(c.resource).toMatch(/^[0-9a-f]{16}$/);
        await c.receivesNothing();
      }
    },
    { covers: ["bind2_SUITE:auth_and_bind_ignores_invalid_resource_and_generates_a_new_one"] },
  );

  story(
    "XEP-0386 §2.2.1: the client's id is told to nobody",
    {},
    async (scene) => {
      const c = await arrived(scene);
      await authenticates(c, bind() + userAgent(UUID));
      expect(c.resource.toLowerCase()).not.toContain(UUID.slice(0, 8));
      await c.receivesNothing();
    },
    { covers: ["bind2_SUITE:auth_and_bind_do_not_expose_user_agent_id_in_client"] },
  );

  story("XEP-0386 §2.2: an attempt that fails binds nothing", {}, async (scene) => {
    const c = await arrived(scene);
    c.sendsRaw(authenticate("PLAIN", plainData(c, "wrong"), bind()));
    await c.receives`<failure xmlns="${NS_SASL2}"><not-authorized xmlns="${NS_SASL}"/></failure>`;
    expect([...scene.server.node.sessions].some((s) => s.jid.bare.text === c.bare)).toBe(false);
  });

  story("a session has no resource to bind a second time", {}, async (scene) => {
    const c = await arrived(scene);
    await authenticates(c, bind());
    expect(childOf(c.features!, "bind", "urn:ietf:params:xml:ns:xmpp-bind")).toBeUndefined();
    c.sends`<iq type="set" id="b"><bind xmlns="urn:ietf:params:xml:ns:xmpp-bind"/></iq>`;
    await c.receives`<iq type="error" id="b"/>`;
  });
});

describe("the same client again", () => {
  story("XEP-0386 §2.2: an earlier session of the same client ends, others stay", {}, async (scene) => {
    const laptop = await arrived(scene);
    await authenticates(laptop, bind() + userAgent(UUID));
    const other = await arrives(scene.another(laptop), scene.server, scene.door);
    await authenticates(other, bind() + userAgent("b1946ac9-2492-4d23-8f6a-0b1b3c9e7f10"));
    const again = await arrives(scene.another(laptop), scene.server, scene.door);
    await authenticates(again, bind() + userAgent(UUID));
    await laptop.receivesStreamError("conflict");
    await other.receivesNothing();
    expect(again.full).not.toBe(laptop.full);
  });

  story(
    "what an earlier session did not acknowledge waits for its successor",
    { juliet: 1 },
    async ({ juliet, ...scene }) => {
      const c = await arrived(scene);
      await authenticates(c, bind(`<enable xmlns='${NS_SM}' resume='true'/>`) + userAgent(UUID));
      c.managed = true;
      await c.comesOnline();
      juliet.says(chat(c, 1));
      await c.receives`<message id="m1"/>`;
      await c.breaks();
      const again = await arrives(scene.another(c), scene.server, scene.door);
      await authenticates(again, bind() + userAgent(UUID));
      again.sends`<presence/>`;
      await again.skipsTo((e) => e.name === "message" && e.attrs["id"] === "m1");
    },
  );

  story("a client of another account may have the same id", {}, async (scene) => {
    const c = await arrived(scene);
    await authenticates(c, bind() + userAgent(UUID));
    const other = await arrived(scene);
    await authenticates(other, bind() + userAgent(UUID));
    await c.receivesNothing();
  });
});

describe("what a session begins with", () => {
  story(
    "XEP-0280: copies from the first moment",
    { juliet: 1 },
    async ({ juliet, ...scene }) => {
      const one = await arrived(scene);
      const success = await authenticates(one, bind(`<enable xmlns='${NS_CARBONS}'/>`));
      expect(childrenOf(childOf(success, "bound", NS_BIND2)!)).toEqual([]);
      await one.comesOnline();
      const two = await arrives(scene.another(one), scene.server, scene.door);
      await authenticates(two, bind(`<enable xmlns='${NS_CARBONS}'/>`));
      await two.comesOnline();
      await one.settles();
      await two.settles();
      for (const [to, other] of [
        [one, two],
        [two, one],
      ]) {
        juliet.says(chat(to, 1));
        await to.receives`<message id="m1"/>`;
        const copy = await other.receives`<message from="${one.bare}"/>`;
        expect(childOf(copy, "received", NS_CARBONS)).toBeDefined();
      }
      await one.receivesNothing();
      await two.receivesNothing();
    },
    { covers: ["bind2_SUITE:carbons_are_enabled_with_bind_inline_request"] },
  );

  story("without asking there are none", { juliet: 1 }, async ({ juliet, ...scene }) => {
    const one = await arrived(scene);
    await authenticates(one, bind());
    const two = await arrives(scene.another(one), scene.server, scene.door);
    await authenticates(two, bind());
    juliet.says(chat(one, 1));
    await one.receives`<message id="m1"/>`;
    await two.receivesNothing();
  });

  story(
    "XEP-0352: active, and inactive when it says so later",
    { juliet: 1 },
    async ({ juliet, ...scene }) => {
      const c = await arrived(scene);
      await authenticates(c, bind(`<active xmlns='${NS_CSI}'/><enable xmlns='${NS_SM}'/>`));
      c.managed = true;
      juliet.says(chat(c, 1));
      await c.receives`<message id="m1"/>`;
      c.sendsRaw(`<inactive xmlns='${NS_CSI}'/>`);
      await c.receivesNothing();
      juliet.says(chat(c, 2));
      await c.receivesNothing();
    },
    { covers: ["bind2_SUITE:csi_is_active_with_bind_inline_request"] },
  );

  story(
    "XEP-0352: inactive from the first moment",
    { juliet: 1 },
    async ({ juliet, ...scene }) => {
      const c = await arrived(scene);
      await authenticates(c, bind(`<inactive xmlns='${NS_CSI}'/><enable xmlns='${NS_SM}'/>`));
      c.managed = true;
      for (const n of [1, 2]) juliet.says(chat(c, n));
      await c.receivesNothing();
      c.sendsRaw(`<active xmlns='${NS_CSI}'/>`);
      for (const n of [1, 2]) await c.receives`<message id="m${n}"/>`;
      await c.receivesNothing();
    },
    { covers: ["bind2_SUITE:csi_is_inactive_with_bind_inline_request"] },
  );

  story(
    "XEP-0198 §8.1: a managed stream",
    {},
    async (scene) => {
      const c = await arrived(scene);
      c.sendsRaw(authenticate("PLAIN", plainData(c), bind(`<enable xmlns='${NS_SM}'/>`)));
      await c.receives`<success xmlns="${NS_SASL2}"><authorization-identifier>{any}</authorization-identifier><bound xmlns="${NS_BIND2}"><enabled xmlns="${NS_SM}"/></bound></success>`;
      const features = await c.receives`<stream:features/>`;
      // What is on already is not on offer.
      expect(childOf(features, "sm", NS_SM)).toBeUndefined();
      c.sends`<presence/>`;
      await c.receives`<presence/>`;
      c.sendsRaw(`<r xmlns='${NS_SM}'/>`);
      await c.receives`<a xmlns="${NS_SM}" h="1"/>`;
    },
    { covers: ["bind2_SUITE:stream_resumption_enable_sm_on_bind"] },
  );

  story(
    "XEP-0198 §8.1: one that may be resumed, without a second log-in's round trips",
    {},
    async (scene) => {
      const c = await arrived(scene);
      c.sendsRaw(authenticate("PLAIN", plainData(c), bind(`<enable xmlns='${NS_SM}' resume='true'/>`, "phone")));
      const success =
        await c.receives`<success xmlns="${NS_SASL2}"><authorization-identifier>{any}</authorization-identifier><bound xmlns="${NS_BIND2}"><enabled xmlns="${NS_SM}" id="{any}" max="600" resume="true"/></bound></success>`;
      const id = childOf(childOf(success, "bound")!, "enabled")!.attrs["id"];
      await c.receives`<stream:features/>`;
      await c.breaks();
      const again = await arrives(scene.another(c), scene.server, scene.door);
      const resumed = await authenticates(again, `<resume xmlns='${NS_SM}' previd='${id}' h='0'/>`);
      expect(childOf(resumed, "resumed", NS_SM)?.attrs).toEqual({ h: "0", previd: id });
      expect(again.resource).toMatch(/^phone\//);
    },
    { covers: ["bind2_SUITE:stream_resumption_enable_sm_on_bind_with_resume"] },
  );
});

describe("resumption and binding", () => {
  story(
    "XEP-0198 §8.2.1: what cannot be resumed is bound anew, and both are told",
    {},
    async (scene) => {
      const c = await arrived(scene);
      c.sendsRaw(
        authenticate("PLAIN", plainData(c), `${bind("", "tablet")}<resume xmlns='${NS_SM}' previd='123456' h='1'/>`),
      );
      const success =
        await c.receives`<success xmlns="${NS_SASL2}"><authorization-identifier>{any}</authorization-identifier><failed xmlns="${NS_SM}"><item-not-found xmlns="${NS_STANZAS}"/></failed><bound xmlns="${NS_BIND2}"/></success>`;
      expect(childrenOf(success).map((e) => e.name)).toEqual(["authorization-identifier", "failed", "bound"]);
      await c.receives`<stream:features/>`;
      await c.receivesNothing();
      expect([...scene.server.node.sessions].find((s) => s.jid.bare.text === c.bare)?.jid.resource).toMatch(
        /^tablet\//,
      );
    },
    { covers: ["bind2_SUITE:stream_resumption_failing_does_bind_and_contains_sm_status"] },
  );

  story(
    "XEP-0198 §8.2: when it is resumed, <bind/> is not looked at",
    { juliet: 1 },
    async ({ juliet, ...scene }) => {
      const c = await arrived(scene);
      await authenticates(c, bind("", "phone"));
      await c.managesStream();
      for (const n of [1, 2, 3]) juliet.says(chat(c, n));
      for (const n of [1, 2, 3]) await c.receives`<message id="m${n}"/>`;
      await c.breaks();
      const again = await arrives(scene.another(c), scene.server, scene.door);
      again.sendsRaw(
        authenticate(
          "PLAIN",
          plainData(again),
          `${bind("", "other")}<resume xmlns='${NS_SM}' previd='${c.resumeId}' h='1'/>`,
        ),
      );
      await again.receives`<success xmlns="${NS_SASL2}"><authorization-identifier>${c.full}</authorization-identifier><resumed xmlns="${NS_SM}" h="0" previd="${c.resumeId}"/></success>`;
      for (const n of [2, 3]) await again.receives`<message id="m${n}"/>`;
      again.managed = true;
      await again.receivesNothing();
    },
    { covers: ["bind2_SUITE:stream_resumption_overrides_bind_request"] },
  );
});

describe("a stream that goes at the last moment", () => {
  const { story } = stage(SECURE_DOORS);

  story("is told as failed, and the client is bound", {}, async (scene) => {
    const c = await arrived(scene);
    await authenticates(c, bind());
    await c.managesStream();
    await c.breaks();
    const { node } = scene.server;
    const { hooks } = node.hostOf("localhost")!;
    // 60: after stream management has found the stream, before it takes it up.
    hooks.add(
      "race",
      {
        sasl2_success: { at: 60, run: () => node.resumable.get(c.resumeId)?.close(undefined, "kicked") },
      },
      {},
    );
    const again = await arrives(scene.another(c), scene.server, scene.door);
    const success = await authenticates(again, `${bind()}<resume xmlns='${NS_SM}' previd='${c.resumeId}' h='0'/>`);
    hooks.remove("race");
    expect(childrenOf(success).map((e) => e.name)).toEqual(["authorization-identifier", "failed", "bound"]);
    expect(again.full).not.toBe(c.full);
    await again.receivesNothing();
  });
});

describe("who may have no session", () => {
  const { story } = stage({
    ...SECURE_DOORS,
    acl: { banned: [{ user: "romeo1" }] },
    access: {
      c2s: [
        { acl: "banned", value: "deny" },
        { acl: "all", value: "allow" },
      ],
    },
    listen: {
      ...(SECURE_DOORS["listen"] as object),
      c2s: [0, 1, 2].map((n) => ({
        port: 0,
        ip_address: "127.0.0.1",
        access: "c2s",
        ...(n === 2 && { tls: { mode: "tls", verify_mode: "none" } }),
      })),
    },
  });

  story(
    "an account that the access rule bars fails to authenticate, though its password is right",
    {},
    async (scene) => {
      const c = await arrived(scene);
      expect(c.local).toBe("romeo1");
      c.sendsRaw(authenticate("PLAIN", plainData(c), bind()));
      await c.receives`<failure xmlns="${NS_SASL2}"><not-authorized xmlns="${NS_SASL}"/><text>{any}</text></failure>`;
      // The stream is as it was: not authenticated.
      c.sends`<iq type="set" id="b"><bind xmlns="urn:ietf:params:xml:ns:xmpp-bind"/></iq>`;
      await c.receivesStreamError("not-authorized");
    },
    { door: "tcp" },
  );
});
