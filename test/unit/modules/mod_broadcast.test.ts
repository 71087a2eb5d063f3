// Workers and leases of broadcasts, with a clock that the test moves.
import { afterEach, describe, expect, test } from "vitest";
import { makeBare } from "../../../core/jid.ts";
import { StorageError } from "../../../core/storage/db.ts";
import modBroadcast from "../../../modules/mod_broadcast/index.ts";
import { badParameter, message, messageId } from "../../../modules/mod_broadcast/job.ts";
import { type Context, Manager } from "../../../modules/mod_broadcast/manager.ts";
import { FakeServer } from "../../support/fake-server.ts";

const USERS = ["anna", "bert", "cleo", "dora", "emil", "fritz", "gert", "hans"];
const SPEC = {
  name: "n",
  domain: "localhost",
  subject: "s",
  body: "b",
  sender: makeBare("anna", "localhost"),
  rate: 2,
};
const stops: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0)) await stop();
});

/** A node; with `of`, one that shares the database of another. */
const MANY = Array.from({ length: 30 }, (_, i) => (i === 0 ? "anna" : `u${String(i).padStart(2, "0")}`));

async function newNode(of?: Context, users: readonly string[] = USERS) {
  const server = new FakeServer({ users });
  const sent: string[] = [];
  server.routeXml = async (_from, to) => {
    sent.push(to.local);
  };
  const own = (await server.startModule(modBroadcast, { lease_time: 10 })) as Context;
  await server.stopModule("mod_broadcast");
  const ctx: Context = of === undefined ? own : { ...own, store: of.store };
  if (of !== undefined) server.clock.time = of.now();
  const manager = new Manager(ctx);
  await manager.start();
  stops.push(() => manager.stop());
  /** Time passes. */
  const pass = async (ms: number) => {
    for (let left = ms; left > 0; left -= 250) {
      server.clock.advance(Math.min(250, left));
      await server.settle();
    }
  };
  /** Starts a job and lets its first message go out. */
  const begin = async (change: object = {}) => {
    const id = await manager.startJob({ ...SPEC, ...change });
    await server.settle();
    return id;
  };
  const state = async (id: number) => (await ctx.store.getJob(id))?.state;
  return { server, sent, ctx, manager, begin, pass, state };
}
const metric = (ctx: Context, name: string) =>
  (ctx.metrics as unknown as Record<string, { value: number }>)[name].value;

test("messages go out at the rate, to each user once, and then the job is finished", async () => {
  const { begin, ctx, sent, pass, state } = await newNode();
  const id = await begin();
  expect(sent).toEqual(["anna"]);
  await pass(1000);
  expect(sent.length).toBe(3);
  await pass(1000);
  expect(sent.length).toBe(5);
  expect(metric(ctx, "mod_broadcast_live_jobs_count")).toBe(1);
  await pass(2500);
  expect(sent).toEqual(USERS);
  expect(await state(id)).toBe("finished");
  expect(await ctx.store.getWorkerState(id)).toMatchObject({ processed: 8, finished: true });
  expect(metric(ctx, "mod_broadcast_live_jobs_count")).toBe(0);
  expect(metric(ctx, "mod_broadcast_jobs_finished_count")).toBe(1);
  expect(metric(ctx, "mod_broadcast_recipients_success_count")).toBe(8);
});

test("a rate above the clock's turns is kept too", async () => {
  const { begin, sent, pass } = await newNode();
  await begin({ rate: 1000 });
  await pass(250);
  expect(sent).toEqual(USERS);
});

test("a message that cannot be routed is skipped", async () => {
  const { begin, ctx, server, sent, pass, state } = await newNode();
  server.routeXml = async (_from, to) => {
    if (to.local === "bert") throw new Error("no way");
    sent.push(to.local);
  };
  const id = await begin({ rate: 100 });
  await pass(500);
  expect(sent).toEqual(USERS.filter((user) => user !== "bert"));
  expect(await state(id)).toBe("finished");
  expect(metric(ctx, "mod_broadcast_recipients_skipped_count")).toBe(1);
  expect(metric(ctx, "mod_broadcast_recipients_processed_count")).toBe(8);
});

test.each([
  [8, 0, 1],
  [8, 250, 3],
  [4, 500, 3],
])("an orderly stop loses nothing and sends nothing twice: at %d a second after %d ms", async (rate, ms, sent) => {
  const first = await newNode();
  const id = await first.begin({ rate });
  await first.pass(ms);
  await first.manager.stop();
  expect(first.sent.length).toBe(sent);
  expect(await first.ctx.store.getWorkerState(id)).toMatchObject({ processed: sent, finished: false });
  const second = await newNode(first.ctx);
  await second.pass(3000);
  expect([...first.sent, ...second.sent]).toEqual(USERS);
  expect(await second.state(id)).toBe("finished");
});

test("after a crash it goes on, and at most a page of messages is sent again", async () => {
  const first = await newNode();
  const id = await first.begin({ rate: 2 });
  await first.pass(2000);
  // Its clock stands still from here on: the process is gone.
  const second = await newNode(first.ctx);
  await second.pass(5000);
  const all = [...first.sent, ...second.sent];
  expect([...new Set(all)]).toEqual(USERS);
  expect(all.length - USERS.length).toBeLessThanOrEqual(1);
  expect(await second.state(id)).toBe("finished");
});

