// What goes with a domain: everything of it, nothing of another, and what happens when something does not want to go.
import { describe, expect, vi } from "vitest";
import { makeBare, parseBareJid } from "../../core/jid.ts";
import type { LastStore } from "../../modules/mod_last/store.ts";
import type { MarkerStore } from "../../modules/mod_smart_markers/store.ts";
import { asks } from "../support/archive.ts";
import { BROADCASTS, feature, world } from "../support/broadcasts.ts";
import type { Client } from "../support/client.ts";
import { whole } from "../support/personal.ts";
import { covering, type Scene, stage } from "../support/story.ts";
import type { Changes, StoryServer } from "../support/story-server.ts";

const covers = covering("domain_removal_SUITE", { door: "tcp" });
const DYNAMIC = { general: { hosts: ["localhost"], host_types: ["dynamic"] } };
const staged = (modules: Changes) => stage({ ...DYNAMIC, modules });

let made = 0;
/** Two domains of the same host type. */
async function domains({ graphql }: Pick<Scene, "graphql">): Promise<[string, string]> {
  const names: [string, string] = [`removed${++made}.example`, `stays${made}.example`];
  for (const domain of names) {
    (await graphql.admin.calls("domain.addDomain", { domain, hostType: "dynamic" })).data;
  }
  return names;
}
const hostOf = (server: StoryServer) => server.node.hosts.get("dynamic")!;
/** As MongooseIM's suite does: what features are told, with the domain still there to look at. */
const tellFeatures = (server: StoryServer, domain: string): Promise<void> =>
  hostOf(server).hooks.insist("remove_domain", { domain });
const remove = ({ graphql }: Pick<Scene, "graphql">, domain: string) =>
  graphql.admin.calls("domain.removeDomain", { domain, hostType: "dynamic" });

async function comes({ account }: Pick<Scene, "account">, name: string, domain: string): Promise<Client> {
  return (await (await account(name, domain)).comes()).comesOnline();
}
async function says(from: Client, to: Client, text: string): Promise<void> {
  from.says(`<message to="${to.full}" type="chat"><body>${text}</body></message>`);
  await to.skipsTo((e) => e.name === "message");
}
const archiveSize = async (c: Client): Promise<number> => (await asks(c)).messages.length;

describe("mod_cache_users", () => {
  const { story } = staged({ mod_cache_users: {} });

  story(
    "who is remembered as there is forgotten, but not of another domain",
    {},
    async (scene) => {
      const { server } = scene;
      const [gone, stays] = await domains(scene);
      const cache = hostOf(server).accountCache;
      const known: boolean[][] = [];
      const absent = [await scene.account("bob", gone), await scene.account("bob", stays)];
      const look = () => known.push(absent.map(({ bare }) => cache?.has(bare) ?? false));
      look();
      for (const { bare, domain } of absent) {
        const alice = await comes(scene, "alice", domain);
        alice.says(`<message to="${bare}" type="chat"><body>Are you there?</body></message>`);
        await alice.settles();
      }
      look();
      (await remove(scene, gone)).data;
      look();
      expect(known).toEqual([
        [false, false],
        [true, true],
        [false, true],
      ]);
    },
    covers("cache_removal"),
  );
});

const LIMITS: Changes[] = [{}, { delete_domain_limit: 1 }];

describe.each(LIMITS)("mod_mam %j", (options) => {
  const { story } = staged({ mod_mam: { pm: {}, ...options } });

  story(
    "archives are empty, and those of another domain are not",
    {},
    async (scene) => {
      const [gone, stays] = await domains(scene);
      const pairs: [Client, Client][] = [];
      for (const domain of [gone, stays]) {
        const [alice, bob] = [await comes(scene, "alice", domain), await comes(scene, "bob", domain)];
        for (let i = 0; i < 3; i++) await says(alice, bob, "OH, HAI!");
        pairs.push([alice, bob]);
      }
      const sizes = (): Promise<number[]> => Promise.all(pairs.flat().map(archiveSize));
      expect(await sizes()).toEqual([3, 3, 3, 3]);
      await tellFeatures(scene.server, gone);
      expect(await sizes()).toEqual([0, 0, 3, 3]);
    },
    covers("mam_pm_removal"),
  );
});

