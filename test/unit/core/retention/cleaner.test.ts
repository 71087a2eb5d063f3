// What [retention] deletes, when, and what stops it.

import { describe, expect, test } from "vitest";
import { type Config, formatProblem, parseConfig } from "../../../../core/config/index.ts";
import { Log, MemorySink } from "../../../../core/log/index.ts";
import { Registry } from "../../../../core/metrics/registry.ts";
import type { Retained, RetentionKind, RunningModule } from "../../../../core/module.ts";
import { Retention } from "../../../../core/retention/cleaner.ts";
import { StorageError } from "../../../../core/storage/db.ts";
import { FakeClock } from "../../../support/fake-parts.ts";

const DAY = 86_400_000;

function configOf(more: string): Config {
  const text = `[general]
hosts = ["one.example", "two.example"]
default_server_domain = "one.example"
${more}`;
  const { config, problems } = parseConfig(text, { file: "test.toml", modules: {} });
  if (!config) throw new Error(problems.map(formatProblem).join("\n"));
  return config;
}

/** A store that remembers what it was asked for. */
class Rows implements Retained {
  readonly calls: string[] = [];
  fails: Error | undefined = undefined;
  constructor(
    private readonly clock: FakeClock,
    public left: number,
  ) {}
  /** Steps that delete as many. */
  step = Number.POSITIVE_INFINITY;
  taken = 0;
  async *deleteBefore(domain: string, before: number, limit: number): AsyncGenerator<number> {
    this.calls.push(`${domain} ${(this.clock.time - before) / DAY} ${limit}`);
    if (this.fails) throw this.fails;
    while (this.left > 0) {
      this.taken++;
      const went = Math.min(this.left, limit, this.step);
      this.left -= went;
      yield went;
    }
  }
  async countBefore(domain: string, before: number): Promise<number> {
    this.calls.push(`count ${domain} ${(this.clock.time - before) / DAY}`);
    return this.left;
  }
}

function bed(more: string, left = 0, kind: RetentionKind = "offline") {
  const config = configOf(more);
  const clock = new FakeClock();
  const rows = new Rows(clock, left);
  const sink = new MemorySink();
  const registry = new Registry();
  const slept: number[] = [];
  /** What the wall clock is ahead of the time that goes on evenly. */
  const ahead = { ms: 0 };
  const stats = { up: true, queued: 0, batches: 0, rows: 0, lastBatchMs: 0 };
  const modules = new Map([
    ["mod_x", { def: { name: "mod_x", retention: { [kind]: () => rows } }, ctx: {} } as unknown as RunningModule],
  ]);
  const retention = new Retention({
    config: config.retention,
    hosts: () => config.hostTypes.map((name) => ({ name, config: config.forHostType(name), modules })),
    domainsOf: (hostType) => [hostType],
    stats: () => [stats],
    now: () => clock.time + ahead.ms,
    steady: () => clock.time,
    after: (ms, run) => clock.after(ms, run),
    sleep: async (ms) => void slept.push(ms),
    registry,
    log: new Log({ sink, level: "info" }),
  });
  return { retention, rows, clock, ahead, sink, registry, slept, stats };
}

const settled = () => new Promise((resolve) => setImmediate(resolve));

describe("which ages hold", () => {
  test.each([
    ["nothing is bounded", "", []],
    ["all domains", "[retention]\noffline = 30", ["one.example 30 500", "two.example 30 500"]],
    ["infinity", '[retention]\noffline = "infinity"', []],
    ["another kind", "[retention]\narchive = 3", []],
    [
      "a host type of its own",
      '[retention]\noffline = 30\n[[host_config]]\nhost = "two.example"\n[host_config.retention]\noffline = 7',
      ["one.example 30 500", "two.example 7 500"],
    ],
    [
      "a domain of its own, over its host type",
      `[retention]\noffline = 30\n[[retention.domains]]\ndomain = "two.example"\noffline = "infinity"
[[host_config]]\nhost = "two.example"\n[host_config.retention]\noffline = 7`,
      ["one.example 30 500"],
    ],
    [
      "a domain that says something else only",
      '[retention]\noffline = 30\n[[retention.domains]]\ndomain = "two.example"\narchive = 1',
      ["one.example 30 500", "two.example 30 500"],
    ],
  ])("%s", async (_, more, calls) => {
    const { retention, rows } = bed(more);
    await retention.pass({ dryRun: false });
    expect(rows.calls).toEqual(calls);
  });

  test("one domain alone", async () => {
    const { retention, rows } = bed("[retention]\noffline = 2");
    await retention.pass({ dryRun: false, domain: "two.example" });
    expect(rows.calls).toEqual(["two.example 2 500"]);
  });
});

