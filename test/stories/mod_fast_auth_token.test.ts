// XEP-0484: tokens that take the place of the password for the next log-ins of the same client.
import { createHmac } from "node:crypto";
import { describe, expect } from "vitest";
import { makeBare } from "../../core/jid.ts";
import { FastTokenStore, type Token, type Tokens } from "../../modules/mod_fast_auth_token/store.ts";
import type { Client } from "../support/client.ts";
import type { Door } from "../support/client-wire.ts";
import { childOf, childrenOf, textOf, type XElement } from "../support/match.ts";
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
import { type Scene, stage } from "../support/story.ts";

const NS_FAST = "urn:xmpp:fast:0";

const HASHES: Record<string, [hash: string, none: number, expr: number]> = {
  "SHA-256": ["sha256", 1, 13],
  "SHA-384": ["sha384", 7, 14],
  "SHA-512": ["sha512", 8, 15],
  "SHA-3-256": ["sha3-256", 10, 16],
  "SHA-3-384": ["sha3-384", 11, 17],
  "SHA-3-512": ["sha3-512", 12, 18],
};
const NAMES = Object.keys(HASHES);
const NONE = NAMES.map((name) => `HT-${name}-NONE`);
const EXPR = NAMES.map((name) => `HT-${name}-EXPR`);

/** The WebSocket's channel gives no binding data. */
const everyKind = (door: Door): string[] => (door === "tcp" ? [...NONE, ...EXPR] : NONE);
/** One of each sort. */
const kinds = (door: Door): string[] => everyKind(door).filter((name) => name.startsWith("HT-SHA-256-"));
const numberOf = (mechanism: string): number => {
  const [, name, binding] = /^HT-(.+)-(NONE|EXPR)$/.exec(mechanism)!;
  return HASHES[name][binding === "NONE" ? 1 : 2];
};

const failure = (condition: string, more = ""): string =>
  `<failure xmlns="${NS_SASL2}"><${condition} xmlns="${NS_SASL}"/>${more}</failure>`;
const askFor = (mechanism: string): string => `<request-token xmlns='${NS_FAST}' mechanism='${mechanism}'/>`;
const fast = (attrs = ""): string => `<fast xmlns='${NS_FAST}' ${attrs}/>`;

/** What the draft has the client send, and the server answer. */
function proof(c: Client, mechanism: string, token: string, who: "Initiator" | "Responder"): Buffer {
  const [hash] = HASHES[/^HT-(.+)-(?:NONE|EXPR)$/.exec(mechanism)![1]];
  const binding = mechanism.endsWith("-EXPR") ? c.wire.exporter!() : Buffer.alloc(0);
  return createHmac(hash, token).update(who).update(binding).digest();
}

const tokenIn = (success: XElement): string | undefined => childOf(success, "token", NS_FAST)?.attrs["token"];

/** A client of a new account that has logged in with its password and asked for a token. */
async function asks(scene: Scene, mechanism: string): Promise<{ c: Client; token: string }> {
  const c = await arrives(await scene.actor("romeo"), scene.server, scene.door);
  const token = tokenIn(await authenticates(c, bind() + askFor(mechanism) + userAgent(UUID)));
  if (token === undefined) throw new Error("no token came");
  await c.leaves();
  return { c, token };
}

interface Return {
  token: string;
  mechanism: string;
  inline?: string;
  agent?: string;
}

/** A new connection of the account sends its token. */
async function proves(of: Client, scene: Scene, { token, mechanism, inline = "", agent = userAgent(UUID) }: Return) {
  const c = await arrives(scene.another(of), scene.server, scene.door);
  const initial = Buffer.concat([Buffer.from(`${c.local}\0`), proof(c, mechanism, token, "Initiator")]);
  c.sendsRaw(authenticate(mechanism, initial, bind() + agent + inline));
  return c;
}

/** It gets in; the server shows that it has the token too. */
async function enters(of: Client, scene: Scene, options: Return): Promise<{ success: XElement; c: Client }> {
  const c = await proves(of, scene, options);
  const success = await succeeds(c);
  const data = Buffer.from(textOf(childOf(success, "additional-data", NS_SASL2)!), "base64");
  expect(data).toEqual(proof(c, options.mechanism, options.token, "Responder"));
  expect(c.full).toContain(`${c.bare}/`);
  await c.leaves();
  return { success, c };
}

