// XEP-0484: tokens that take the place of the password for the next log-ins of the same client.
import { describe, expect } from "vitest";
import { makeBare } from "../../core/jid.ts";
import {
  askFor,
  asks,
  EXPR,
  enters,
  everyKind,
  failure,
  fast,
  has,
  isRefused,
  kept,
  kinds,
  NONE,
  NS_FAST,
  numberOf,
  proof,
  proves,
  tokenIn,
  within,
} from "../support/fast.ts";
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
  SECURE_DOORS,
  succeeds,
  UUID,
  userAgent,
} from "../support/sasl2.ts";
import { stage } from "../support/story.ts";

const { story } = stage({ ...SECURE_DOORS, modules: { mod_fast_auth_token: {} } });

describe("asking for a token", () => {
  story(
    "XEP-0484 §3.1: the mechanisms for tokens are on offer among what is inline, and nowhere else",
    {},
    async (scene) => {
      const c = await arrives(await scene.actor("romeo"), scene.server, scene.door);
      const feature = childOf(childOf(offer(c)!, "inline", NS_SASL2)!, "fast", NS_FAST)!;
      expect(childrenOf(feature).map(textOf)).toEqual(everyKind(scene.door));
      const others = [...childrenOf(offer(c)!), ...childrenOf(childOf(c.features!, "mechanisms", NS_SASL)!)];
      expect(others.map(textOf).filter((name) => name.startsWith("HT-"))).toEqual([]);
      c.tally.assertions++;
    },
    { covers: ["fast_auth_token_SUITE:server_advertises_support_for_fast"] },
  );

  story(
    "XEP-0484 §3.3: it comes with the day of its end, three days ahead",
    {},
    async (scene) => {
      for (const mechanism of kinds(scene.door)) {
        const c = await arrives(await scene.actor("romeo"), scene.server, scene.door);
        const success = await authenticates(c, bind() + askFor(mechanism) + userAgent(UUID));
        const { token, expiry, expire } = childOf(success, "token", NS_FAST)!.attrs;
        expect(token).toMatch(/^[A-Za-z0-9+/]{34}==$/);
        expect(expiry).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
        expect(expire).toBe(expiry);
        expect(Math.abs(Date.parse(expiry) / 1000 - within(3 * 24 * 60))).toBeLessThan(10);
        expect((await kept(c, scene)).fresh).toEqual({
          text: token,
          expires: Date.parse(expiry) / 1000,
          count: 0,
          mechanism: numberOf(mechanism),
        });
      }
    },
    { covers: ["fast_auth_token_SUITE:request_token_with_initial_authentication"] },
  );

  story(
    "XEP-0484 §3.2: none for a mechanism that is not on offer",
    {},
    async (scene) => {
      for (const name of ["HT-WEIRD-ONE", "PLAIN", ...(scene.door === "tcp" ? [] : EXPR.slice(0, 1))]) {
        const c = await arrives(await scene.actor("romeo"), scene.server, scene.door);
        const success = await authenticates(c, bind() + askFor(name) + userAgent(UUID));
        expect(childOf(success, "token", NS_FAST)).toBeUndefined();
        expect(await kept(c, scene)).toBeUndefined();
      }
    },
    { covers: ["fast_auth_token_SUITE:request_token_with_unknown_mechanism_type"] },
  );

  story(
    "XEP-0484 §5.1: none for a client that does not say which it is",
    {},
    async (scene) => {
      for (const agent of ["", userAgent()]) {
        const c = await arrives(await scene.actor("romeo"), scene.server, scene.door);
        c.sendsRaw(authenticate("PLAIN", plainData(c), bind() + askFor(NONE[0]) + agent));
        await c.hears(failure("malformed-request", "<text>{any}</text>"));
      }
    },
    { covers: ["fast_auth_token_SUITE:request_token_without_user_agent"] },
  );

  story("none after a wrong password", {}, async (scene) => {
    const c = await arrives(await scene.actor("romeo"), scene.server, scene.door);
    c.sendsRaw(authenticate("PLAIN", plainData(c, "wrong"), bind() + askFor(NONE[0]) + userAgent(UUID)));
    await c.hears(failure("not-authorized"));
    expect(await kept(c, scene)).toBeUndefined();
  });
});

