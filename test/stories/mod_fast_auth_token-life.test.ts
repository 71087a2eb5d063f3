// XEP-0484 §3.5, §3.6: the life of a token: replaced before its end, asked for again, forgotten, counted.
import { describe, expect, vi } from "vitest";
import { StorageError } from "../../core/storage/db.ts";
import type { FastTokenStore } from "../../modules/mod_fast_auth_token/store.ts";
import type { Client } from "../support/client.ts";
import { askFor, asks, enters, fast, has, isRefused, kept, kinds, NONE, proves, tokenIn } from "../support/fast.ts";
import { SECURE_DOORS } from "../support/sasl2.ts";
import { type Scene, stage } from "../support/story.ts";

const { story } = stage({ ...SECURE_DOORS, modules: { mod_fast_auth_token: {} } });

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

story("a new password: what was given out under the old one is worth nothing", {}, async (scene) => {
  const c = await has(scene, NONE[0], { current: 24 * 60 });
  const auth = scene.server.node.hostOf(c.domain)!.auth;
  expect(await auth.setPassword(c.local, c.domain, "a new one")).toBe("ok");
  await isRefused(c, scene, { token: "currentsecret", mechanism: NONE[0] });
});

describe("a database that is away", () => {
  const { story } = stage({ ...SECURE_DOORS, modules: { mod_fast_auth_token: {} } });

  /** What a store does that cannot reach its database. */
  function cut({ server }: Scene, method: "read" | "give"): () => void {
    const { store } = server.node.hostOf("localhost")!.modules.get("mod_fast_auth_token")!.ctx;
    const real = vi.spyOn(store as unknown as FastTokenStore, method);
    real.mockRejectedValue(new StorageError("unavailable", "away"));
    return () => real.mockRestore();
  }

  story(
    "a token cannot be checked: that is no wrong token",
    {},
    async (scene) => {
      const { c, token } = await asks(scene, NONE[0]);
      const restore = cut(scene, "read");
      try {
        await isRefused(c, scene, { token, mechanism: NONE[0] }, "temporary-auth-failure");
      } finally {
        restore();
      }
      await enters(c, scene, { token, mechanism: NONE[0] });
    },
    { logs: ["authentication_backend_failed"] },
  );

  story(
    "none can be given: the client is in without",
    {},
    async (scene) => {
      const { c, token } = await asks(scene, NONE[0]);
      const restore = cut(scene, "give");
      try {
        const { success } = await enters(c, scene, { token, mechanism: NONE[0], inline: askFor(NONE[0]) });
        expect(tokenIn(success)).toBeUndefined();
      } finally {
        restore();
      }
    },
    { logs: ["hook_failed"] },
  );
});
