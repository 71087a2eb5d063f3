import { closeSync, mkdtempSync, openSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { expect, test } from "vitest";
import { isLogLevel, LEVEL_NAMES } from "../../../../core/log/level.ts";
import type { LogOptions } from "../../../../core/log/log.ts";
import { Log } from "../../../../core/log/log.ts";
import { FdSink, isJournal, MemorySink } from "../../../../core/log/sink.ts";

function memoryLog(options: Partial<LogOptions> = {}) {
  const sink = new MemorySink();
  return { log: new Log({ sink, level: "info", now: () => 0, ...options }), lines: sink.lines };
}

const START = "when=1970-01-01T00:00:00.000Z";

test("a line says when, how grave, what, and its fields", () => {
  const { log, lines } = memoryLog();
  log.warning("tls_failed", { domain: "localhost", port: 5222, ok: false, none: null, absent: undefined });
  expect(lines).toEqual([`${START} level=warning what=tls_failed domain=localhost port=5222 ok=false none=null`]);
});

test("fields of a child come before those of the line, and the line's value wins", () => {
  const { log, lines } = memoryLog();
  log.child({ module: "mod_ping", user: "romeo" }).info("pinged", { user: "juliet" });
  expect(lines[0]).toBe(`${START} level=info what=pinged module=mod_ping user=juliet`);
});

test("JSON lines hold the same fields with their types", () => {
  const { log, lines } = memoryLog({ format: "json" });
  log.info("x", { n: 1, s: 'a"\nb', big: 2n ** 60n });
  expect(JSON.parse(lines[0]!)).toEqual({
    when: "1970-01-01T00:00:00.000Z",
    level: "info",
    what: "x",
    n: 1,
    s: 'a"\nb',
    big: "1152921504606846976",
  });
});

test.each([
  ["a b", '"a b"'],
  ["", '""'],
  ["a=b", '"a=b"'],
  ['say "hi"', '"say \\"hi\\""'],
  ["two\nlines", '"two\\nlines"'],
  ["\u001b[31mred", '"\\u001b[31mred"'],
  ["\u0085\u202e", '"\\u0085\\u202e"'],
  ["żółw", "żółw"],
])("the value %j is written as %s", (value, written) => {
  const { log, lines } = memoryLog();
  log.info("x", { value });
  expect(lines[0]).toBe(`${START} level=info what=x value=${written}`);
});

test("any text stays one line of printable characters that reads back as it was", () => {
  const { log, lines } = memoryLog({ format: "json" });
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), fc.string({ unit: "binary" }), (key, value) => {
      log.info("x", { [`k${key}`]: value });
      const line = lines.pop()!;
      expect(line).not.toMatch(/[\p{Cc}\p{Cf}\u2028\u2029]/u);
      expect(Object.values(JSON.parse(line))[3]).toBe(value);
    }),
  );
});

test("a key that would break the line or pass for another is changed", () => {
  const { log, lines } = memoryLog();
  log.info("x", { 'a b="': 1, level: "emergency" });
  expect(lines[0]).toBe(`${START} level=info what=x a_b__=1 level_=emergency`);
});

test("an error is told with its cause and its stack", () => {
  const { log, lines } = memoryLog();
  log.error("failed", { reason: new TypeError("no", { cause: new Error("disk") }) });
  expect(lines[0]).toContain('reason="TypeError: no: disk" stacktrace="TypeError: no\\n');
});

test("values that throw, loop or have no text do not throw", () => {
  const { log, lines } = memoryLog();
  const loop: Record<string, unknown> = {};
  loop["self"] = loop;
  const mean = {
    toString() {
      throw new Error("never");
    },
  };
  const getter = Object.defineProperty({}, "x", {
    enumerable: true,
    get() {
      throw new Error("no");
    },
  });
  log.info("x", { loop, mean, symbol: Symbol("s"), bytes: new Uint8Array([1, 255]), nan: Number.NaN });
  log.info("y", getter);
  expect(lines[0]).toMatch(/loop="\(not shown: .*mean="\(not shown: never\)" symbol=Symbol\(s\) bytes=01ff nan=NaN/);
  expect(lines[1]).toContain("what=log_format_failed event=y");
});

test("the level is changed for parents and children at once", () => {
  const { log, lines } = memoryLog({ level: "error" });
  const child = log.child({});
  child.info("before");
  log.level = "debug";
  child.debug("after");
  expect([lines.length, child.level, child.enabled("debug")]).toEqual([1, "debug", true]);
});

test("none writes nothing, all writes everything", () => {
  const { log, lines } = memoryLog({ level: "none" });
  log.emergency("x");
  log.level = "all";
  log.debug("y");
  expect(lines.map((line) => line.split("what=")[1])).toEqual(["y"]);
});

test("the level names are MongooseIM's", () => {
  expect(LEVEL_NAMES.join()).toBe("none,emergency,alert,critical,error,warning,notice,info,debug,all");
  expect([isLogLevel("warning"), isLogLevel("warn"), isLogLevel("toString")]).toEqual([true, false, false]);
});

test("journald is given the priority", () => {
  const { log, lines } = memoryLog({ journald: true });
  log.warning("x");
  log.notice("y");
  expect(lines.map((line) => line.slice(0, 3))).toEqual(["<4>", "<5>"]);
});

test("a repeated line is written once in the time given and then says how many were left out", () => {
  let now = 0;
  const { log, lines } = memoryLog({ now: () => now });
  for (const at of [0, 1, 9_999, 10_000, 20_000]) {
    now = at;
    log.limited("key", 10)?.info("x");
  }
  expect(lines.map((line) => line.split("what=")[1])).toEqual(["x", "x suppressed=2", "x"]);
});

test("a descriptor gets the lines of a turn together, and a critical line at once", async () => {
  const file = join(mkdtempSync(join(tmpdir(), "log-")), "log");
  const fd = openSync(file, "w");
  const sink = new FdSink(fd);
  const log = new Log({ sink, level: "info" });
  log.info("one");
  log.info("two");
  expect(readFileSync(file, "utf8")).toBe("");
  await new Promise((next) => setImmediate(next));
  expect(readFileSync(file, "utf8").match(/what=\w+/g)).toEqual(["what=one", "what=two"]);
  log.critical("three");
  expect(readFileSync(file, "utf8")).toContain("what=three");
  sink.close();
  closeSync(fd);
});

test("a closed descriptor loses lines, not the server", () => {
  const fd = openSync("/dev/null", "w");
  closeSync(fd);
  const sink = new FdSink(fd);
  const log = new Log({ sink, level: "info" });
  expect(() => log.emergency("x")).not.toThrow();
  sink.close();
});

test("past its bound a sink drops lines and says how many", async () => {
  const file = join(mkdtempSync(join(tmpdir(), "log-")), "log");
  const fd = openSync(file, "w");
  const sink = new FdSink(fd, 10);
  for (const line of ["first line\n", "second\n", "third\n"]) sink.write(line);
  sink.close();
  expect(readFileSync(file, "utf8")).toBe("first line\nlevel=error what=log_lines_dropped count=2\n");
  closeSync(fd);
});

test("the journal is known by device and inode, not by the variable alone", () => {
  expect(isJournal(1, undefined)).toBe(false);
  expect(isJournal(1, "9:99999999")).toBe(false);
});