describe("using a token", () => {
  story(
    "XEP-0484 §3.4: every mechanism, one step into a session",
    {},
    async (scene) => {
      for (const mechanism of everyKind(scene.door)) {
        const { c, token } = await asks(scene, mechanism);
        await enters(c, scene, { token, mechanism, inline: fast() });
      }
    },
    { covers: ["fast_auth_token_SUITE:client_authenticates_using_fast"] },
  );

  story(
    "XEP-0484 §5.1: a client that does not say which it is has no token",
    {},
    async (scene) => {
      for (const mechanism of kinds(scene.door)) {
        const { c, token } = await asks(scene, mechanism);
        const again = await proves(c, scene, { token, mechanism, agent: "" });
        await again.hears(failure("malformed-request", `<no-user-agent xmlns="${NS_FAST}"/>`));
      }
    },
    { covers: ["fast_auth_token_SUITE:client_authenticates_using_fast_without_user_agent"] },
  );

  story(
    "it may be used again and again",
    {},
    async (scene) => {
      for (const mechanism of kinds(scene.door)) {
        const { c, token } = await asks(scene, mechanism);
        for (let n = 0; n < 3; n++) await enters(c, scene, { token, mechanism });
      }
    },
    { covers: ["fast_auth_token_SUITE:client_authenticate_several_times_with_the_same_token"] },
  );

  story(
    "a wrong token",
    {},
    async (scene) => {
      for (const mechanism of kinds(scene.door)) {
        const { c } = await asks(scene, mechanism);
        await isRefused(c, scene, { token: "wrongtoken", mechanism });
        await isRefused(c, scene, { token: "", mechanism });
      }
    },
    { covers: ["fast_auth_token_SUITE:token_auth_fails_when_token_is_wrong"] },
  );

  story(
    "an account that has none, and one that does not exist",
    {},
    async (scene) => {
      for (const mechanism of kinds(scene.door)) {
        await isRefused(await scene.actor("romeo"), scene, { token: "wrongtoken", mechanism });
        await isRefused(await scene.actor("romeo"), scene, { token: "", mechanism });
        await isRefused(scene.stranger(), scene, { token: "wrongtoken", mechanism });
      }
    },
    { covers: ["fast_auth_token_SUITE:token_auth_fails_when_token_is_not_found"] },
  );

  story(
    "XEP-0484 §3.4: a token is good for its mechanism alone",
    {},
    async (scene) => {
      for (const mechanism of kinds(scene.door)) {
        const { c, token } = await asks(scene, mechanism);
        for (const other of everyKind(scene.door).filter((name) => name !== mechanism)) {
          await isRefused(c, scene, { token, mechanism: other });
        }
        await enters(c, scene, { token, mechanism });
      }
    },
    { covers: ["fast_auth_token_SUITE:token_auth_fails_when_mechanism_does_not_match"] },
  );

  story("nobody has a token of another client or account", {}, async (scene) => {
    const { c, token } = await asks(scene, NONE[0]);
    await isRefused(c, scene, { token, mechanism: NONE[0], agent: userAgent("b1946ac9-2492-4d23-8f6a-0b1b3c9e7f10") });
    await isRefused(await scene.actor("mallory"), scene, { token, mechanism: NONE[0] });
  });

  story(
    "XEP-0484 §7: the proof of one channel is none on another",
    {},
    async (scene) => {
      const { c, token } = await asks(scene, EXPR[0]);
      const one = await arrives(scene.another(c), scene.server, scene.door);
      const two = await arrives(scene.another(c), scene.server, scene.door);
      const initial = Buffer.concat([Buffer.from(`${c.local}\0`), proof(one, EXPR[0], token, "Initiator")]);
      two.sendsRaw(authenticate(EXPR[0], initial, userAgent(UUID)));
      await two.hears(failure("not-authorized"));
    },
    { door: "tcp" },
  );

  story("by RFC 6120's SASL there are no tokens", {}, async (scene) => {
    const { c, token } = await asks(scene, NONE[0]);
    const again = await arrives(scene.another(c), scene.server, scene.door);
    const data = Buffer.concat([Buffer.from(`${c.local}\0`), proof(again, NONE[0], token, "Initiator")]);
    again.sendsRaw(`<auth xmlns='${NS_SASL}' mechanism='${NONE[0]}'>${data.toString("base64")}</auth>`);
    await again.hears(`<failure xmlns="${NS_SASL}"><invalid-mechanism/></failure>`);
  });

  story("what is no proof at all is malformed", {}, async (scene) => {
    const c = await arrives(await scene.actor("romeo"), scene.server, scene.door);
    for (const initial of ["", "no end", "\0no name"]) {
      c.sendsRaw(authenticate(NONE[0], initial, userAgent(UUID)));
      await c.hears(failure("malformed-request"));
    }
    c.sendsRaw(authenticate(NONE[0], "juliet\0", userAgent(UUID)));
    await c.hears(failure("not-authorized"));
    for (const count of ["0", "-1", "x", "2147483648"]) {
      c.sendsRaw(authenticate(NONE[0], "juliet\0x", userAgent(UUID) + fast(`count='${count}'`)));
      await c.hears(failure("malformed-request", "<text>{any}</text>"));
    }
  });

  story("five wrong tokens end the stream", {}, async (scene) => {
    const c = await arrives(await scene.actor("romeo"), scene.server, scene.door);
    for (let n = 0; n < 5; n++) {
      c.sendsRaw(authenticate(NONE[0], `${c.local}\0x`, userAgent(UUID)));
      await c.hears(failure("not-authorized"));
    }
    await c.receivesStreamError("policy-violation");
  });

  story("a token and a lost stream: authentication and resumption in one step", {}, async (scene) => {
    const c = await arrives(await scene.actor("romeo"), scene.server, scene.door);
    const success = await authenticates(
      c,
      bind(`<enable xmlns='${NS_SM}' resume='true'/>`) + askFor(NONE[0]) + userAgent(UUID),
    );
    const token = tokenIn(success)!;
    const id = childOf(childOf(success, "bound")!, "enabled", NS_SM)!.attrs["id"];
    await c.breaks();
    const inline = `<resume xmlns='${NS_SM}' previd='${id}' h='0'/>${askFor(NONE[0])}`;
    const again = await proves(c, scene, { token, mechanism: NONE[0], inline });
    const resumed = await succeeds(again);
    expect(childOf(resumed, "resumed", NS_SM)?.attrs["previd"]).toBe(id);
    expect(again.full).toBe(c.full);
    expect(tokenIn(resumed)).toMatch(/./);
    again.managed = true;
    await again.receivesNothing();
  });
});