describe("a pass", () => {
  const ONE = '[retention]\nbatch_size = 10\npause = 20\n[[retention.domains]]\ndomain = "one.example"\noffline = 2';

  test("deletes in batches, with pauses between them, and tells", async () => {
    const { retention, rows, slept, sink, registry, clock } = bed(ONE, 25);
    const done = await retention.pass({ dryRun: false });
    expect(done).toEqual([
      { domain: "one.example", kind: "offline", module: "mod_x", before: clock.time - 2 * DAY, count: 25 },
    ]);
    expect(rows.calls).toEqual(["one.example 2 10"]);
    expect(rows.taken).toBe(3);
    expect(slept).toEqual([20, 20]);
    expect(sink.lines.join("\n")).toMatch(/retention_deleted.*count=25/);
    expect(registry.render()).toContain('retention_deleted_count{host_type="one.example",kind="offline"} 25');
  });

  test("that only counts deletes nothing", async () => {
    const { retention, rows } = bed(ONE, 25);
    expect(await retention.pass({ dryRun: true })).toMatchObject([{ count: 25 }]);
    expect(rows.calls).toEqual(["count one.example 2"]);
    expect(rows.left).toBe(25);
  });

  test("ends when the database is away, says so, and the next one goes on", async () => {
    const { retention, rows, sink, registry } = bed("[retention]\noffline = 2", 3);
    rows.fails = new StorageError("unavailable", "gone");
    await expect(retention.pass({ dryRun: false })).rejects.toThrow("gone");
    expect(rows.calls).toEqual(["one.example 2 500"]);
    expect(sink.lines.join("\n")).toContain("retention_failed");
    expect(registry.render()).toContain('retention_failed_count{host_type="one.example",kind="offline"} 1');
    rows.fails = undefined;
    expect(await retention.pass({ dryRun: false })).toMatchObject([{ count: 3 }, { count: 0 }]);
  });

  test("of one store that has a fault leaves the others their turn", async () => {
    const { retention, rows } = bed("[retention]\noffline = 2");
    rows.fails = new TypeError("a fault");
    await expect(retention.pass({ dryRun: false })).rejects.toThrow("a fault");
    expect(rows.calls).toEqual(["one.example 2 500", "two.example 2 500"]);
  });

  test("does not begin while the database is busy", async () => {
    const { retention, rows, stats, slept } = bed("[retention]\noffline = 2", 3);
    stats.queued = 10_000;
    await expect(retention.pass({ dryRun: false })).rejects.toThrow("busy");
    expect(rows.calls).toEqual([]);
    expect(slept.length).toBeGreaterThan(10);
  });

  test("stops between two batches", async () => {
    const { retention, rows } = bed(ONE, 1000);
    const pass = retention.pass({ dryRun: false });
    while (rows.taken < 3) await Promise.resolve();
    await retention.stop();
    await pass;
    expect(rows.left).toBe(970);
  });

  test("rests after as many rows as a batch has, in how many steps and of how many domains they went", async () => {
    const { retention, rows, slept } = bed("[retention]\nbatch_size = 10\npause = 60000\noffline = 2", 25);
    rows.step = 3;
    await retention.pass({ dryRun: false, domain: "one.example" });
    expect(rows.taken).toBe(9);
    expect(slept).toEqual([60_000, 60_000]);
    const many = bed("[retention]\nbatch_size = 10\npause = 60000\noffline = 2", 0);
    many.rows.deleteBefore = async function* () {
      yield 6;
    };
    await many.retention.pass({ dryRun: false });
    expect(many.slept).toEqual([60_000]);
  });

  test("rests for as long as it has looked for nothing", async () => {
    const { retention, rows, slept } = bed("[retention]\npause = 5\noffline = 2");
    rows.deleteBefore = async function* () {
      await Bun.sleep(20);
      yield 0;
    };
    await retention.pass({ dryRun: false, domain: "one.example" });
    expect(slept).toHaveLength(1);
    expect(slept[0]).toBeGreaterThanOrEqual(15);
  });

  test("of a clock that is set back deletes no more of what was old by the other time", async () => {
    const { retention, rows, clock } = bed(ONE, 1000);
    const { deleteBefore } = rows;
    rows.deleteBefore = async function* (...args) {
      for await (const went of deleteBefore.apply(rows, args)) {
        if (rows.taken === 3) clock.time -= 1;
        yield went;
      }
    };
    expect(await retention.pass({ dryRun: false })).toMatchObject([{ count: 30 }]);
    expect(rows.left).toBe(970);
    // The next pass goes by the time that is now.
    expect(await retention.pass({ dryRun: false })).toMatchObject([{ count: 970, before: clock.time - 2 * DAY }]);
  });
});

