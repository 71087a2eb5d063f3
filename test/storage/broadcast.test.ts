// Broadcasts in broadcast_jobs, broadcast_jobs_ownership and broadcast_worker_state.
import { beforeAll, expect, test } from "vitest";
import { makeBare } from "../../core/jid.ts";
import type { Db } from "../../core/storage/db.ts";
import { BroadcastStore } from "../../modules/mod_broadcast/store.ts";
import { onEachDatabase, type TestDatabase } from "./db_each.ts";

const NODE = "mongooseim@one";
const OTHER = "mongooseim@two";

onEachDatabase("broadcasts", (database: TestDatabase) => {
  let db: Db;
  let store: BroadcastStore;
  let domains = 0;

  beforeAll(async () => {
    db = await database.open();
    store = new BroadcastStore(db);
  });
  const newDomain = () => `d${++domains}.example`;
  const spec = (domain: string, hostType = "type") => ({
    name: "Maintenance",
    domain,
    subject: "Ż '; --",
    body: "🐎\nat 22:00",
    sender: makeBare("admin", domain),
    rate: 7,
    hostType,
    recipientCount: 3,
  });
  const made = async (domain = newDomain(), hostType = "type", node = NODE): Promise<number> => {
    const id = await store.createJob(spec(domain, hostType), node, 600);
    if (id === undefined) throw new Error("no job was made");
    return id;
  };
  const expire = (id: number, node: string) =>
    db.execute(
      "UPDATE broadcast_jobs_ownership SET owner_node = ?, expires_at = '2000-01-01 00:00:00' WHERE broadcast_id = ?",
      [node, id],
    );
  const expiry = async (id: number) => {
    const rows = await db.query<{ t: unknown }>(
      "SELECT expires_at AS t FROM broadcast_jobs_ownership WHERE broadcast_id = ?",
      [id],
    );
    return rows.length === 0 ? undefined : new Date(String(rows[0].t)).getTime();
  };

  test("comes back as it was made", async () => {
    const domain = newDomain();
    const before = Math.floor(Date.now() / 1000) * 1000 - 1000;
    const id = await made(domain);
    const job = await store.getJob(id);
    expect(job).toEqual({
      id,
      name: "Maintenance",
      domain,
      hostType: "type",
      sender: `admin@${domain}`,
      subject: "Ż '; --",
      body: "🐎\nat 22:00",
      rate: 7,
      recipientCount: 3,
      state: "running",
      abortionReason: undefined,
      createdAt: expect.any(Number),
      startedAt: undefined,
      stoppedAt: undefined,
      owner: NODE,
      processed: 0,
    });
    expect(job?.createdAt).toBeGreaterThanOrEqual(before);
    expect(job?.createdAt).toBeLessThan(before + 60_000);
    await store.setStarted(id);
    expect((await store.getJob(id))?.startedAt).toBeGreaterThanOrEqual(before);
    expect(await store.getJob(999_999)).toBeUndefined();
  });

  test("runs once for a domain at a time", async () => {
    const domain = newDomain();
    const id = await made(domain);
    expect(await store.createJob(spec(domain), NODE, 600)).toBeUndefined();
    expect(await store.createJob(spec(domain), OTHER, 600)).toBeUndefined();
    expect((await store.getJobs(domain, 10, 0)).map((job) => job.id)).toEqual([id]);
    await store.end(id, "finished");
    expect(await made(domain)).toBeGreaterThan(id);
  });

  test("of several made at the same time one runs at most", async () => {
    const domain = newDomain();
    const ids = await Promise.all(Array.from({ length: 8 }, (_, i) => store.createJob(spec(domain), `node${i}`, 600)));
    const left = await store.getJobs(domain, 10, 0);
    expect(left.length).toBeLessThanOrEqual(1);
    expect(ids.filter((id) => id !== undefined)).toEqual(left.map((job) => job.id));
  });

  test.each(["finished", "abort_admin", "abort_error"] as const)(
    "ends once, as %s, and is nobody's then",
    async (state) => {
      const id = await made();
      expect(await store.end(id, state, state === "abort_error" ? "broken" : undefined)).toBe(true);
      expect(await store.end(id, "finished")).toBe(false);
      const job = await store.getJob(id);
      expect(job).toMatchObject({ state, owner: "", abortionReason: state === "abort_error" ? "broken" : undefined });
      expect(job?.stoppedAt).toBeGreaterThan(0);
      expect(await expiry(id)).toBeUndefined();
    },
  );

  test("is listed by domain, the newest first, page by page", async () => {
    const domain = newDomain();
    const ids: number[] = [];
    for (let i = 0; i < 3; i++) {
      ids.unshift(await made(domain));
      await store.end(ids[0], "abort_admin");
    }
    await made();
    const listed = async (limit: number, offset: number) =>
      (await store.getJobs(domain, limit, offset)).map((j) => j.id);
    expect(await listed(100, 0)).toEqual(ids);
    expect(await listed(2, 0)).toEqual(ids.slice(0, 2));
    expect(await listed(100, 1)).toEqual(ids.slice(1));
  });

  test("is deleted only when it does not run, and only in its domain", async () => {
    const [domain, other] = [newDomain(), newDomain()];
    const inactive = await made(domain);
    await store.end(inactive, "finished");
    const running = await made(domain);
    const foreign = await made(other);
    await store.end(foreign, "finished");
    expect(await store.deleteInactive(domain, [running, inactive, foreign, 999_999])).toEqual([inactive]);
    expect(await store.deleteInactive(domain, [])).toEqual([]);
    expect(await store.deleteInactive(domain)).toEqual([]);
    expect((await store.getJob(running))?.state).toBe("running");
    expect(await store.getJob(foreign)).toBeDefined();
    await store.end(running, "abort_admin");
    expect(await store.deleteInactive(domain)).toEqual([running]);
  });

  test("notes how far it is, for its owner alone", async () => {
    const id = await made();
    const job = { id, createdAt: Date.parse("2026-01-02T03:04:05.678Z") };
    expect(await store.getWorkerState(id)).toEqual({ cursor: undefined, processed: 0, finished: false });
    const next = { cursor: { backend: 0, after: "ju$liet" }, processed: 2, finished: false };
    expect(await store.updateWorkerState(job, OTHER, next)).toBe(false);
    expect(await store.getWorkerState(id)).toEqual({ cursor: undefined, processed: 0, finished: false });
    expect(await store.updateWorkerState(job, NODE, next)).toBe(true);
    expect(await store.getWorkerState(id)).toEqual(next);
    // MongooseIM's form.
    const [row] = await db.query<{ cursor_user: string }>(
      "SELECT cursor_user FROM broadcast_worker_state WHERE broadcast_id = ?",
      [id],
    );
    expect(row.cursor_user).toBe("3:4:5:2026:1:2$ju$liet");
    for (const cursor of [
      { backend: 0, after: "馬".repeat(249) },
      { backend: 1, after: "romeo" },
    ]) {
      await store.updateWorkerState(job, NODE, { cursor, processed: 3, finished: true });
      expect(await store.getWorkerState(id)).toEqual({ cursor, processed: 3, finished: true });
    }
    expect((await store.getJob(id))?.processed).toBe(3);
    await store.end(id, "finished");
    expect(await store.updateWorkerState(job, NODE, { ...next, processed: 9 })).toBe(false);
  });

  test("of MongooseIM, without a note yet, is gone on with", async () => {
    const id = await made();
    await db.execute("DELETE FROM broadcast_worker_state WHERE broadcast_id = ?", [id]);
    expect(await store.getWorkerState(id)).toEqual({ cursor: undefined, processed: 0, finished: false });
    expect(
      await store.updateWorkerState({ id, createdAt: 0 }, NODE, { cursor: undefined, processed: 1, finished: false }),
    ).toBe(true);
  });

  test("is taken over when its lease is over, within the host type, when it runs", async () => {
    const hostType = `type${++domains}`;
    const [late, held, foreign, done] = [
      await made(newDomain(), hostType, OTHER),
      await made(newDomain(), hostType, OTHER),
      await made(newDomain(), "another type", OTHER),
      await made(newDomain(), hostType, OTHER),
    ];
    await expire(late, OTHER);
    await expire(foreign, OTHER);
    await db.execute("UPDATE broadcast_jobs SET execution_state = 'finished' WHERE id = ?", [done]);
    await expire(done, OTHER);
    expect(await store.takeExpiredJobs(hostType, NODE, 600)).toEqual([late]);
    expect(await store.takeExpiredJobs(hostType, NODE, 600)).toEqual([]);
    const owner = async (id: number) => (await store.getJob(id))?.owner;
    expect(await Promise.all([late, held, foreign, done].map(owner))).toEqual([NODE, OTHER, OTHER, OTHER]);
    expect((await store.getRunningJobs(hostType, NODE)).map((job) => job.id)).toEqual([late]);
    expect((await store.getRunningJobs(hostType, OTHER)).map((job) => job.id)).toEqual([held]);
  });

  test("is renewed by its owner", async () => {
    const hostType = `type${++domains}`;
    const [own, foreign] = [await made(newDomain(), hostType), await made(newDomain(), hostType, OTHER)];
    await expire(own, NODE);
    await expire(foreign, OTHER);
    await store.renewOwnership(hostType, NODE, 600);
    const year = async (id: number) => new Date((await expiry(id)) ?? 0).getFullYear();
    expect(await year(own)).toBeGreaterThan(2000);
    expect(await year(foreign)).toBe(2000);
    expect(await store.takeExpiredJobs(hostType, NODE, 600)).toEqual([foreign]);
  });

  test("goes with its domain, not with its sender", async () => {
    const domain = newDomain();
    const id = await made(domain);
    const other = await made();
    await store.removeUser(makeBare("admin", domain));
    expect(await store.getJob(id)).toBeDefined();
    expect(await store.personalData(makeBare("admin", domain))).toEqual([]);
    await store.removeDomain(domain);
    expect(await store.getJob(id)).toBeUndefined();
    expect(await db.query("SELECT 1 AS x FROM broadcast_worker_state WHERE broadcast_id = ?", [id])).toEqual([]);
    expect(await store.getJob(other)).toBeDefined();
  });
});
