// XEP-0313 §3, §6.1: which messages are in an archive, once each, under which ids, and what becomes of those of which
// the client cannot say whether it has them.
import { describe, expect } from "vitest";
import { renderMetrics } from "../../core/node-metrics.ts";
import type { Db } from "../../core/storage/db.ts";
import { asks, NS_MAM, writes } from "../support/archive.ts";
import { childOf, find, type XElement } from "../support/match.ts";
import { covering, stage } from "../support/story.ts";
import type { StoryServer } from "../support/story-server.ts";

const covers = covering("mam_SUITE");
const NS_SID = "urn:xmpp:sid:0";
const mam = (options: Record<string, boolean> = {}, modules: Record<string, null> = {}) => ({
  modules: { mod_mam: { ...options, pm: {} }, ...modules },
});

const stanzaId = (e: XElement): XElement | undefined => childOf(e, "stanza-id", NS_SID);
const databaseOf = (server: StoryServer): Db =>
  (server.node.hosts.get("localhost")!.modules.get("mod_mam")!.ctx.store as { db: Db }).db;

describe("an archive", () => {
  const { story } = stage(mam());

  story(
    "has a message under the id that its addressee is told",
    { alice: 1, bob: 1 },
    async ({ alice, bob }) => {
      writes(alice, bob, "OH, HAI!");
      const message = await bob.receives`<message><body>OH, HAI!</body></message>`;
      expect(stanzaId(message)?.attrs).toMatchObject({ by: bob.bare });
      expect((await asks(bob)).ids).toEqual([stanzaId(message)?.attrs["id"]]);
    },
    covers("archived", "message_with_stanzaid"),
  );

  story(
    "of sender and of addressee has a message under one id, where mod_stanzaid gives it",
    { alice: 1, bob: 1 },
    async ({ alice, bob }) => {
      writes(alice, bob, "Hi!");
      const message = await bob.receives`<message><body>Hi!</body></message>`;
      const id = stanzaId(message)?.attrs["id"];
      expect((await asks(bob)).ids).toEqual([id]);
      expect((await asks(alice)).ids).toEqual([id]);
    },
    { covers: ["mod_stanzaid_SUITE:stanza_id_pm_mam"] },
  );

  story(
    "tells its ids in carbon copies, each account its own",
    { alice: 2, bob: 2 },
    async ({ alice: [alice, aliceToo], bob: [bob, bobToo] }) => {
      for (const client of [aliceToo, bobToo]) await client.enables("carbons");
      alice.sends`<message to="${bob.full}" type="chat"><body>OH, HAI!</body></message>`;
      await bob.receives`<message><body>OH, HAI!</body></message>`;
      for (const [client, kind] of [
        [aliceToo, "sent"],
        [bobToo, "received"],
      ] as const) {
        const copy = await client.receives`<message from="${client.bare}"/>`;
        expect(find(copy, kind)).toBeDefined();
        const [id] = (await asks(client)).ids;
        expect(find(copy, "stanza-id")?.attrs).toMatchObject({ by: client.bare, id });
      }
    },
    covers("stanza_id_is_appended_to_carbons"),
  );

  story(
    "has a message to oneself once",
    { alice: 1 },
    async ({ alice }) => {
      writes(alice, alice, "note");
      await alice.receives`<message><body>note</body></message>`;
      expect((await asks(alice)).bodies).toEqual(["note"]);
      expect((await asks(alice, { fields: { with: alice.bare } })).bodies).toEqual(["note"]);
    },
    covers("message_sent_to_yourself"),
  );

  story(
    "has a message that waited for its addressee once",
    { alice: 1, bob: 0 },
    async ({ alice, bob }) => {
      writes(alice, bob, "Is there anybody here?");
      await alice.receivesNothing();
      const back = await bob.comes();
      back.sendsRaw("<presence xmlns='jabber:client'/>");
      await back.receives`<presence/><message><body>Is there anybody here?</body></message>`;
      expect((await asks(back)).bodies).toEqual(["Is there anybody here?"]);
    },
    covers("offline_message"),
  );

  story(
    "has nothing that says that it is not to be stored (XEP-0334), and no mere state",
    { alice: 1, bob: 1 },
    async ({ alice, bob }) => {
      for (const hint of ["no-store", "no-permanent-store"]) {
        writes(alice, bob, "So secret", `<${hint} xmlns="urn:xmpp:hints"/>`);
        await bob.receives`<message><body>So secret</body></message>`;
      }
      alice.says(
        `<message to="${bob.full}" type="chat"><composing xmlns="http://jabber.org/protocol/chatstates"/></message>`,
      );
      await bob.receives`<message><composing xmlns="http://jabber.org/protocol/chatstates"/></message>`;
      alice.says(`<message to="${bob.full}" type="headline"><body>news</body></message>`);
      await bob.receives`<message><body>news</body></message>`;
      alice.says(`<message to="${bob.full}" type="chat"><store xmlns="urn:xmpp:hints"/><x xmlns="urn:x"/></message>`);
      await bob.receives`<message><store xmlns="urn:xmpp:hints"/></message>`;
      for (const client of [alice, bob]) expect((await asks(client)).bodies).toEqual([""]);
    },
    covers("nostore_hint"),
  );

  story(
    "has what clients with very long resources write",
    { alice: 1, bob: 1 },
    async ({ alice, another, bob, server, door }) => {
      for (const resource of ["r".repeat(251), "ż".repeat(200)]) {
        const long = await another(alice).logsIn(server.target(door), resource);
        writes(long, bob, resource);
        await bob.receives`<message><body>${resource}</body></message>`;
        for (const client of [long, bob]) {
          const { messages } = await asks(client, { rsm: "<max>1</max><before/>", fields: {} });
          expect(messages.map(({ body, message }) => [body, message.attrs["from"]])).toEqual([[resource, long.full]]);
        }
        await long.leaves();
      }
    },
  );

  story(
    "has no bare chat markers",
    { alice: 1, bob: 1 },
    async ({ alice, bob }) => {
      writes(alice, bob, "Hello, Bob!", '<markable xmlns="urn:xmpp:chat-markers:0"/>');
      await bob.receives`<message><body>Hello, Bob!</body></message>`;
      for (const marker of ["received", "displayed", "acknowledged"]) {
        bob.says(`<message to="${alice.full}"><${marker} xmlns="urn:xmpp:chat-markers:0" id="1"/></message>`);
        await alice.hears(`<message><${marker} xmlns="urn:xmpp:chat-markers:0" id="1"/></message>`);
      }
      expect((await asks(alice)).bodies).toEqual(["Hello, Bob!"]);
    },
    covers("dont_archive_chat_markers"),
  );

  story(
    "is kept of accounts alone: what is for nobody is in no archive",
    { alice: 1 },
    async ({ alice, server }) => {
      const { auth } = server.node.hosts.get("localhost")!;
      expect([await auth.exists(alice.local, "localhost"), await auth.exists("fake-user", "localhost")]).toEqual([
        true,
        false,
      ]);
      alice.sends`<message to="fake-user@localhost" type="chat"><body>hello?</body></message>`;
      await alice.receives`<message type="error" from="fake-user@localhost"/>`;
      const sql = "SELECT user_name FROM mam_server_user WHERE user_name = 'fake-user'";
      expect(await databaseOf(server).query(sql)).toEqual([]);
      // What she wrote is hers.
      expect((await asks(alice)).bodies).toEqual(["hello?"]);
    },
    covers("check_user_exist"),
  );
});

