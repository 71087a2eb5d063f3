// XEP-0198 beside the wire: what features are told of unacknowledged messages, how long counters of ended streams are
// known, and streams whose sessions end while they wait for their client.
import { describe, expect, vi } from "vitest";
import { StorageError } from "../../core/storage/db.ts";
import type { Client } from "../support/client.ts";
import { NS_SM } from "../support/sasl2.ts";
import { type Scene, stage } from "../support/story.ts";
import type { StoryServer } from "../support/story-server.ts";

const NS_STANZAS = "urn:ietf:params:xml:ns:xmpp-stanzas";

const chat = (to: string, n: number | string): string =>
  `<message to="${to}" type="chat" id="m${n}"><body>${n}</body></message>`;

/** A new connection of the same account, authenticated, asks for the stream of `lost`. */
async function asksFor(lost: Client, { another, server, door }: Scene, h: number): Promise<Client> {
  const c = await another(lost).connects(server.target(door));
  await c.opens();
  await c.authenticates();
  c.sendsRaw(`<resume xmlns="${NS_SM}" previd="${lost.resumeId}" h="${h}"/>`);
  return c;
}

const sessionsOf = (server: StoryServer, c: Client) => server.node.sessions.of(c.bare);

describe("establishing", () => {
  const { story } = stage();

  story(
    "a client that has bound is in the directory with its connection",
    { romeo: 1 },
    async ({ romeo, server }) => {
      expect(sessionsOf(server, romeo).map((s) => [s.jid.text, s.detached])).toEqual([[romeo.full, false]]);
      await romeo.receivesNothing();
    },
    { covers: ["sm_SUITE:session_established"] },
  );

  story(
    "XEP-0198 §3: between binding and the session request of RFC 3921, which is counted",
    {},
    async ({ actor, server, door }) => {
      const c = await (await actor("romeo")).connects(server.target(door));
      await c.opens();
      await c.authenticates();
      await c.binds();
      c.sendsRaw(`<enable xmlns="${NS_SM}"/>`);
      await c.receives`<enabled xmlns="${NS_SM}"/>`;
      c.sends`<iq type="set" id="s"><session xmlns="urn:ietf:params:xml:ns:xmpp-session"/></iq>`;
      await c.receives`<iq type="result" id="s"/>`;
      c.sendsRaw(`<r xmlns="${NS_SM}"/>`);
      await c.receives`<a xmlns="${NS_SM}" h="1"/>`;
    },
    { covers: ["sm_SUITE:server_enables_sm_before_session", "sm_SUITE:h_ok_after_session_enabled_before_session"] },
  );
});