describe("a clock that jumps ahead", () => {
  const TWO = "[retention]\noffline = 2";
  const ages = async ({ retention, rows }: ReturnType<typeof bed>): Promise<string[]> => {
    rows.calls.length = 0;
    await retention.pass({ dryRun: false, domain: "one.example" });
    return rows.calls;
  };

  test("does not make old what has just come", async () => {
    const it = bed(TWO);
    await ages(it);
    it.ahead.ms = 2000 * DAY;
    expect(await ages(it)).toEqual(["one.example 2 500"]);
    expect(it.sink.lines.join("\n")).toMatch(/retention_clock_ahead.*seconds=172800000/);
    it.rows.calls.length = 0;
    expect(await it.retention.pass({ dryRun: true, domain: "one.example" })).toMatchObject([
      { before: it.clock.time - 2 * DAY },
    ]);
    it.ahead.ms = 0;
    expect(await ages(it)).toEqual(["one.example 2 500"]);
  });

  test("is followed at twice its pace: one that is right after a machine has slept is caught up with", async () => {
    const it = bed(TWO);
    await ages(it);
    it.ahead.ms = 3 * DAY;
    it.clock.advance(DAY);
    expect(await ages(it)).toEqual(["one.example 1 500"]);
    it.clock.advance(4 * DAY);
    expect(await ages(it)).toEqual(["one.example -1 500"]);
    it.clock.advance(4 * DAY);
    expect(await ages(it)).toEqual(["one.example -1 500"]);
  });

  test("and is set right holds nothing up", async () => {
    const it = bed(TWO);
    await ages(it);
    it.ahead.ms = -1000 * DAY;
    expect(await ages(it)).toEqual(["one.example 1002 500"]);
    it.ahead.ms = 0;
    expect(await ages(it)).toEqual(["one.example 2 500"]);
    expect(it.sink.lines.join("\n")).not.toContain("ahead");
  });
});

test("one timer begins passes: soon after the start, then at the interval", async () => {
  const { retention, rows, clock } = bed("[retention]\noffline = 2\ninterval = 600");
  retention.start();
  clock.advance(59_000);
  expect(rows.calls).toHaveLength(0);
  clock.advance(1000);
  await settled();
  expect(rows.calls).toHaveLength(2);
  rows.fails = new StorageError("unavailable", "gone");
  clock.advance(600_000);
  await settled();
  expect(rows.calls).toHaveLength(3);
  rows.fails = undefined;
  clock.advance(600_000);
  await settled();
  expect(rows.calls).toHaveLength(5);
  await retention.stop();
  clock.advance(6_000_000);
  await settled();
  expect(rows.calls).toHaveLength(5);
});

test("uploads are not in this build, and a file that bounds them is told so", () => {
  const text = `[general]\nhosts = ["a"]\ndefault_server_domain = "a"\n[retention]\nuploads = 30`;
  const { config, warnings } = parseConfig(text, { file: "test.toml", modules: {} });
  expect(config).toBeDefined();
  expect(warnings.map((w) => w.message).join()).toContain("mod_http_upload");
});
