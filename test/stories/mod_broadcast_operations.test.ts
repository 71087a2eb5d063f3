// Broadcasts: what the operations take, tell and refuse, and whom.
import { describe, expect } from "vitest";
import modBroadcast from "../../modules/mod_broadcast/index.ts";
import type { Context } from "../../modules/mod_broadcast/manager.ts";
import { BROADCASTS, FAST, feature, type Job, world } from "../support/broadcasts.ts";
import type { Face } from "../support/graphql.ts";
import { stage } from "../support/story.ts";

const of = stage(BROADCASTS);

describe("what is asked for", () => {
  const { story } = of;

  story(
    "must be within bounds, and from a user of the domain",
    {},
    async (scene) => {
      const { admin } = scene.graphql;
      const [a, b] = [await world(scene), await world(scene)];
      const asks = (change: object) => admin.calls("broadcast.startBroadcast", { ...a.spec, ...change });
      for (const messageRate of [0, -1]) (await asks({ messageRate })).isNotCoerced();
      (
        await admin.asks(`mutation { broadcast { startBroadcast(name: "n", domain: "${a.domain}", messageSubject: "s", messageBody: "b",
        senderJid: "u@d", messageRate: "not_a_number", recipientGroup: ALL_USERS_IN_DOMAIN) { ids } } }`)
      ).isBadRequest();
      for (const messageRate of [1001, 9999]) {
        (await asks({ messageRate })).fails("bad_parameter", "Invalid parameter: message_rate");
      }
      for (const [change, name] of [
        [{ name: "" }, "name"],
        [{ name: "a".repeat(251) }, "name"],
        [{ messageSubject: "a".repeat(1025) }, "subject"],
        [{ messageBody: "" }, "body"],
        [{ messageBody: "a".repeat(16_001) }, "body"],
      ] as const) {
        (await asks(change)).fails("bad_parameter", `Invalid parameter: ${name}`, { domain: a.domain });
      }
      for (const senderJid of [`nonexistent@${a.domain}`, b.people[0].bare, "unknown@sender"]) {
        (await asks({ senderJid })).fails("sender_not_found", "Sender account does not exist");
      }
      (await admin.calls("broadcast.startBroadcast", { ...a.spec, domain: "unknown" })).fails("domain_not_found");
      (await admin.calls("broadcast.getBroadcasts", { domain: a.domain })).gives([]);
    },
    {
      door: "tcp",
      covers: [
        "mod_broadcast_SUITE:start_broadcast_bad_message_rate",
        "mod_broadcast_SUITE:start_broadcast_bad_name",
        "mod_broadcast_SUITE:start_broadcast_bad_subject",
        "mod_broadcast_SUITE:start_broadcast_bad_body",
        "mod_broadcast_SUITE:start_broadcast_sender_not_found",
        "mod_broadcast_SUITE:start_broadcast_sender_spoofing_attempt_from_secondary_domain",
        "graphql_broadcast_SUITE:admin_start_broadcast_validation_error",
        "graphql_broadcast_SUITE:admin_start_broadcast_coercion_error",
        "graphql_broadcast_SUITE:admin_start_broadcast_sender_not_found",
      ],
    },
  );

  story(
    "may be as short and as long as the bounds",
    {},
    async (scene) => {
      const { start, abort } = await world(scene);
      for (const change of [
        { name: "a" },
        { name: "a".repeat(250) },
        { messageSubject: "" },
        { messageSubject: "a".repeat(1024) },
        { messageBody: "a" },
        { messageBody: "a".repeat(16_000) },
      ]) {
        await abort(await start(change));
      }
    },
    { door: "tcp", covers: ["mod_broadcast_SUITE:start_broadcast_string_limits_ok"] },
  );
});