describe("mod_last", () => {
  const { story } = staged({});

  story(
    "when somebody was seen is forgotten",
    {},
    async (scene) => {
      const { server, befriend } = scene;
      const [gone] = await domains(scene);
      const [alice, bob] = [await comes(scene, "alice", gone), await comes(scene, "bob", gone)];
      await befriend(alice, bob);
      bob.sends`<presence type="unavailable"><status>I am a banana!</status></presence>`;
      await alice.receives`<presence from="${bob.full}" type="unavailable"/>`;
      await bob.leaves();
      alice.says(`<iq type="get" id="l1" to="${bob.bare}"><query xmlns="jabber:iq:last"/></iq>`);
      const iq = await alice.skipsTo((e) => e.attrs["id"] === "l1");
      expect(JSON.stringify(iq)).toContain("I am a banana!");
      await tellFeatures(server, gone);
      const store = hostOf(server).modules.get("mod_last")?.ctx.store as LastStore;
      expect(await store.getLast(parseBareJid(bob.bare))).toBeUndefined();
      // The rosters have gone too: nobody may ask any more.
      alice.says(`<iq type="get" id="l2" to="${bob.bare}"><query xmlns="jabber:iq:last"/></iq>`);
      expect(JSON.stringify(await alice.skipsTo((e) => e.attrs["id"] === "l2"))).toContain("forbidden");
    },
    covers("last_removal"),
  );
});

describe("mod_smart_markers with backend rdbms_async", () => {
  const { story } = staged({ mod_smart_markers: { backend: "rdbms_async" } });

  story(
    "what users of another host type have sent and what is not written yet is forgotten",
    { mercutio: 1 },
    async (scene) => {
      const { mercutio, server } = scene;
      const [gone] = await domains(scene);
      const bob = await comes(scene, "bob", gone);
      mercutio.says(`<message to="${bob.full}"><displayed xmlns="urn:xmpp:chat-markers:0" id="m1"/></message>`);
      await bob.skipsTo((e) => e.name === "message");
      const store = server.node.hosts.get("localhost")?.modules.get("mod_smart_markers")?.ctx.store as MarkerStore;
      expect(store.waiting).toBe(1);
      (await remove(scene, gone)).data;
      await store.flush(1);
      expect(await store.getMarkersTo(parseBareJid(bob.bare), "")).toEqual([]);
    },
    { door: "tcp" },
  );
});

describe("mod_smart_markers", () => {
  const { story } = staged({ mod_smart_markers: {} });

  story(
    "what was displayed is forgotten, and not in another domain",
    {},
    async (scene) => {
      const [gone, stays] = await domains(scene);
      const store = hostOf(scene.server).modules.get("mod_smart_markers")?.ctx.store as MarkerStore;
      const readers: Client[] = [];
      for (const domain of [gone, stays]) {
        const [alice, bob] = [await comes(scene, "alice", domain), await comes(scene, "bob", domain)];
        await says(alice, bob, "Hello Bob!");
        bob.says(`<message to="${alice.full}"><displayed xmlns="urn:xmpp:chat-markers:0" id="m1"/></message>`);
        await alice.skipsTo((e) => e.name === "message");
        await vi.waitFor(async () => expect(await store.getMarkersTo(parseBareJid(alice.bare), "")).toHaveLength(1));
        readers.push(alice);
      }
      await tellFeatures(scene.server, gone);
      const left = await Promise.all(readers.map((c) => store.getMarkersTo(parseBareJid(c.bare), "")));
      expect(left.map((markers) => markers.length)).toEqual([0, 1]);
    },
    covers("markers_removal"),
  );
});

describe("mod_broadcast", () => {
  const of = stage(BROADCASTS);
  const { story } = of;

  story(
    "a broadcast that runs ends and is forgotten; that of another domain goes on",
    {},
    async (scene) => {
      const [gone, stays] = [await world(scene, 3), await world(scene, 3)];
      const [id, other] = [await gone.start(), await stays.start()];
      (await scene.graphql.admin.calls("domain.removeDomain", { domain: gone.domain, hostType: "dynamic" })).data;
      const { store } = feature(of).ctx;
      expect(await store.getJobs(gone.domain, 10, 0)).toEqual([]);
      expect(await store.getJob(id)).toBeUndefined();
      expect((await store.getJobs(stays.domain, 10, 0)).map((job) => [job.id, job.state])).toEqual([
        [other, "running"],
      ]);
      expect((await stays.job(other)).executionState).toBe("RUNNING");
    },
    covers("broadcast_removal"),
  );
});

