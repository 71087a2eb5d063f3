// Broadcasts: administrators' messages to all users of a domain. What needs a clock, a second node or a database that
// goes away is in test/unit/modules/mod_broadcast.test.ts and test/storage/broadcast.test.ts.
import { describe, expect } from "vitest";
import modBroadcast from "../../modules/mod_broadcast/index.ts";
import type { Context } from "../../modules/mod_broadcast/manager.ts";
import type { Face } from "../support/graphql.ts";
import type { Absent, Scene } from "../support/story.ts";
import { stage } from "../support/story.ts";

const of = stage({
  general: { hosts: ["localhost"], host_types: ["dynamic"] },
  modules: { mod_broadcast: {} },
});
/** Domains of stories: a job is one of its domain's. */
let domains = 0;

interface Job {
  id: number;
  executionState: string;
  [field: string]: unknown;
}
type Started = { message: string; ids: number[] };

/** A domain of its own with some users, the first of whom sends. */
async function world({ server, account, graphql }: Scene, users = 20) {
  const domain = `d${++domains}.example`;
  await server.node.domains.add(domain, "dynamic");
  const people: Absent[] = [];
  for (let i = 0; i < users; i++) people.push(await account("user", domain));
  const spec = {
    name: `job of ${domain}`,
    domain,
    messageSubject: "Maintenance",
    messageBody: `At 22:00 in ${domain}`,
    senderJid: people[0].bare,
    messageRate: 1,
    recipientGroup: "ALL_USERS_IN_DOMAIN",
  };
  const start = async (change: object = {}, face: Face = graphql.admin): Promise<number> => {
    const { ids, message } = (await face.calls("broadcast.startBroadcast", { ...spec, ...change })).value as Started;
    expect(message).toBe("Broadcast job started");
    expect(ids).toEqual([expect.any(Number)]);
    return ids[0];
  };
  const job = async (id: number): Promise<Job> =>
    (await graphql.admin.calls("broadcast.getBroadcast", { domain, id })).value as Job;
  const until = async (id: number, state: string): Promise<Job> => {
    for (let i = 0; i < 200; i++) {
      const found = await job(id);
      if (found.executionState === state) return found;
      await Bun.sleep(25);
    }
    throw new Error(`the job did not become ${state}`);
  };
  const abort = async (id: number): Promise<void> => {
    const answer = await graphql.admin.calls("broadcast.abortBroadcast", { domain, id });
    answer.gives({ message: "Broadcast job aborted", ids: [id] });
  };
  return { domain, people, spec, start, job, until, abort };
}
const FAST = { messageRate: 1000 };

/** The running feature. */
function feature(): { ctx: Context } {
  return { ctx: of.server.node.hosts.get("dynamic")?.modules.get("mod_broadcast")?.ctx as Context };
}

