// Broadcasts: the leases that say which node sends, with the shortest lease there is; these stories wait for it.
import { expect } from "vitest";
import type { Context } from "../../modules/mod_broadcast/manager.ts";
import type { Absent, Scene, Stage } from "../support/story.ts";
import { stage } from "../support/story.ts";

const settings = {
  general: { hosts: ["localhost"], host_types: ["dynamic"] },
  modules: { mod_broadcast: { lease_time: 10 } },
} as const;
const leases = stage({ ...settings, general: { hosts: ["localhost"], host_types: ["dynamic"] } });
const troubled = stage({ ...settings, general: { hosts: ["localhost"], host_types: ["dynamic"] } });
const SLOW = { door: "tcp", slow: true } as const;
let domains = 0;

const hostOf = ({ server }: Stage, hostType: string) => server.node.hosts.get(hostType)!;
const contextOf = (of: Stage, hostType = "dynamic") =>
  hostOf(of, hostType).modules.get("mod_broadcast")?.ctx as Context;

/** A domain with a broadcast that takes a while. */
async function running({ server, account, graphql }: Scene, change: { domain?: string; messageRate?: number } = {}) {
  const domain = change.domain ?? `l${++domains}.example`;
  if (change.domain === undefined) await server.node.domains.add(domain, "dynamic");
  const people: Absent[] = [];
  for (let i = 0; i < 30; i++) people.push(await account("user", domain));
  const start = async (messageRate = change.messageRate ?? 1): Promise<number> => {
    const spec = { name: "n", domain, messageSubject: "s", messageBody: "b", senderJid: people[0].bare };
    const answer = await graphql.admin.calls("broadcast.startBroadcast", {
      ...spec,
      messageRate,
      recipientGroup: "ALL_USERS_IN_DOMAIN",
    });
    return (answer.value as { ids: number[] }).ids[0];
  };
  const db = server.node.db("rdbms");
  const lease = async (id: number) => {
    const rows = await db.query<{ owner_node: string; expires_at: string }>(
      "SELECT owner_node, expires_at FROM broadcast_jobs_ownership WHERE broadcast_id = ?",
      [id],
    );
    return rows.length === 0 ? undefined : rows[0];
  };
  const give = (id: number, node: string) =>
    db.execute(
      "UPDATE broadcast_jobs_ownership SET owner_node = ?, expires_at = '2000-01-01 00:00:00' WHERE broadcast_id = ?",
      [node, id],
    );
  const processed = async (id: number): Promise<number> => {
    const job = await graphql.admin.calls("broadcast.getBroadcast", { domain, id });
    return (job.value as { recipientsProcessed: number }).recipientsProcessed;
  };
  const abort = async (id: number) => (await graphql.admin.calls("broadcast.abortBroadcast", { domain, id })).data;
  return { domain, start, lease, give, processed, abort, db };
}

async function until(what: string, ok: () => boolean | Promise<boolean>, ms = 9000): Promise<void> {
  for (const end = Date.now() + ms; Date.now() < end; await Bun.sleep(100)) if (await ok()) return;
  throw new Error(`it did not come to it that ${what}`);
}

leases.story(
  "a lease is renewed while its broadcast runs",
  {},
  async (scene) => {
    const { start, lease } = await running(scene);
    const id = await start();
    const before = await lease(id);
    await until("the lease is renewed", async () => (await lease(id))?.expires_at !== before?.expires_at);
    expect((await lease(id))?.owner_node).toBe(scene.server.node.name);
  },
  { ...SLOW, covers: ["mod_broadcast_SUITE:ownership_lease_is_renewed_while_job_is_running"] },
);

leases.story(
  "a broadcast whose lease is over is taken over, and goes on with what was noted",
  {},
  async (scene) => {
    const { start, lease, give, processed, db } = await running(scene);
    const id = await start();
    const manager = scene.server.logged.length;
    await give(id, "silly_goose@nowhere");
    await db.execute("UPDATE broadcast_worker_state SET recipients_processed = 20 WHERE broadcast_id = ?", [id]);
    await until("it is taken over", async () => (await lease(id))?.owner_node === scene.server.node.name);
    await until("it goes on", async () => (await processed(id)) > 20);
    const resumed = scene.server.logged.slice(manager).filter((line) => line.what === "broadcast_job_resumed");
    expect(resumed.some((line) => line["job"] === id)).toBe(true);
  },
  { ...SLOW, covers: ["mod_broadcast_SUITE:lease_expires_and_job_is_taken_over"] },
);

leases.story(
  "a broadcast that does not run is not taken over",
  {},
  async (scene) => {
    const { start, lease, abort, db } = await running(scene);
    const finished = await start(1000);
    await until("it is finished", async () => (await contextOf(leases).store.getJob(finished))?.state === "finished");
    const aborted = await start();
    await abort(aborted);
    for (const id of [finished, aborted]) {
      await db.execute(
        "INSERT INTO broadcast_jobs_ownership (broadcast_id, owner_node, expires_at) VALUES (?, 'x@y', '2000-01-01 00:00:00')",
        [id],
      );
    }
    // Longer than from one look to the next.
    await Bun.sleep(7500);
    for (const id of [finished, aborted]) expect((await lease(id))?.owner_node).toBe("x@y");
  },
  { ...SLOW, covers: ["mod_broadcast_SUITE:take_expired_jobs_ignores_non_running_jobs"] },
);

leases.story(
  "nor is one of another host type",
  {},
  async (scene) => {
    const { start, lease, give } = await running(scene, { domain: "localhost" });
    const id = await start();
    await hostOf(leases, "localhost").stopModule("mod_broadcast");
    await give(id, "x@y");
    await Bun.sleep(7500);
    expect((await lease(id))?.owner_node).toBe("x@y");
    expect(await contextOf(leases).store.takeExpiredJobs("dynamic", "z@y", 1)).toEqual([]);
  },
  { ...SLOW, covers: ["mod_broadcast_SUITE:take_expired_jobs_is_scoped_by_host_type"] },
);

troubled.story(
  "a node that cannot renew its leases sends nothing until it can",
  {},
  async (scene) => {
    const { domain, start, processed } = await running(scene, { messageRate: 2 });
    const { store } = contextOf(troubled);
    const id = await start();
    const renew = store.renewOwnership;
    let tries = 0;
    store.renewOwnership = () => {
      tries++;
      return Promise.reject(new Error("forced failure"));
    };
    const refused = async () => {
      const spec = {
        name: "n",
        domain,
        messageSubject: "s",
        messageBody: "b",
        senderJid: `x@${domain}`,
        messageRate: 1,
      };
      const asked = { ...spec, recipientGroup: "ALL_USERS_IN_DOMAIN" };
      return (await scene.graphql.admin.calls("broadcast.startBroadcast", asked)).error.extensions.code;
    };
    await until("it cannot renew", async () => (await refused()) === "temporarily_unavailable");
    await Bun.sleep(600);
    const before = await processed(id);
    // Failing again does not let it go on.
    const tried = tries;
    await until("it has tried again", () => tries >= tried + 2);
    expect(await refused()).toBe("temporarily_unavailable");
    expect(await processed(id)).toBe(before);
    store.renewOwnership = renew;
    await until("it goes on", async () => (await processed(id)) > before);
    expect(await refused()).toBe("sender_not_found");
  },
  {
    ...SLOW,
    logs: ["broadcast_job_synchronization_failed"],
    covers: [
      "mod_broadcast_SUITE:manager_emergency_mode_pauses_workers_and_recovers",
      "mod_broadcast_SUITE:manager_repeated_emergency_failure_keeps_workers_paused",
    ],
  },
);