describe("while the database does not answer", () => {
  test("nobody sends, jobs cannot be started, and then all goes on where it was", async () => {
    const { begin, manager, server, sent, pass, state } = await newNode();
    const id = await begin();
    await pass(1000);
    server.db.failing = true;
    await pass(1000);
    expect(manager.mode).toBe("emergency");
    const before = sent.length;
    await pass(15_000);
    expect(sent.length).toBe(before);
    expect(manager.mode).toBe("emergency");
    await expect(manager.startJob({ ...SPEC, domain: "other" })).rejects.toMatchObject({
      code: "temporarily_unavailable",
    });
    server.db.failing = false;
    await pass(1250);
    expect(manager.mode).toBe("normal");
    await pass(5000);
    expect(sent).toEqual(USERS);
    expect(await state(id)).toBe("finished");
  });

  test("a node that starts then takes no jobs, until it does", async () => {
    const first = await newNode();
    await first.begin({ rate: 1 });
    first.server.db.failing = true;
    const second = await newNode(first.ctx);
    expect(second.manager.mode).toBe("emergency");
    await expect(second.manager.startJob(SPEC)).rejects.toMatchObject({ code: "temporarily_unavailable" });
    expect(second.manager.workers.size).toBe(0);
    first.server.db.failing = false;
    await second.pass(1250);
    expect(second.manager.workers.size).toBe(1);
  });
});

describe("leases", () => {
  const owner = (ctx: Context, id: number) => ctx.store.getJob(id).then((job) => job?.owner);
  const give = (server: FakeServer, id: number, expires: string) =>
    server.db.execute("UPDATE broadcast_jobs_ownership SET owner_node = 'x@y', expires_at = ? WHERE broadcast_id = ?", [
      expires,
      id,
    ]);

  test("are renewed while the job runs", async () => {
    const { begin, ctx, server, pass } = await newNode(undefined, MANY);
    const id = await begin({ rate: 1 });
    await server.db.execute("UPDATE broadcast_jobs_ownership SET expires_at = '2000-01-01 00:00:00'");
    await pass(7000);
    const [row] = await server.db.query<{ t: string }>("SELECT expires_at AS t FROM broadcast_jobs_ownership");
    expect(row.t > "2026").toBe(true);
    expect(await owner(ctx, id)).toBe(server.name);
  });

  test("a job that another node has taken is let go", async () => {
    const { begin, ctx, manager, server, sent, pass } = await newNode(undefined, MANY);
    const id = await begin({ rate: 1 });
    await pass(1000);
    await give(server, id, "2999-01-01 00:00:00");
    await pass(10_000);
    expect(sent.length).toBeLessThanOrEqual(3);
    expect(manager.workers.size).toBe(0);
    expect(await owner(ctx, id)).toBe("x@y");
    expect(await ctx.store.getJob(id)).toMatchObject({ state: "running" });
    await expect(manager.abort("localhost", id)).rejects.toMatchObject({ code: "cannot_reach_job_owner_node" });
  });

  test("a job whose lease is over is taken, by a new worker that begins with what was noted", async () => {
    const { begin, ctx, manager, server, sent, pass } = await newNode(undefined, MANY);
    const id = await begin({ rate: 1 });
    await pass(1000);
    const old = manager.workers.get(id);
    await give(server, id, "2000-01-01 00:00:00");
    await server.db.execute(
      "UPDATE broadcast_worker_state SET cursor_user = '0:0:0:2026:1:1$u20', recipients_processed = 21",
    );
    await pass(7000);
    expect(await owner(ctx, id)).toBe(server.name);
    expect(manager.workers.get(id)).not.toBe(old);
    await pass(10_000);
    expect(sent.slice(-2)).toEqual(["u28", "u29"]);
    expect(sent).not.toContain("u15");
  });

  test("of jobs that do not run are left alone", async () => {
    const { begin, ctx, manager, server, pass } = await newNode(undefined, MANY);
    const id = await begin();
    await manager.abort("localhost", id);
    await server.db.execute(
      "INSERT INTO broadcast_jobs_ownership (broadcast_id, owner_node, expires_at) VALUES (?, 'x@y', '2000-01-01 00:00:00')",
      [id],
    );
    await pass(7000);
    expect(await owner(ctx, id)).toBe("x@y");
    expect(manager.workers.size).toBe(0);
  });

  test("a node whose clock jumped over its lease asks before it sends", async () => {
    const { begin, server, sent, pass } = await newNode(undefined, MANY);
    const id = await begin({ rate: 1 });
    await give(server, id, "2999-01-01 00:00:00");
    const before = sent.length;
    server.clock.time += 60_000;
    await pass(5000);
    expect(sent.length).toBe(before);
  });
});

