// Broadcasts: administrators' messages to all users of a domain. What needs a clock, a second node or a database that
// goes away is in test/unit/modules/mod_broadcast.test.ts and test/storage/broadcast.test.ts.
import { describe, expect } from "vitest";
import modBroadcast from "../../modules/mod_broadcast/index.ts";
import { BROADCASTS, FAST, feature, world } from "../support/broadcasts.ts";
import { stage } from "../support/story.ts";

const of = stage(BROADCASTS);

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
      const { ctx } = feature(of);
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

  // On a server of its own: other stories leave broadcasts that run.
  stage(BROADCASTS).story(
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
      expect(await feature(of).ctx.store.getJob(id)).toBeUndefined();
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