describe("an archive beside mod_stanzaid", () => {
  const { story } = stage({ modules: { mod_mam: { user_prefs_store: "rdbms", pm: {} } } });

  story(
    "has what says an id by its account: nothing else says one (XEP-0313 §3.5)",
    { alice: 1, bob: 1 },
    async ({ alice, bob }) => {
      writes(alice, bob, "before");
      const before = stanzaId(await bob.receives`<message><body>before</body></message>`);
      alice.says(
        `<message to="${bob.bare}" type="chat"><active xmlns="http://jabber.org/protocol/chatstates"/></message>`,
      );
      alice.says(
        `<message to="${bob.bare}" type="chat"><body>secret</body><no-store xmlns="urn:xmpp:hints"/><stanza-id xmlns="${NS_SID}" by="${bob.bare}" id="forged"/></message>`,
      );
      expect(stanzaId(await bob.next())).toBeUndefined();
      expect(stanzaId(await bob.next())).toBeUndefined();
      bob.says(`<iq type="set" id="p"><prefs xmlns="${NS_MAM}" default="never"/></iq>`);
      await bob.receives`<iq type="result" id="p"/>`;
      writes(alice, bob, "unwanted");
      expect(stanzaId(await bob.receives`<message><body>unwanted</body></message>`)).toBeUndefined();
      bob.says(`<iq type="set" id="p"><prefs xmlns="${NS_MAM}" default="always"/></iq>`);
      await bob.receives`<iq type="result" id="p"/>`;
      writes(alice, bob, "after");
      const after = stanzaId(await bob.receives`<message><body>after</body></message>`);
      expect((await asks(bob)).ids).toEqual([before?.attrs["id"], after?.attrs["id"]]);
    },
  );

  story(
    "has what says an id, also when it comes a second way",
    { alice: 1, bob: 2 },
    async ({ alice, bob: [laptop, phone] }) => {
      await laptop.managesStream(false);
      writes(alice, phone, "kept");
      for (const client of [laptop, phone]) await client.receives`<message><body>kept</body></message>`;
      const hint = '<no-permanent-store xmlns="urn:xmpp:hints"/>';
      alice.says(`<message to="${laptop.full}" type="chat"><body>passing</body>${hint}</message>`);
      alice.says(`<message to="${laptop.full}" type="chat"><body>staying</body></message>`);
      await laptop.receives`<message><body>passing</body></message>`;
      await laptop.receives`<message><body>staying</body></message>`;
      await laptop.breaks();
      const isMessage = (body: string) => (e: XElement) =>
        e.name === "message" && find(e, "body")?.children[0] === body;
      expect(stanzaId(await phone.skipsTo(isMessage("passing")))).toBeUndefined();
      const id = stanzaId(await phone.skipsTo(isMessage("staying")))?.attrs["id"];
      await phone.settles();
      const { ids, bodies } = await asks(phone);
      expect(bodies).toEqual(["kept", "staying"]);
      expect(id).toBe(ids[1]);
    },
  );
});