async function isRefused(of: Client, scene: Scene, options: Return, condition = "not-authorized"): Promise<void> {
  const c = await proves(of, scene, options);
  await c.hears(failure(condition));
  c.wire.cut();
}

const store = ({ server }: Scene): FastTokenStore => new FastTokenStore(server.node.db("rdbms"));
const owner = (c: Client) => ({ jid: makeBare(c.local, c.domain), agent: UUID });
const kept = async (c: Client, scene: Scene): Promise<Tokens> => (await store(scene).read(owner(c)))!;

/** Minutes from now, in Unix seconds. */
const within = (minutes: number): number => Math.floor(Date.now() / 1000) + minutes * 60;

/** An account that has these tokens in the table. */
async function has(scene: Scene, mechanism: string, tokens: { fresh?: number; current?: number }): Promise<Client> {
  const c = await scene.actor("romeo");
  const token = (text: string, minutes: number): Token => ({
    text,
    expires: within(minutes),
    count: 0,
    mechanism: numberOf(mechanism),
  });
  const { current, fresh } = tokens;
  if (current !== undefined) {
    await store(scene).give(owner(c), token("currentsecret", current));
    await store(scene).adopt(owner(c), token("currentsecret", current), 0);
  }
  if (fresh !== undefined) await store(scene).give(owner(c), token("verysecret", fresh));
  return c;
}

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

describe("the end of a token", () => {
  story(
    "XEP-0484 §3.5: one that ends soon is replaced, and the new one is good",
    {},
    async (scene) => {
      for (const mechanism of kinds(scene.door)) {
        const c = await has(scene, mechanism, { fresh: 10 });
        const { success } = await enters(c, scene, { token: "verysecret", mechanism });
        const token = tokenIn(success)!;
        expect(token).not.toBe("verysecret");
        await enters(c, scene, { token, mechanism });
      }
    },
    { covers: ["fast_auth_token_SUITE:server_initiates_token_rotation"] },
  );

  story(
    "XEP-0484 §3.5: the one before is good until the new one is used",
    {},
    async (scene) => {
      for (const mechanism of kinds(scene.door)) {
        const c = await has(scene, mechanism, { fresh: 10 });
        await enters(c, scene, { token: "verysecret", mechanism });
        const { success } = await enters(c, scene, { token: "verysecret", mechanism });
        await enters(c, scene, { token: tokenIn(success)!, mechanism });
        await isRefused(c, scene, { token: "verysecret", mechanism });
      }
    },
    { covers: ["fast_auth_token_SUITE:could_still_use_old_token_when_server_initiates_token_rotation"] },
  );

  story(
    "the same for one that was used before; a token that was given and not used goes",
    {},
    async (scene) => {
      for (const mechanism of kinds(scene.door)) {
        const c = await has(scene, mechanism, { current: 10, fresh: 24 * 60 });
        const { success } = await enters(c, scene, { token: "currentsecret", mechanism });
        const token = tokenIn(success)!;
        expect(["currentsecret", "verysecret"]).not.toContain(token);
        await isRefused(c, scene, { token: "verysecret", mechanism });
        await enters(c, scene, { token, mechanism });
      }
    },
    { covers: ["fast_auth_token_SUITE:server_initiates_token_rotation_for_the_current_slot"] },
  );

  story(
    "and it is good until the new one is used",
    {},
    async (scene) => {
      for (const mechanism of kinds(scene.door)) {
        const c = await has(scene, mechanism, { current: 10, fresh: 24 * 60 });
        for (let n = 0; n < 2; n++) await enters(c, scene, { token: "currentsecret", mechanism });
      }
    },
    {
      covers: [
        "fast_auth_token_SUITE:could_still_use_old_token_when_server_initiates_token_rotation_for_the_current_slot",
      ],
    },
  );

  story("one that does not end soon is not replaced", {}, async (scene) => {
    const c = await has(scene, NONE[0], { fresh: 6 * 60 + 1 });
    const { success } = await enters(c, scene, { token: "verysecret", mechanism: NONE[0] });
    expect(tokenIn(success)).toBeUndefined();
  });

  story(
    "XEP-0484 §5.2: after its end it is not good any more",
    {},
    async (scene) => {
      for (const mechanism of kinds(scene.door)) {
        const c = await has(scene, mechanism, { fresh: -10 });
        await isRefused(c, scene, { token: "verysecret", mechanism }, "credentials-expired");
        await isRefused(c, scene, { token: "another", mechanism });
      }
    },
    { covers: ["fast_auth_token_SUITE:cannot_use_expired_token"] },
  );

  story(
    "nor when it was used before; a new one is, more than once",
    {},
    async (scene) => {
      for (const mechanism of kinds(scene.door)) {
        const c = await has(scene, mechanism, { current: -10, fresh: 24 * 60 });
        await isRefused(c, scene, { token: "currentsecret", mechanism }, "credentials-expired");
        for (let n = 0; n < 2; n++) await enters(c, scene, { token: "verysecret", mechanism });
      }
    },
    { covers: ["fast_auth_token_SUITE:cannot_use_expired_token_in_the_current_slot"] },
  );
});

