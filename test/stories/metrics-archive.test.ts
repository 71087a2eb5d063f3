// The metrics of the archive, the inbox and their writers, as a monitoring system reads them over HTTP: each moves when the
// thing is done, and not before.
import { describe, expect } from "vitest";
import { asks, NS_MAM, writes } from "../support/archive.ts";
import type { Client } from "../support/client.ts";
import { inboxOf, sets } from "../support/inbox.ts";
import { stage } from "../support/story.ts";
import type { StoryServer } from "../support/story-server.ts";

const modules = {
  mod_mam: { user_prefs_store: "rdbms", pm: {} },
  mod_inbox: { backend: "rdbms_async" },
  mod_smart_markers: { backend: "rdbms_async" },
};
const http = {
  port: 0,
  ip_address: "127.0.0.1",
  handlers: { mongoose_prometheus_handler: [{ host: "_", path: "/metrics" }] },
};

type Samples = ReadonlyMap<string, number>;

async function scrape(server: StoryServer): Promise<Samples> {
  const { port } = server.target("websocket");
  const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
  const lines = text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  return new Map(
    lines.map((line) => {
      const [, name, labels = "", value] = /^(\w+)(?:\{(.*)\})? (\S+)$/.exec(line)!;
      return [`${name}{${labels.split(",").sort()}}`, Number(value)];
    }),
  );
}

/** What the named samples of the host type grow by while `act` is done. */
async function growth<K extends string>(server: StoryServer, names: readonly K[], act: () => Promise<unknown>) {
  const sample = (samples: Samples, name: string): number => {
    const [metric, labels = ""] = name.split(" ");
    const all = [...labels.split(",").filter((label) => label !== ""), 'host_type="localhost"'].sort();
    const found = samples.get(`${metric}{${all}}`);
    expect(found, `there is a sample ${metric}{${all}}`).toBeDefined();
    return found!;
  };
  const before = await scrape(server);
  await act();
  const after = await scrape(server);
  return Object.fromEntries(names.map((name) => [name, sample(after, name) - sample(before, name)])) as Record<
    K,
    number
  >;
}

const says = async (from: Client, to: Client, count: number): Promise<void> => {
  for (let n = 1; n <= count; n++) {
    writes(from, to, `Msg ${n}`);
    await to.hears(`<message><body>Msg ${n}</body></message>`);
  }
};

describe("over HTTP", () => {
  const { story } = stage({ modules, listen: { http: [http] } });

  story(
    "a message in two archives and two inboxes",
    { alice: 1, bob: 1 },
    async ({ alice, bob, server }) => {
      const pool = (metric: string, id: string) => `async_pool_${metric} pool_id="${id}"`;
      const grown = await growth(
        server,
        [
          "mod_mam_pm_archive_message_count",
          "mod_mam_pm_archive_message_time_count",
          "mod_mam_pm_flushed_count",
          "mod_mam_pm_flushed_time_count",
          "mod_mam_pm_flushed_time_per_message_count",
          "mod_mam_pm_dropped_count",
          pool("request_count", "pm_mam"),
          pool("flush_timed", "pm_mam"),
          pool("flush_batch", "pm_mam"),
          pool("queue_lengths_total", "pm_mam"),
          pool("request_count", "inbox"),
          pool("flush_timed", "inbox"),
          pool("queue_lengths_total", "inbox"),
          'mod_inbox_rdbms_async_count function="set_inbox"',
          'mod_inbox_rdbms_async_count function="set_inbox_incr_unread"',
          'mod_inbox_rdbms_async_time_count function="set_inbox"',
        ],
        () => says(alice, bob, 3),
      );
      expect(grown).toMatchObject({
        mod_mam_pm_archive_message_count: 6,
        mod_mam_pm_flushed_count: 6,
        mod_mam_pm_dropped_count: 0,
        [pool("request_count", "pm_mam")]: 6,
        [pool("flush_batch", "pm_mam")]: 0,
        [pool("queue_lengths_total", "pm_mam")]: 0,
        [pool("request_count", "inbox")]: 6,
        [pool("queue_lengths_total", "inbox")]: 0,
        'mod_inbox_rdbms_async_count function="set_inbox"': 3,
        'mod_inbox_rdbms_async_count function="set_inbox_incr_unread"': 3,
        'mod_inbox_rdbms_async_time_count function="set_inbox"': 3,
      });
      const flushes = grown["mod_mam_pm_flushed_time_count"];
      expect(flushes).toBeGreaterThan(0);
      expect(grown["mod_mam_pm_archive_message_time_count"]).toBe(flushes);
      expect(grown["mod_mam_pm_flushed_time_per_message_count"]).toBe(flushes);
      expect(grown[pool("flush_timed", "pm_mam")]).toBe(flushes);
      expect(grown[pool("flush_timed", "inbox")]).toBeGreaterThan(0);
    },
    { door: "tcp" },
  );

  story(
    "look-ups, preferences and refusals",
    { alice: 1, bob: 1 },
    async ({ alice, bob, server }) => {
      await says(alice, bob, 2);
      const set = `<iq type="set" id="p"><prefs xmlns="${NS_MAM}" default="always"><always/><never/></prefs></iq>`;
      const grown = await growth(
        server,
        [
          "mod_mam_pm_lookup_count",
          "mod_mam_pm_lookup_simple",
          "mod_mam_pm_lookup_size_count",
          "mod_mam_pm_lookup_size_sum",
          "mod_mam_pm_lookup_time_count",
          "mod_mam_pm_get_prefs_count",
          "mod_mam_pm_set_prefs_count",
          "mod_mam_pm_dropped_iq_count",
        ],
        async () => {
          expect((await asks(bob)).bodies).toHaveLength(2);
          expect((await asks(bob, { fields: { simple: "true" } })).bodies).toHaveLength(2);
          expect((await asks(bob, { to: alice.bare })).error).toBe("auth forbidden");
          bob.sends`<iq type="get" id="g"><prefs xmlns="${NS_MAM}"/></iq>`;
          await bob.receives`<iq type="result" id="g"/>`;
          bob.says(set);
          await bob.receives`<iq type="result" id="p"/>`;
        },
      );
      expect(grown).toEqual({
        mod_mam_pm_lookup_count: 2,
        mod_mam_pm_lookup_simple: 1,
        mod_mam_pm_lookup_size_count: 2,
        mod_mam_pm_lookup_size_sum: 4,
        mod_mam_pm_lookup_time_count: 2,
        mod_mam_pm_get_prefs_count: 1,
        mod_mam_pm_set_prefs_count: 1,
        mod_mam_pm_dropped_iq_count: 1,
      });
    },
    { door: "tcp" },
  );

  story(
    "what is asked of an inbox, and the removal of an account",
    { alice: 1, bob: 1 },
    async ({ alice, bob, server }) => {
      await says(alice, bob, 1);
      const call = (name: string) => `mod_inbox_rdbms_async_count function="${name}"`;
      const grown = await growth(
        server,
        [
          ...["get_inbox", "set_entry_properties", "clear_inbox", "get_entry_properties"].map(call),
          "mod_mam_pm_remove_archive_count",
        ],
        async () => {
          await inboxOf(bob);
          await sets(bob, alice, { read: "true" });
          await server.node.removeUser(server.node.sessionsOf({ text: bob.bare } as never)[0].jid.bare);
        },
      );
      expect(grown).toMatchObject({
        [call("get_inbox")]: 1,
        [call("set_entry_properties")]: 1,
        mod_mam_pm_remove_archive_count: 1,
      });
      expect(grown[call("clear_inbox")]).toBe(1);
    },
    { door: "tcp" },
  );
});