describe("accounts that go", () => {
  story("a removed account's tokens go with it", {}, async (scene) => {
    const { c, token } = await asks(scene, NONE[0]);
    await scene.server.node.removeUser(makeBare(c.local, c.domain));
    await scene.server.addAccount(c.local, c.domain, "another password");
    await isRefused(c, scene, { token, mechanism: NONE[0] });
  });

  story("a new password is the end of all tokens", {}, async (scene) => {
    const { c, token } = await asks(scene, NONE[0]);
    const other = await asks(scene, NONE[0]);
    expect(await scene.server.node.hostOf(c.domain)!.auth.setPassword(c.local, c.domain, "new secret")).toBe("ok");
    await isRefused(c, scene, { token, mechanism: NONE[0] });
    await enters(other.c, scene, { token: other.token, mechanism: NONE[0] });
    const again = await arrives(scene.another(c), scene.server, scene.door);
    again.sendsRaw(authenticate("PLAIN", plainData(again, "new secret"), bind() + askFor(NONE[0]) + userAgent(UUID)));
    expect(tokenIn(await succeeds(again))).toMatch(/./);
  });

  describe("anonymous", () => {
    const { story } = stage({
      ...SECURE_DOORS,
      auth: { methods: ["anonymous"], anonymous: {}, internal: null, password: null },
      modules: { mod_fast_auth_token: {} },
    });
    story("an account that ends with its session gets no token", {}, async ({ stranger, server, door }) => {
      const c = await arrives(stranger(), server, door);
      c.sendsRaw(authenticate("ANONYMOUS", "", bind() + askFor(NONE[0]) + userAgent(UUID)));
      const success = await succeeds(c);
      expect(childOf(success, "bound")).toBeDefined();
      expect(tokenIn(success)).toBeUndefined();
    });
  });
});