describe("another token", () => {
  /** A client that asked for a second token with its first. */
  async function asksAgain(scene: Scene, mechanism: string) {
    const { c, token } = await asks(scene, mechanism);
    const { success } = await enters(c, scene, { token, mechanism, inline: askFor(mechanism) });
    const second = tokenIn(success)!;
    expect(second).not.toBe(token);
    return { c, token, second };
  }

  story(
    "it may be asked for with a token",
    {},
    async (scene) => {
      for (const mechanism of kinds(scene.door)) {
        const { c, token, second } = await asksAgain(scene, mechanism);
        const { current, fresh } = await kept(c, scene);
        expect([current?.text, fresh?.text]).toEqual([token, second]);
      }
    },
    { covers: ["fast_auth_token_SUITE:rerequest_token_with_initial_authentication"] },
  );

  story(
    "and is good",
    {},
    async (scene) => {
      for (const mechanism of kinds(scene.door)) {
        const { c, token, second } = await asksAgain(scene, mechanism);
        await enters(c, scene, { token: second, mechanism });
        await isRefused(c, scene, { token, mechanism });
      }
    },
    { covers: ["fast_auth_token_SUITE:can_use_new_token_after_rerequest_token_with_initial_authentication"] },
  );

  story(
    "and so is the first, as long as the second is not used",
    {},
    async (scene) => {
      for (const mechanism of kinds(scene.door)) {
        const { c, token, second } = await asksAgain(scene, mechanism);
        await enters(c, scene, { token, mechanism });
        await enters(c, scene, { token: second, mechanism });
      }
    },
    { covers: ["fast_auth_token_SUITE:can_use_current_token_after_rerequest_token_with_initial_authentication"] },
  );

  for (const [value, name] of [
    ["true", "client_requests_token_invalidation"],
    ["1", "client_requests_token_invalidation_1"],
  ]) {
    story(
      `XEP-0484 §3.6: invalidate="${value}" lets the client in a last time`,
      {},
      async (scene) => {
        for (const mechanism of kinds(scene.door)) {
          const { c, token } = await asks(scene, mechanism);
          await enters(c, scene, { token, mechanism, inline: fast(`invalidate='${value}'`) });
          await isRefused(c, scene, { token, mechanism });
        }
      },
      { covers: [`fast_auth_token_SUITE:${name}`] },
    );
  }

  story(
    "XEP-0484 §3.6: both tokens of the client go",
    {},
    async (scene) => {
      for (const mechanism of kinds(scene.door)) {
        const { c, token, second } = await asksAgain(scene, mechanism);
        await enters(c, scene, { token, mechanism, inline: fast("invalidate='true'") });
        await isRefused(c, scene, { token: second, mechanism });
        await isRefused(c, scene, { token, mechanism });
      }
    },
    { covers: ["fast_auth_token_SUITE:both_tokens_do_not_work_after_invalidation"] },
  );

  story("XEP-0484 §3.6: no new one comes of itself then, but one that is asked for does", {}, async (scene) => {
    const mechanism = NONE[0];
    const due = await has(scene, mechanism, { fresh: 10 });
    const inline = fast("invalidate='true'");
    expect(tokenIn((await enters(due, scene, { token: "verysecret", mechanism, inline })).success)).toBeUndefined();
    const c = await has(scene, mechanism, { fresh: 10 });
    const both = { token: "verysecret", mechanism, inline: inline + askFor(mechanism) };
    const token = tokenIn((await enters(c, scene, both)).success)!;
    await isRefused(c, scene, { token: "verysecret", mechanism });
    await enters(c, scene, { token, mechanism });
  });

  story("a wrong proof invalidates nothing", {}, async (scene) => {
    const { c, token } = await asks(scene, NONE[0]);
    await isRefused(c, scene, { token: "wrong", mechanism: NONE[0], inline: fast("invalidate='true'") });
    await enters(c, scene, { token, mechanism: NONE[0] });
  });
});