describe("lifecycle", () => {
  const { story } = of;

  story(
    "a broadcast is started, and its id told",
    {},
    async (scene) => {
      const { start, job } = await world(scene);
      const id = await start();
      expect((await job(id)).executionState).toBe("RUNNING");
    },
    {
      door: "tcp",
      covers: [
        "mod_broadcast_SUITE:start_broadcast_ok_returns_job_id",
        "graphql_broadcast_SUITE:admin_start_broadcast_success",
      ],
    },
  );

  story(
    "each user gets the message once, with an id that tells it from others",
    {},
    async (scene) => {
      const { people, start, until, domain } = await world(scene, 3);
      const [alice, bob] = [await people[0].comes(), await people[1].comes()];
      await alice.comesOnline();
      await bob.comesOnline();
      const id = await start(FAST);
      const message = await bob.receives`
      <message from="${alice.bare}" to="${bob.bare}" type="chat"><subject>Maintenance</subject><body>At 22:00 in ${domain}</body></message>`;
      const origin = message.children.find((c) => typeof c !== "string" && c.name === "origin-id");
      expect(origin).toMatchObject({ ns: "urn:xmpp:sid:0", attrs: { id: message.attrs["id"] } });
      expect(message.attrs["id"]).toMatch(/^mb-[0-9A-F]{32}$/);
      await until(id, "FINISHED");
      await alice.receives`<message from="${alice.bare}" to="${alice.bare}" type="chat"/>`;
      await bob.receivesNothing();
      // Who was not there finds it when he comes.
      const late = await people[2].comes();
      late.sends`<presence/>`;
      await late.skipsTo((e) => e.name === "message" && e.attrs["from"] === alice.bare);
    },
    { covers: ["mod_broadcast_SUITE:broadcast_job_delivers_message"] },
  );

  story(
    "a domain has one running broadcast at a time, two domains one each",
    {},
    async (scene) => {
      const [a, b] = [await world(scene), await world(scene)];
      const id = await a.start();
      (await scene.graphql.admin.calls("broadcast.startBroadcast", a.spec)).fails(
        "running_job_limit_exceeded",
        "running job limit exceeded",
        { domain: a.domain },
      );
      expect(await b.start()).not.toBe(id);
    },
    {
      door: "tcp",
      covers: [
        "mod_broadcast_SUITE:start_broadcast_running_job_limit_exceeded",
        "mod_broadcast_SUITE:start_broadcast_two_domains_both_ok",
      ],
    },
  );

  story(
    "a broadcast goes on after a restart, when this node still owns it, and sends nothing twice",
    {},
    async (scene) => {
      const [a, b] = [await world(scene, 12), await world(scene)];
      const bob = await a.people[1].comes();
      await bob.comesOnline();
      const [own, foreign] = [await a.start({ messageRate: 8 }), await b.start()];
      await bob.receives`<message type="chat"/>`;
      const host = scene.server.node.hosts.get("dynamic")!;
      const { ctx } = feature();
      await host.stopModule("mod_broadcast");
      const before = (await ctx.store.getJob(own))!;
      expect(before.state).toBe("running");
      const db = scene.server.node.db("rdbms");
      await db.execute("UPDATE broadcast_jobs_ownership SET owner_node = 'x@nowhere' WHERE broadcast_id = ?", [
        foreign,
      ]);
      await host.startModule(modBroadcast, ctx.config);
      const done = await a.until(own, "FINISHED");
      expect(done["recipientsProcessed"]).toBe(12);
      await bob.receivesNothing();
      // Another node's: it is left alone.
      expect(await b.job(foreign)).toMatchObject({
        executionState: "RUNNING",
        recipientsProcessed: expect.any(Number),
        ownerNode: "x@nowhere",
      });
      (await scene.graphql.admin.calls("broadcast.abortBroadcast", { domain: b.domain, id: foreign })).fails(
        "cannot_reach_job_owner_node",
      );
    },
    { door: "tcp", covers: ["mod_broadcast_SUITE:resume_jobs_after_restart"] },
  );

  story(
    "a running broadcast is aborted, an other is not",
    {},
    async (scene) => {
      const { admin } = scene.graphql;
      const [a, b] = [await world(scene), await world(scene)];
      const [id, other] = [await a.start(), await b.start()];
      await a.abort(id);
      expect(await a.until(id, "ABORT_ADMIN")).toMatchObject({ abortionReason: null, ownerNode: "" });
      const abort = (id: number) => admin.calls("broadcast.abortBroadcast", { domain: a.domain, id });
      (await abort(id)).fails("not_running", "", { domain: a.domain, id });
      (await abort(other)).fails("broadcast_not_found");
      (await abort(999_999)).fails("broadcast_not_found", "Broadcast job not found");
      expect((await b.job(other)).executionState).toBe("RUNNING");
    },
    {
      door: "tcp",
      covers: [
        "mod_broadcast_SUITE:abort_broadcast_running_ok",
        "mod_broadcast_SUITE:abort_broadcast_not_found",
        "mod_broadcast_SUITE:abort_broadcast_not_running_returns_not_running",
        "graphql_broadcast_SUITE:admin_abort_broadcast",
      ],
    },
  );

  story(
    "only broadcasts that do not run are deleted",
    {},
    async (scene) => {
      const { admin } = scene.graphql;
      const { domain, start, abort, job } = await world(scene);
      const byDomain = () => admin.calls("broadcast.deleteInactiveBroadcastsByDomain", { domain });
      (await byDomain()).gives({ message: "Inactive broadcasts deleted", ids: [] });
      const gone = async (id: number) =>
        (await admin.calls("broadcast.getBroadcast", { domain, id })).fails("broadcast_not_found");
      const first = await start();
      await abort(first);
      const running = await start();
      const ids = [running, first, 999_999];
      (await admin.calls("broadcast.deleteInactiveBroadcastsByIds", { domain, ids })).gives({
        message: "Inactive broadcasts deleted",
        ids: [first],
      });
      await gone(first);
      await abort(running);
      const next = await start();
      (await byDomain()).includes({ ids: [running] });
      await gone(running);
      expect((await job(next)).executionState).toBe("RUNNING");
    },
    {
      door: "tcp",
      covers: [
        "mod_broadcast_SUITE:delete_inactive_by_ids_skips_running",
        "mod_broadcast_SUITE:delete_inactive_by_domain_empty_ok",
        "mod_broadcast_SUITE:delete_inactive_by_domain_deletes_only_inactive",
        "graphql_broadcast_SUITE:admin_delete_inactive_broadcasts",
        "graphql_broadcast_SUITE:admin_delete_inactive_broadcasts_by_domain",
      ],
    },
  );

  story(
    "the metrics count jobs and recipients",
    {},
    async (scene) => {
      const { registry } = scene.server.node;
      const read = (name: string): number => {
        const found = registry
          .list()
          .find((r) => r.name === `mod_broadcast_${name}_count` && r.labels["host_type"] === "dynamic");
        return found?.values["value"] ?? found?.values["count"] ?? Number.NaN;
      };
      const names = ["jobs_started", "jobs_finished", "jobs_aborted_admin", "jobs_aborted_error"];
      const recipients = ["recipients_processed", "recipients_success", "recipients_skipped"];
      const all = () => [...names, ...recipients].map(read);
      const live = read("live_jobs");
      const before = all();
      const since = () => all().map((value, i) => value - before[i]);
      const { start, until, abort } = await world(scene, 5);
      await until(await start(FAST), "FINISHED");
      expect(since()).toEqual([1, 1, 0, 0, 5, 5, 0]);
      const slow = await start();
      expect(read("live_jobs")).toBe(live + 1);
      await abort(slow);
      expect(read("live_jobs")).toBe(live);
      expect(since().slice(0, 4)).toEqual([2, 1, 1, 0]);
    },
    { door: "tcp", covers: ["mod_broadcast_SUITE:broadcast_instrumentation_metrics"] },
  );

  story(
    "a domain that is removed takes its broadcasts along",
    {},
    async (scene) => {
      const { domain, start } = await world(scene);
      const id = await start();
      (await scene.graphql.admin.calls("domain.removeDomain", { domain, hostType: "dynamic" })).data;
      expect(await feature().ctx.store.getJob(id)).toBeUndefined();
    },
    { door: "tcp" },
  );
});

describe("leases", () => {
  const { story } = of;

  story(
    "a broadcast that has ended is nobody's",
    {},
    async (scene) => {
      const { start, until, abort } = await world(scene, 2);
      const owners = async (id: number) =>
        scene.server.node
          .db("rdbms")
          .query("SELECT owner_node FROM broadcast_jobs_ownership WHERE broadcast_id = ?", [id]);
      const finished = await start(FAST);
      await until(finished, "FINISHED");
      expect(await owners(finished)).toEqual([]);
      const aborted = await start();
      expect(await owners(aborted)).toEqual([{ owner_node: scene.server.node.name }]);
      await abort(aborted);
      await until(aborted, "ABORT_ADMIN");
      expect(await owners(aborted)).toEqual([]);
    },
    {
      door: "tcp",
      covers: [
        "mod_broadcast_SUITE:finished_job_removes_ownership_row",
        "mod_broadcast_SUITE:aborted_job_removes_ownership_row",
      ],
    },
  );
});

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
      const { ctx } = feature();
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
      const { config } = feature().ctx;
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