describe("a removal", () => {
  const { story } = staged({ mod_mam: { pm: {} } });

  story(
    "that a feature fails is not over: the domain stays out of service, and the next try finishes it",
    {},
    async (scene) => {
      const { server, graphql } = scene;
      const [gone] = await domains(scene);
      const alice = await comes(scene, "alice", gone);
      const bob = await comes(scene, "bob", gone);
      await says(alice, bob, "Hi");
      const host = hostOf(server);
      let tries = 0;
      const run = (): void => {
        if (++tries === 1) throw new Error("the first time it has to fail");
      };
      host.hooks.add("failing", { remove_domain: { at: 30, run } }, {});
      (await remove(scene, gone)).fails("resolver_crash");
      (await graphql.admin.calls("domain.domainDetails", { domain: gone })).includes({ status: "DELETING" });
      (await graphql.admin.calls("domain.addDomain", { domain: gone, hostType: "dynamic" })).fails("duplicate");
      (await graphql.admin.calls("domain.enableDomain", { domain: gone })).fails("deleted");
      (await graphql.admin.calls("account.registerUser", { domain: gone, username: "x", password: "y" })).fails(
        "cannot_register",
      );
      // The accounts are last: as long as they are there, nobody can take their names.
      expect(await host.auth.exists(alice.local, gone)).toBe(true);
      (await remove(scene, gone)).includes({ status: "DELETED" });
      host.hooks.remove("failing");
      expect(tries).toBe(2);
      const jid = makeBare(alice.local, gone);
      const tables = await whole(host.hooks.foldWhole("get_personal_data", [], { jid }));
      expect(tables.flatMap(({ rows }) => rows)).toEqual([]);
      (await graphql.admin.calls("domain.domainDetails", { domain: gone })).fails("not_found");
      expect(await host.auth.exists(alice.local, gone)).toBe(false);
    },
    { door: "tcp", logs: ["hook_failed", "operation_crashed"] },
  );

  story(
    "says in the log how much it has deleted",
    {},
    async (scene) => {
      const [gone] = await domains(scene);
      const [alice, bob] = [await comes(scene, "alice", gone), await comes(scene, "bob", gone)];
      await says(alice, bob, "Hi");
      (await remove(scene, gone)).data;
      const line = scene.server.logged.find(({ what, domain }) => what === "domain_removed" && domain === gone);
      // Two accounts and two archived messages at least.
      expect(line?.["rows"]).toBeGreaterThanOrEqual(4);
    },
    { door: "tcp" },
  );

  story(
    "is left where it is when the server stops, and goes on when it starts again",
    {},
    async (scene) => {
      const { server } = scene;
      const [gone] = await domains(scene);
      const rows = Array.from({ length: 5000 }, (_, i) => [gone, `user${i}`, "urn:x", "<x xmlns='urn:x'/>"]);
      const columns = ["server", "username", "namespace", "data"];
      await server.node.db("rdbms").insertMany("private_storage", columns, rows);
      const left = async (): Promise<number> => {
        const sql = "SELECT count(*) AS n FROM private_storage WHERE server = ?";
        return Number((await server.node.db("rdbms").query<{ n: number }>(sql, [gone]))[0].n);
      };
      (await scene.graphql.admin.calls("domain.requestRemoveDomain", { domain: gone, hostType: "dynamic" })).data;
      await vi.waitFor(async () => expect(await left()).toBeLessThan(5000), { interval: 1 });
      await server.restarts({ ...DYNAMIC, modules: { mod_mam: { pm: {} } } });
      const stopped = server.logged.find(
        ({ what, domain }) => what === "domain_removal_interrupted" && domain === gone,
      );
      expect(stopped?.level).toBe("notice");
      await vi.waitFor(async () => expect(await left()).toBe(0));
      await vi.waitFor(async () => expect(await server.node.domains.details(gone)).toBeUndefined());
    },
    { door: "tcp" },
  );

  story(
    "of an account that was cut short goes on though its domain is disabled, and its name is not free meanwhile",
    {},
    async (scene) => {
      const { server } = scene;
      const [domain] = await domains(scene);
      const jid = makeBare("tybalt", domain);
      await server.db.upsert("last", { server: domain, username: "tybalt" }, { seconds: 1, state: "" });
      await server.node.pools.embedded.upsert(
        "mongooseim_removals",
        { server: domain, username: "tybalt" },
        { began_at: 1 },
      );
      (await scene.graphql.admin.calls("domain.disableDomain", { domain })).data;
      await server.restarts({ ...DYNAMIC, modules: { mod_mam: { pm: {} } } });
      const store = hostOf(server).modules.get("mod_last")?.ctx.store as LastStore;
      await vi.waitFor(async () => expect(await store.getLast(jid)).toBeUndefined());
      const marks = () =>
        server.node.pools.embedded.query("SELECT 1 FROM mongooseim_removals WHERE server = ?", [domain]);
      await vi.waitFor(async () => expect(await marks()).toEqual([]));
    },
    { door: "tcp" },
  );
});