describe("a client that loses its connection", () => {
  const { story } = stage(mam({}, { mod_csi: null }));

  story(
    "and did not acknowledge a message gets it again when it is back, and has it in its archive once",
    { bob: 1, alice: 1 },
    async ({ bob, alice, another, server, door }) => {
      await alice.managesStream();
      bob.sends`<message to="${alice.full}" type="chat"><body>OH, HAI! Msg 1</body></message>`;
      await alice.receives`<message from="${bob.full}"><body>OH, HAI! Msg 1</body></message>`;
      await alice.breaks();
      const back = await another(alice).logsIn(server.target(door), alice.resource);
      back.sendsRaw("<presence xmlns='jabber:client'/>");
      await back.receives`<presence/><message from="${bob.full}"><body>OH, HAI! Msg 1</body></message>`;
      expect((await asks(back)).bodies).toEqual(["OH, HAI! Msg 1"]);
    },
    covers("reconnect_no_ack"),
  );

  story(
    "and did acknowledge it does not get it again",
    { bob: 1, alice: 1 },
    async ({ bob, alice, another, server, door }) => {
      await alice.managesStream();
      bob.sends`<message to="${alice.full}" type="chat"><body>OH, HAI! Msg 1</body></message>`;
      await alice.receives`<message from="${bob.full}"><body>OH, HAI! Msg 1</body></message>`;
      alice.sendsRaw("<a xmlns='urn:xmpp:sm:3' h='1'/>");
      await alice.settled();
      await alice.breaks();
      const back = await another(alice).logsIn(server.target(door), alice.resource);
      await back.comesOnline();
      await back.receivesNothing();
      expect((await asks(back)).bodies).toEqual(["OH, HAI! Msg 1"]);
    },
    covers("reconnect_ack"),
  );

  story(
    "does not give its message to another client of the account while it may come back",
    { bob: 1, alice: 1 },
    async ({ bob, alice, another, server, door }) => {
      await alice.managesStream();
      bob.sends`<message to="${alice.full}" type="chat"><body>OH, HAI! Msg 1</body></message>`;
      await alice.receives`<message from="${bob.full}"><body>OH, HAI! Msg 1</body></message>`;
      await alice.breaks();
      const other = await another(alice).logsIn(server.target(door), "mam_sm_test_2nd_resource");
      other.sendsRaw("<presence xmlns='jabber:client'/>");
      await other.receives`<presence from="${other.full}"/><presence from="${alice.full}"/>`;
      await other.receivesNothing();
      expect((await asks(other)).bodies).toEqual(["OH, HAI! Msg 1"]);
    },
    covers("reconnect_no_ack_different_resource"),
  );
});