describe("options", () => {
  const { story } = stage({
    ...SECURE_DOORS,
    auth: { sasl_mechanisms: ["plain", "ht_sha512_none", "ht_sha256_none"] },
    modules: {
      mod_fast_auth_token: {
        validity_period: {
          access: { value: 30, unit: "minutes" },
          rotate_before_expire: { value: 0, unit: "days" },
        },
      },
    },
  });

  story(
    "validity_period.access is a token's life, and 0 before its end means that it is never replaced",
    {},
    async (scene) => {
      const c = await arrives(await scene.actor("romeo"), scene.server, scene.door);
      const success = await authenticates(c, bind() + askFor(NONE[0]) + userAgent(UUID));
      const { expiry } = childOf(success, "token", NS_FAST)!.attrs;
      expect(Math.abs(Date.parse(expiry) / 1000 - within(30))).toBeLessThan(10);
      const due = await has(scene, NONE[0], { fresh: 1 });
      expect(tokenIn((await enters(due, scene, { token: "verysecret", mechanism: NONE[0] })).success)).toBeUndefined();
    },
  );

  story("auth.sasl_mechanisms says which mechanisms there are, and in which order", {}, async (scene) => {
    const c = await arrives(await scene.actor("romeo"), scene.server, scene.door);
    const feature = childOf(childOf(offer(c)!, "inline", NS_SASL2)!, "fast", NS_FAST)!;
    expect(childrenOf(feature).map(textOf)).toEqual(["HT-SHA-512-NONE", "HT-SHA-256-NONE"]);
    await isRefused(
      await scene.actor("romeo"),
      scene,
      { token: "x", mechanism: "HT-SHA-384-NONE" },
      "invalid-mechanism",
    );
  });
});

describe("a listener that allows other methods", () => {
  const door = (methods: string[]) => ({
    port: 0,
    ip_address: "127.0.0.1",
    allowed_auth_methods: methods,
    tls: { mode: "tls", verify_mode: "none" },
  });
  const { story } = stage({
    auth: { methods: ["internal", "anonymous"], anonymous: {} },
    listen: { c2s: [door(["internal"]), door(["anonymous"]), door(["internal"])] },
    modules: { mod_fast_auth_token: {} },
  });

  story(
    "lets nobody in by a token whom it would not let in by a password",
    {},
    async (scene) => {
      const { c, token } = await asks(scene, NONE[0]);
      const other = await scene.another(c).connects(scene.server.target("tcp", 1));
      await other.opens();
      const initial = Buffer.concat([Buffer.from(`${c.local}\0`), proof(other, NONE[0], token, "Initiator")]);
      other.sendsRaw(authenticate(NONE[0], initial, bind() + userAgent(UUID)));
      await other.hears(failure("not-authorized"));
      await enters(c, scene, { token, mechanism: NONE[0] });
    },
    { door: "tcp" },
  );
});