describe("the count", () => {
  const count = async (c: Client, scene: Scene): Promise<number | undefined> => (await kept(c, scene)).current?.count;

  story(
    "a token that is used for the first time takes the other place, with the count 0",
    {},
    async (scene) => {
      for (const mechanism of kinds(scene.door)) {
        const { c, token } = await asks(scene, mechanism);
        expect(await count(c, scene)).toBeUndefined();
        await enters(c, scene, { token, mechanism });
        expect(await count(c, scene)).toBe(0);
      }
    },
    { covers: ["fast_auth_token_SUITE:new_token_is_moved_to_the_current_slot_after_successful_auth"] },
  );

  story(
    "also when another is asked for",
    {},
    async (scene) => {
      for (const mechanism of kinds(scene.door)) {
        const { c, token } = await asks(scene, mechanism);
        expect(await count(c, scene)).toBeUndefined();
        await enters(c, scene, { token, mechanism, inline: askFor(mechanism) });
        expect(await count(c, scene)).toBe(0);
      }
    },
    {
      covers: [
        "fast_auth_token_SUITE:new_token_is_moved_to_the_current_slot_after_successful_auth_and_we_ask_for_new_token",
      ],
    },
  );

  story(
    "or with the client's count",
    {},
    async (scene) => {
      for (const mechanism of kinds(scene.door)) {
        const { c, token } = await asks(scene, mechanism);
        expect(await count(c, scene)).toBeUndefined();
        await enters(c, scene, { token, mechanism, inline: askFor(mechanism) + fast("count='1'") });
        expect(await count(c, scene)).toBe(1);
      }
    },
    {
      covers: [
        "fast_auth_token_SUITE:new_token_is_moved_to_the_current_slot_after_successful_auth_and_we_ask_for_new_token_with_count",
      ],
    },
  );

  story(
    "XEP-0484 §3.4: one that is not higher than the last is a replay",
    {},
    async (scene) => {
      for (const mechanism of kinds(scene.door)) {
        const { c, token } = await asks(scene, mechanism);
        const used = (n: number) => ({ token, mechanism, inline: fast(`count='${n}'`) });
        await enters(c, scene, used(1));
        expect(await count(c, scene)).toBe(1);
        await isRefused(c, scene, used(1));
        expect(await count(c, scene)).toBe(1);
        await enters(c, scene, used(2));
        expect(await count(c, scene)).toBe(2);
        await isRefused(c, scene, used(2));
        await isRefused(c, scene, used(1));
        expect(await count(c, scene)).toBe(2);
      }
    },
    { covers: ["fast_auth_token_SUITE:client_uses_token_with_count"] },
  );

  story(
    "it is counted on after another token was asked for",
    {},
    async (scene) => {
      for (const mechanism of kinds(scene.door)) {
        const { c, token } = await asks(scene, mechanism);
        await enters(c, scene, { token, mechanism, inline: askFor(mechanism) });
        expect(await count(c, scene)).toBe(0);
        await enters(c, scene, { token, mechanism, inline: fast("count='1'") });
        expect(await count(c, scene)).toBe(1);
      }
    },
    { covers: ["fast_auth_token_SUITE:client_uses_token_with_count_in_the_current_slot"] },
  );

  story("of two that come with the same count at the same time one gets in", {}, async (scene) => {
    const { c, token } = await asks(scene, NONE[0]);
    const options = { token, mechanism: NONE[0], inline: fast("count='1'") };
    const both = await Promise.all([proves(c, scene, options), proves(c, scene, options)]);
    const answers = await Promise.all(both.map((one) => one.next()));
    expect(answers.map((e) => e.name).sort()).toEqual(["failure", "success"]);
    c.tally.assertions++;
  });
});

describe("accounts that go", () => {
  story("a removed account's tokens go with it", {}, async (scene) => {
    const { c, token } = await asks(scene, NONE[0]);
    await scene.server.node.removeUser(makeBare(c.local, c.domain));
    await scene.server.addAccount(c.local, c.domain, "another password");
    await isRefused(c, scene, { token, mechanism: NONE[0] });
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