describe("an archive that keeps chat markers", () => {
  const { story } = stage(mam({ archive_chat_markers: true }));
  story(
    "has them with the others",
    { alice: 1, bob: 1 },
    async ({ alice, bob }) => {
      writes(alice, bob, "Hello, Bob!", '<markable xmlns="urn:xmpp:chat-markers:0"/>');
      await bob.receives`<message><body>Hello, Bob!</body></message>`;
      for (const marker of ["received", "displayed", "acknowledged"]) {
        bob.says(`<message to="${alice.full}"><${marker} xmlns="urn:xmpp:chat-markers:0" id="1"/></message>`);
        await alice.hears(`<message><${marker} xmlns="urn:xmpp:chat-markers:0" id="1"/></message>`);
      }
      const { bodies, messages } = await asks(alice, { queryid: "q1" });
      expect(bodies).toEqual(["Hello, Bob!", "", "", ""]);
      expect(messages.every(({ queryid }) => queryid === "q1")).toBe(true);
    },
    covers("archive_chat_markers"),
  );
});

describe("without mod_stanzaid", () => {
  const { story } = stage(mam({}, { mod_stanzaid: null }));
  story(
    "the archive gives messages their ids, and sender and addressee have different ones",
    { alice: 1, bob: 1 },
    async ({ alice, bob }) => {
      alice.says(
        `<message to="${bob.full}" type="chat"><body>Hi</body><stanza-id xmlns="${NS_SID}" by="${bob.bare}" id="forged"/></message>`,
      );
      const message = await bob.receives`<message><body>Hi</body></message>`;
      expect(message.children.filter((e) => typeof e !== "string" && e.name === "stanza-id")).toHaveLength(1);
      expect(message.children.some((e) => typeof e !== "string" && e.name === "archived")).toBe(false);
      const [id] = (await asks(bob)).ids;
      expect(stanzaId(message)?.attrs).toMatchObject({ by: bob.bare, id });
      expect((await asks(alice)).ids).not.toContain(id);
    },
    covers("only_stanzaid"),
  );
});

describe("without ids in messages", () => {
  const { story } = stage(mam({ no_stanzaid_element: true }, { mod_stanzaid: null }));
  story(
    "messages come as they were sent",
    { alice: 1, bob: 1 },
    async ({ alice, bob }) => {
      writes(alice, bob, "Hi");
      const message = await bob.receives`<message><body>Hi</body></message>`;
      for (const name of ["stanza-id", "archived"]) expect(find(message, name)).toBeUndefined();
    },
    covers("no_elements"),
  );
});