describe("unacknowledged_message", () => {
  const { story } = stage({ modules: { mod_stream_management: { resume_timeout: 2 } } });

  /** What the feature was told: resource and id. */
  interface Told {
    take(): string[];
    stop(): void;
  }

  function listens({ server }: Scene, whose: Client): Told {
    const { hooks } = server.node.hostOf("localhost")!;
    const told: string[] = [];
    const name = `listener of ${whose.local}`;
    hooks.add(
      name,
      {
        unacknowledged_message: ({ session, stanza }) => {
          if (session.jid.local === whose.local) told.push(`${session.jid.resource} ${stanza.id}`);
        },
      },
      {},
    );
    return { take: () => told.splice(0), stop: () => hooks.remove(name) };
  }

  /** Four messages for a client that is lost after two of them. */
  async function lost(romeo: Client, juliet: Client, scene: Scene, told: Told): Promise<void> {
    await juliet.managesStream();
    for (const n of [1, 2]) romeo.says(chat(juliet.full, n));
    for (const n of [1, 2]) await juliet.receives`<message id="m${n}"/>`;
    expect(told.take()).toEqual([]);
    await juliet.breaks();
    const resource = juliet.resource;
    await vi.waitFor(() => expect(sessionsOf(scene.server, juliet)[0].detached).toBe(true));
    await vi.waitFor(() => expect(told.take()).toEqual([`${resource} m1`, `${resource} m2`]));
    for (const n of [3, 4]) romeo.says(chat(juliet.full, n));
    await romeo.settled();
    expect(told.take()).toEqual([`${resource} m3`, `${resource} m4`]);
  }

  /** `c` has all four and is lost as well: they are told again, of its resource. */
  async function again(c: Client, told: Told, ids = ["m1", "m2", "m3", "m4"]): Promise<void> {
    await c.breaks();
    await vi.waitFor(() => expect(told.take().sort()).toEqual(ids.map((id) => `${c.resource} ${id}`)));
    told.stop();
  }

  story(
    "is told of what a lost client has not acknowledged and of what comes for it, and anew after a resumption",
    { romeo: 1, juliet: 1 },
    async ({ romeo, juliet, ...scene }) => {
      const told = listens(scene, juliet);
      await lost(romeo, juliet, scene, told);
      const c = await asksFor(juliet, scene, 0);
      await c.receives`<resumed xmlns="${NS_SM}" h="0" previd="${juliet.resumeId}"/>`;
      for (const n of [1, 2, 3, 4]) await c.receives`<message id="m${n}"/>`;
      c.full = juliet.full;
      expect(told.take()).toEqual([]);
      await again(c, told);
    },
    { covers: ["sm_SUITE:unacknowledged_message_hook_resume"] },
  );

  story(
    "and of those that went to another session of the account when this one ended",
    { romeo: 1, juliet: 1 },
    async ({ romeo, juliet, ...scene }) => {
      const told = listens(scene, juliet);
      await lost(romeo, juliet, scene, told);
      const c = await scene.another(juliet).logsIn(scene.server.target(scene.door), "new");
      await c.managesStream();
      await c.comesOnline();
      sessionsOf(scene.server, juliet)
        .find((s) => s.detached)
        ?.close(undefined, "kicked");
      for (const n of [1, 2, 3, 4]) await c.skipsTo((e) => e.attrs["id"] === `m${n}`);
      await again(c, told);
    },
    { covers: ["sm_SUITE:unacknowledged_message_hook_bounce"] },
  );

  story(
    "and of those that were stored meanwhile",
    { romeo: 1, juliet: 1 },
    async ({ romeo, juliet, ...scene }) => {
      const told = listens(scene, juliet);
      await lost(romeo, juliet, scene, told);
      await vi.waitFor(() => expect(sessionsOf(scene.server, juliet)).toHaveLength(0), 4000);
      await scene.server.node.endings.settled();
      const c = await scene.another(juliet).logsIn(scene.server.target(scene.door), "later");
      await c.managesStream();
      c.sends`<presence/>`;
      for (const n of [1, 2, 3, 4]) await c.skipsTo((e) => e.attrs["id"] === `m${n}`);
      await c.settles();
      expect(told.take()).toEqual([]);
      await again(c, told);
    },
    { slow: true, covers: ["sm_SUITE:unacknowledged_message_hook_offline"] },
  );

  story(
    "filter_unacknowledged_messages takes messages out of what goes elsewhere",
    { romeo: 1, juliet: 2 },
    async ({ romeo, juliet: [laptop, phone], server }) => {
      const { hooks } = server.node.hostOf("localhost")!;
      hooks.add(
        "filter",
        { filter_unacknowledged_messages: (list) => list.filter((s) => s.childText("body") !== "filter") },
        {},
      );
      await laptop.managesStream();
      for (const text of ["1", "filter", "2", "filter", "3", "4"]) romeo.says(chat(laptop.full, text));
      for (const text of ["1", "filter", "2", "filter", "3", "4"]) await laptop.receives`<message id="m${text}"/>`;
      await laptop.breaks();
      await vi.waitFor(() => expect(sessionsOf(server, laptop).some((s) => s.detached)).toBe(true));
      sessionsOf(server, laptop)
        .find((s) => s.detached)
        ?.close(undefined, "kicked");
      const came: string[] = [];
      while (came.length < 4) {
        const e = await phone.next();
        if (e.name === "message") came.push(e.attrs["id"]);
      }
      expect(came).toEqual(["m1", "m2", "m3", "m4"]);
      await phone.receivesNothing();
      hooks.remove("filter");
    },
    { covers: ["sm_SUITE:unacknowledged_message_hook_filter"] },
  );
});

describe("a session that ends while it waits", () => {
  const { story } = stage();

  story(
    "what it was sent waits for the client's next session",
    { romeo: 1, juliet: 1 },
    async ({ romeo, juliet, another, server, door }) => {
      await juliet.managesStream();
      romeo.says(chat(juliet.full, 1));
      await juliet.receives`<message id="m1"/>`;
      await juliet.breaks();
      await vi.waitFor(() => expect(sessionsOf(server, juliet)[0].detached).toBe(true));
      sessionsOf(server, juliet)[0].close(undefined, "closed");
      const c = await another(juliet).logsIn(server.target(door));
      c.sends`<presence/>`;
      await c.skipsTo((e) => e.attrs["id"] === "m1");
      c.tally.assertions++;
    },
    { covers: ["sm_SUITE:resume_session_state_stop_c2s"] },
  );
});