test("an abort ends the job at once, and only once", async () => {
  const { begin, ctx, manager, sent, pass, state } = await newNode();
  const id = await begin();
  await pass(1000);
  await manager.abort("localhost", id);
  const before = sent.length;
  await pass(5000);
  expect(sent.length).toBe(before);
  expect(await state(id)).toBe("abort_admin");
  await expect(manager.abort("localhost", id)).rejects.toMatchObject({ code: "not_running" });
  expect(metric(ctx, "mod_broadcast_jobs_aborted_admin_count")).toBe(1);
});

test("a job that cannot go on ends with the reason", async () => {
  const { begin, ctx, manager, server, pass, state } = await newNode();
  const id = await begin();
  await manager.stop();
  await server.db.execute("UPDATE broadcast_jobs SET from_jid = '@' WHERE id = ?", [id]);
  const second = await newNode(ctx);
  await second.pass(250);
  await pass(250);
  expect(await state(id)).toBe("abort_error");
  expect((await ctx.store.getJob(id))?.abortionReason).toContain("no JID");
  expect(metric(second.ctx, "mod_broadcast_jobs_aborted_error_count")).toBe(1);
  expect(second.server.logged.join()).toContain("broadcast_job_aborted_error");
});

test("so does one that the database refuses for good; one that it refuses for now goes on", async () => {
  const { ctx, begin, pass, sent, state } = await newNode(undefined, MANY);
  const { updateWorkerState } = ctx.store;
  const id = await begin();
  ctx.store.updateWorkerState = () => Promise.reject(new StorageError("conflict", "not now"));
  await pass(1500);
  expect(await state(id)).toBe("running");
  ctx.store.updateWorkerState = updateWorkerState;
  await pass(2500);
  expect(sent.length).toBeGreaterThan(2);
  ctx.store.updateWorkerState = () => Promise.reject(new StorageError("syntax", "never"));
  await pass(1500);
  expect(await state(id)).toBe("abort_error");
  expect((await ctx.store.getJob(id))?.abortionReason).toContain("never");
});

test("a restart of the manager leaves live workers alone", async () => {
  const { begin, manager, pass } = await newNode();
  const id = await begin({ rate: 1 });
  const worker = manager.workers.get(id);
  await manager.start();
  await pass(250);
  expect(manager.workers.get(id)).toBe(worker);
});

test("users that come later do not get it, users that went do not stop it", async () => {
  const { begin, server, sent, pass, state } = await newNode();
  const id = await begin();
  await pass(500);
  server.accounts.passwords.delete("fritz@localhost");
  await pass(5000);
  expect(sent).toEqual(USERS.filter((user) => user !== "fritz"));
  expect(await state(id)).toBe("finished");
});

test("a domain that is not served waits", async () => {
  const { begin, server, sent, pass } = await newNode();
  await begin();
  await pass(500);
  const before = sent.length;
  const hostTypeOf = server.hostTypeOf.bind(server);
  server.hostTypeOf = () => undefined;
  await pass(3000);
  expect(sent.length).toBe(before);
  server.hostTypeOf = hostTypeOf;
  await pass(5000);
  expect(sent).toEqual(USERS);
});

test.each([
  ["message_rate", { rate: 0 }],
  ["message_rate", { rate: -1 }],
  ["message_rate", { rate: 1001 }],
  ["message_rate", { rate: 1.5 }],
  ["name", { name: "" }],
  ["name", { name: "a".repeat(251) }],
  ["subject", { subject: "a".repeat(1025) }],
  ["body", { body: "" }],
  ["body", { body: "a".repeat(16_001) }],
  ["body", { body: "a\u0000b" }],
  ["subject", { subject: "\ud800" }],
  [undefined, { rate: 1, name: "a", subject: "", body: "b" }],
  [undefined, { rate: 1000, name: "馬".repeat(250), subject: "🐎".repeat(1024), body: "<&\n'\">".repeat(2000) }],
])("%s is out of bounds in %j", (bad, change) => {
  expect(badParameter({ ...SPEC, ...change })).toBe(bad);
});

test("the message is MongooseIM's, and its id is the same whenever it is sent", () => {
  const to = makeBare("bert", "localhost");
  const id = messageId(7, to);
  expect(id).toMatch(/^mb-[0-9A-F]{32}$/);
  expect(messageId(7, to)).toBe(id);
  expect(messageId(8, to)).not.toBe(id);
  expect(message({ id: 7, subject: "<s>", body: "&" }, makeBare("anna", "localhost"), to).text).toBe(
    `<message xmlns='jabber:client' from='anna@localhost' id='${id}' to='bert@localhost' type='chat'><subject>&lt;s&gt;</subject><body>&amp;</body><origin-id id='${id}' xmlns='urn:xmpp:sid:0'/></message>`,
  );
});

test.each([[{ lease_time: 9 }, "lease_time is 10 seconds at least"]])(
  "does not start with %j",
  async (config, error) => {
    await expect(new FakeServer().startModule(modBroadcast, config)).rejects.toThrow(error);
  },
);

test("does not start where nobody knows all users", async () => {
  const server = new FakeServer();
  Object.assign(server.accounts, { methods: ["pki"] });
  await expect(server.startModule(modBroadcast)).rejects.toThrow("auth.rdbms");
});