describe("what is told", () => {
  const { story } = of;

  story(
    "of a broadcast",
    {},
    async (scene) => {
      const [a, b] = [await world(scene), await world(scene)];
      const { domain, spec, start, job, until, abort } = a;
      const id = await start();
      const time = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d/);
      const { recipientGroup, ...asked } = spec;
      const told = { id, ...asked, recipientGroup, createTimestamp: time, recipientCount: 20, abortionReason: null };
      const running = { executionState: "RUNNING", stopTimestamp: null, ownerNode: scene.server.node.name };
      expect(await job(id)).toMatchObject({ ...told, ...running, recipientsProcessed: expect.any(Number) });
      await abort(id);
      const ended = { executionState: "ABORT_ADMIN", startTimestamp: time, stopTimestamp: time };
      expect(await job(id)).toMatchObject({ ...told, ...ended });
      const fast = await start(FAST);
      const finished = {
        executionState: "FINISHED",
        startTimestamp: time,
        stopTimestamp: time,
        recipientsProcessed: 20,
      };
      expect(await until(fast, "FINISHED")).toMatchObject({ ...told, ...finished, id: fast, messageRate: 1000 });
      const foreign = await b.start();
      for (const other of [foreign, 999_999]) {
        (await scene.graphql.admin.calls("broadcast.getBroadcast", { domain, id: other })).fails("broadcast_not_found");
      }
    },
    {
      door: "tcp",
      covers: [
        "mod_broadcast_SUITE:get_broadcast_ok_returns_expected_fields",
        "mod_broadcast_SUITE:get_broadcast_not_found",
        "graphql_broadcast_SUITE:admin_get_broadcast",
        "graphql_broadcast_SUITE:admin_get_broadcast_finished",
      ],
    },
  );

  story(
    "of a domain's, the newest first, page by page",
    {},
    async (scene) => {
      const { graphql } = scene;
      const { domain, start, abort } = await world(scene);
      const listed = async (limit: number, index: number, face: Face = graphql.admin) =>
        ((await face.calls("broadcast.getBroadcasts", { domain, limit, index })).value as Job[]).map((job) => job.id);
      expect(await listed(10, 0)).toEqual([]);
      const ids: number[] = [];
      for (let i = 0; i < 3; i++) {
        ids.unshift(await start({ name: `n${i}` }));
        await abort(ids[0]);
      }
      expect(await listed(100, 0)).toEqual(ids);
      expect(await listed(2, 0, graphql.ctl)).toEqual(ids.slice(0, 2));
      expect(await listed(100, 1)).toEqual(ids.slice(1));
      expect(await listed(1, 1)).toEqual([ids[1]]);
    },
    {
      door: "tcp",
      covers: [
        "mod_broadcast_SUITE:get_broadcasts_empty_ok",
        "mod_broadcast_SUITE:get_broadcasts_pagination_basic",
        "graphql_broadcast_SUITE:admin_get_broadcasts_pagination",
      ],
    },
  );

  story(
    "of one that broke: the reason",
    {},
    async (scene) => {
      const { start, until } = await world(scene);
      const id = await start();
      const host = scene.server.node.hosts.get("dynamic")!;
      const { ctx } = feature(of);
      await host.stopModule("mod_broadcast");
      await scene.server.node.db("rdbms").execute("UPDATE broadcast_jobs SET from_jid = '@' WHERE id = ?", [id]);
      await host.startModule(modBroadcast, ctx.config);
      const broken = await until(id, "ABORT_ERROR");
      expect(broken["abortionReason"]).toContain("no JID");
      expect(broken["stopTimestamp"]).toEqual(expect.any(String));
    },
    {
      door: "tcp",
      logs: ["broadcast_job_aborted_error"],
      covers: ["graphql_broadcast_SUITE:admin_get_broadcast_worker_killed"],
    },
  );
});

describe("who may ask", () => {
  const { story } = of;
  const OPERATIONS = (domain: string) =>
    [
      ["getBroadcasts", { domain, limit: 1, index: 0 }],
      ["getBroadcast", { domain, id: 2137 }],
      [
        "startBroadcast",
        {
          name: "T",
          domain,
          messageSubject: "S",
          messageBody: "B",
          senderJid: "u@d",
          messageRate: 1,
          recipientGroup: "ALL_USERS_IN_DOMAIN",
        },
      ],
      ["abortBroadcast", { domain, id: 2137 }],
      ["deleteInactiveBroadcastsByIds", { domain, ids: [2137] }],
      ["deleteInactiveBroadcastsByDomain", { domain }],
    ] as const;
  const document = (name: string, args: object) => {
    const text = JSON.stringify(args)
      .slice(1, -1)
      .replace(/"(\w+)":/g, "$1: ")
      .replace('"ALL_USERS_IN_DOMAIN"', "ALL_USERS_IN_DOMAIN");
    const fields = name === "getBroadcasts" || name === "getBroadcast" ? "id" : "ids";
    return `${name.startsWith("get") ? "query" : "mutation"} { broadcast { ${name}(${text}) { ${fields} } } }`;
  };

  story(
    "not who has the wrong password, nor the administrator of another domain",
    {},
    async (scene) => {
      const [a, b] = [await world(scene), await world(scene)];
      const spy = scene.graphql.endpoint("admin", "spy:spy_password");
      const other = await scene.graphql.domainAdmin(b.domain);
      const id = await a.start();
      for (const face of [spy, other]) {
        for (const [name, args] of OPERATIONS(a.domain)) {
          const answer = await face.asks(document(name, args));
          expect(answer.status, `${face.name} ${name}`).toBe(401);
        }
      }
      expect((await a.job(id)).executionState).toBe("RUNNING");
    },
    {
      door: "tcp",
      covers: [
        "graphql_broadcast_SUITE:admin_protection_checks",
        "graphql_broadcast_SUITE:domain_admin_protection_checks",
      ],
    },
  );

  story(
    "the administrator of the domain",
    {},
    async (scene) => {
      const { domain, start, abort } = await world(scene);
      await abort(await start({}, await scene.graphql.domainAdmin(domain)));
    },
    { door: "tcp", covers: ["graphql_broadcast_SUITE:domain_admin_start_broadcast_success"] },
  );

  story(
    "nobody where the feature is not loaded, or cannot reach its database",
    {},
    async (scene) => {
      const { domain, spec } = await world(scene);
      const { admin } = scene.graphql;
      const host = scene.server.node.hosts.get("dynamic")!;
      const { config } = feature(of).ctx;
      await host.stopModule("mod_broadcast");
      (await admin.calls("broadcast.getBroadcasts", { domain })).lacks(["mod_broadcast"]);
      const away = {
        ...modBroadcast,
        store: (db: Parameters<NonNullable<typeof modBroadcast.store>>[0]) => {
          const store = modBroadcast.store?.(db) as Context["store"];
          store.getRunningJobs = () => Promise.reject(new Error("forced failure"));
          return store;
        },
      };
      await host.startModule(away, config);
      (await admin.calls("broadcast.startBroadcast", spec)).fails("temporarily_unavailable", /\w/);
      await host.stopModule("mod_broadcast");
      await host.startModule(modBroadcast, config);
    },
    {
      door: "tcp",
      logs: ["broadcast_job_synchronization_failed"],
      covers: [
        "graphql_broadcast_SUITE:admin_module_gating_checks",
        "graphql_broadcast_SUITE:admin_start_broadcast_manager_temporarily_unavailable",
      ],
    },
  );
});