describe("stale counters", () => {
  const gone = async (c: Client, server: StoryServer): Promise<void> => {
    await c.breaks();
    await vi.waitFor(() => expect(sessionsOf(server, c)).toHaveLength(0), 4000);
    await server.node.endings.settled();
  };
  const failed = (h: string): string => `<failed xmlns="${NS_SM}"${h}><item-not-found xmlns="${NS_STANZAS}"/></failed>`;

  describe("that are removed often", () => {
    const { story } = stage({
      modules: {
        mod_stream_management: { resume_timeout: 1, stale_h: { enabled: true, repeat_after: 1, geriatric: 1 } },
      },
    });

    story(
      "an old one is not known any more",
      { romeo: 1 },
      async ({ romeo, ...scene }) => {
        await romeo.managesStream();
        await gone(romeo, scene.server);
        await vi.waitFor(
          async () => {
            const c = await asksFor(romeo, scene, 0);
            await c.hears(failed(""));
          },
          { timeout: 6000, interval: 500 },
        );
      },
      { slow: true, covers: ["sm_SUITE:gc_repeat_after_timeout_does_clean"] },
    );
  });

  describe("that are hardly ever removed", () => {
    const { story } = stage({
      modules: {
        mod_stream_management: {
          resume_timeout: 1,
          stale_h: { enabled: true, repeat_after: 999_999, geriatric: 1 },
        },
      },
    });

    story(
      "an old one is still known",
      { romeo: 1 },
      async ({ romeo, ...scene }) => {
        await romeo.managesStream();
        romeo.sends`<presence/>`;
        await romeo.receives`<presence/>`;
        await gone(romeo, scene.server);
        await new Promise((resolve) => setTimeout(resolve, 2000));
        const c = await asksFor(romeo, scene, 0);
        await c.hears(failed(` h="1"`));
      },
      { slow: true, covers: ["sm_SUITE:gc_repeat_after_never_means_no_cleaning"] },
    );
  });
});

describe("with mod_ping", () => {
  const { story } = stage({
    modules: { mod_ping: { send_pings: true, ping_interval: 1, ping_req_timeout: 1, timeout_action: "kill" } },
  });

  story(
    "a client that does not answer pings is cut off, and its stream is not resumed",
    { romeo: 1 },
    async ({ romeo, ...scene }) => {
      await romeo.managesStream();
      await romeo.skipsTo((e) => e.name === "iq");
      while (!romeo.streamEnded) await romeo.next().catch(() => undefined);
      const c = await asksFor(romeo, scene, 0);
      await c.hears(`<failed xmlns="${NS_SM}"><item-not-found xmlns="${NS_STANZAS}"/></failed>`);
      await c.binds();
      // The ping that was not acknowledged comes back to nobody.
      await c.comesOnline();
      expect((await c.settles()).filter((e) => e.attrs["type"] === "error")).toEqual([]);
    },
    { slow: true, covers: ["sm_SUITE:ping_timeout"] },
  );
});

describe("a database that is away", () => {
  const { story } = stage();

  story(
    "an unacknowledged message that cannot be stored goes back to its sender, and the log has a line of it",
    { romeo: 1, juliet: 1 },
    async ({ romeo, juliet, server }) => {
      juliet.sendsRaw(`<enable xmlns="${NS_SM}"/>`);
      await juliet.receives`<enabled xmlns="${NS_SM}"/>`;
      for (const n of [1, 2, 3]) {
        romeo.says(chat(juliet.bare, n));
        await juliet.receives`<message id="m${n}"/>`;
      }
      const there = server.node.hostOf("localhost")!;
      const auth = vi.spyOn(there.auth, "exists").mockRejectedValue(new StorageError("unavailable", "The test"));
      const cache = vi.spyOn(there.accountCache!, "has").mockReturnValue(false);
      await juliet.breaks();
      for (const n of [1, 2, 3]) {
        await romeo.hears(
          `<message type="error" id="m${n}"><error><internal-server-error xmlns="${NS_STANZAS}"/></error></message>`,
        );
      }
      for (const n of [4, 5, 6]) {
        romeo.says(chat(juliet.bare, n));
        await romeo.hears(
          `<message type="error" id="m${n}"><error><internal-server-error xmlns="${NS_STANZAS}"/></error></message>`,
        );
      }
      auth.mockRestore();
      cache.mockRestore();
      for (const what of ["message_not_delivered", "stanza_handler_failed"]) {
        expect(
          server.logged.filter((line) => line.what === what),
          what,
        ).toHaveLength(1);
      }
    },
    { door: "tcp", logs: ["message_not_delivered", "stanza_handler_failed"] },
  );
});