describe("one id for both", () => {
  const { story } = stage({ modules: { mod_mam: { pm: { same_mam_id_for_peers: true } }, mod_stanzaid: null } });
  story(
    "is in the archive of the sender what the addressee is told",
    { alice: 1, bob: 1 },
    async ({ alice, bob }) => {
      writes(alice, bob, "OH, HAI!");
      const message = await bob.receives`<message><body>OH, HAI!</body></message>`;
      expect((await asks(alice)).ids).toEqual([stanzaId(message)?.attrs["id"]]);
      expect((await asks(bob)).ids).toEqual([stanzaId(message)?.attrs["id"]]);
    },
    covers("same_stanza_id"),
  );
});

describe("a database that fails", () => {
  const { story } = stage(mam());
  const rename = (server: StoryServer, from: string, to: string) =>
    databaseOf(server).execute(`ALTER TABLE ${from} RENAME TO ${to}`);
  const sample = (server: StoryServer, name: string): number => {
    const line = renderMetrics(server.node)
      .split("\n")
      .find((l) => l.startsWith(`${name}{`));
    return Number(line?.slice(line.lastIndexOf(" ") + 1));
  };

  story(
    "is told to whoever asks",
    { alice: 1, bob: 1 },
    async ({ alice, bob, server }) => {
      writes(alice, bob, "OH, HAI!");
      await bob.receives`<message><body>OH, HAI!</body></message>`;
      await rename(server, "mam_message", "gone");
      expect((await asks(alice)).error).toBe("wait internal-server-error");
      alice.sends`<iq type="get" id="m"><metadata xmlns="${NS_MAM}"/></iq>`;
      await alice.receives`<iq type="error" id="m"><error type="wait"/></iq>`;
      await rename(server, "gone", "mam_message");
      expect((await asks(alice)).bodies).toEqual(["OH, HAI!"]);
    },
    { ...covers("pm_sql_query_failed"), door: "tcp", logs: ["archive_lookup_failed"] },
  );

  story(
    "is told to the sender of a message that cannot be archived, which is counted and delivered to nobody",
    { alice: 1, bob: 1 },
    async ({ alice, bob, server }) => {
      const dropped = "mod_mam_pm_dropped_count";
      const before = sample(server, dropped);
      await rename(server, "mam_message", "gone");
      writes(alice, bob, "OH, HAI!");
      await alice.receives`<message type="error"><error type="wait"/></message>`;
      await bob.receivesNothing();
      await rename(server, "gone", "mam_message");
      expect((await asks(alice)).bodies).toEqual([]);
      expect(sample(server, dropped)).toBeGreaterThan(before);
    },
    { ...covers("message_dropped"), door: "tcp", logs: ["archive_write_failed", "stanza_commit_failed"] },
  );

  story(
    "is counted when it does its work",
    { alice: 1, bob: 1 },
    async ({ alice, bob, server }) => {
      const names = ["mod_mam_pm_archive_message_count", "mod_mam_pm_flushed_count", "mod_mam_pm_lookup_count"];
      const before = names.map((name) => sample(server, name));
      for (const n of [1, 2, 3]) {
        writes(alice, bob, `Msg ${n}`);
        await bob.hears(`<message><body>Msg ${n}</body></message>`);
      }
      expect((await asks(alice)).bodies).toHaveLength(3);
      const grown = names.map((name, i) => sample(server, name) - before[i]);
      // Each message is in two archives.
      expect(grown).toEqual([6, 6, 1]);
      expect(sample(server, "async_pool_queue_lengths_total")).toBe(0);
      const removed = sample(server, "mod_mam_pm_remove_archive_count");
      await server.node.removeUser(server.node.sessionsOf({ text: alice.bare } as never)[0].jid.bare);
      expect(sample(server, "mod_mam_pm_remove_archive_count")).toBe(removed + 1);
    },
    {
      ...covers("archive_is_instrumented", "async_pools_batch_flush", "async_pool_queue_lengths_are_updated"),
      door: "tcp",
    },
  );
});