describe("an archive that writes each message by itself", () => {
  const { story } = stage({
    modules: { mod_mam: { async_writer: { enabled: false }, pm: {} } },
    listen: { http: [http] },
  });

  story(
    "has no pool of writers",
    { alice: 1, bob: 1 },
    async ({ alice, bob, server }) => {
      const pool = (metric: string) => `async_pool_${metric} pool_id="pm_mam"`;
      const grown = await growth(
        server,
        ["mod_mam_pm_archive_message_count", "mod_mam_pm_flushed_count", pool("request_count"), pool("flush_timed")],
        () => says(alice, bob, 2),
      );
      expect(grown).toEqual({
        mod_mam_pm_archive_message_count: 4,
        mod_mam_pm_flushed_count: 0,
        [pool("request_count")]: 0,
        [pool("flush_timed")]: 0,
      });
      expect((await asks(bob)).bodies).toHaveLength(2);
    },
    { door: "tcp" },
  );
});

describe("what waits for who is away", () => {
  const { story } = stage({
    modules: { mod_offline: { backend: "rdbms" }, mod_smart_markers: {}, mod_offline_chatmarkers: {} },
    listen: { http: [http] },
  });

  story(
    "is counted when it is kept, and when it is fetched",
    { alice: 1, bob: 0 },
    async ({ alice, bob, server }) => {
      const of = (module: string, call: string) => `mod_${module}_rdbms_count function="${call}"`;
      const wants = {
        [of("offline", "write_messages")]: 2,
        [of("offline", "pop_messages")]: 1,
        'mod_offline_rdbms_time_count function="write_messages"': 2,
        [of("smart_markers", "update_chat_marker")]: 3,
        [of("smart_markers", "get_conv_chat_marker")]: 2,
        [of("offline_chatmarkers", "maybe_store")]: 3,
        [of("offline_chatmarkers", "get")]: 1,
        sm_message_bounced_count: 0,
      };
      const grown = await growth(server, Object.keys(wants), async () => {
        for (const text of ["one", "two"]) alice.sends`<message to="${bob.bare}"><body>${text}</body></message>`;
        for (const id of ["a", "b", "c"])
          alice.sends`<message to="${bob.bare}"><displayed xmlns="urn:xmpp:chat-markers:0" id="${id}"/></message>`;
        await alice.receivesNothing();
        const his = await bob.comes();
        his.sends`<presence/>`;
        for (const text of ["one", "two"]) await his.hears(`<message><body>${text}</body></message>`);
        await his.hears(`<message><displayed xmlns="urn:xmpp:chat-markers:0" id="c"/></message>`);
        alice.sends`<iq type="get" id="q"><query xmlns="esl:xmpp:smart-markers:0" peer="${bob.bare}"/></iq>`;
        await alice.receives`<iq type="result" id="q"/>`;
      });
      expect(grown).toEqual(wants);
    },
    { door: "tcp" },
  );
});
