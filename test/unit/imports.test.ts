// The arrows between the rooms of ARCHITECTURE.md: who may import whom, that nothing imports itself round a corner, and
// where SQL may be written.
//
// Layers count every import, types too. Circles count only imports that exist at run time: two files that know each
// other's types (the steps of one state machine, as core/c2s/stream.ts and negotiate.ts) are no circle for the loader.

import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { describe, expect, test } from "vitest";

const ROOT = normalize(join(import.meta.dirname, "../.."));
const ROOMS = ["cmd", "core", "transports", "modules"];

type Sources = ReadonlyMap<string, string>;

interface Import {
  readonly from: string;
  readonly to: string;
  /** Gone at run time. */
  readonly type: boolean;
  /** An import() in the middle of the code: done when it is called. */
  readonly late: boolean;
}

const STATEMENT = /^(?:import|export)\s+(type\s)?([^"';]*?)(?:\sfrom\s*)?["'](\.[^"']+)["']/gm;
const CALL = /\bimport\(\s*["'](\.[^"']+)["']\s*\)(\s*\.[A-Z])?/g;

const withoutComments = (source: string): string =>
  source.replace(/^\s*\/\/.*$/gm, "").replace(/\/\*[\s\S]*?\*\//g, (c) => c.replace(/[^\n]/g, ""));

/** Whether all that stands between the braces is types. */
function onlyTypes(clause: string): boolean {
  const names = /^\{([\s\S]*)\}$/
    .exec(clause.trim())?.[1]
    .split(",")
    .filter((n) => n.trim() !== "");
  return names !== undefined && names.length > 0 && names.every((n) => /^\s*type\s/.test(n));
}

function importsOf(path: string, source: string): Import[] {
  // Text that is written out as code is not this file's.
  const code = withoutComments(source).replace(/`(?:[^`\\]|\\.)*`/gs, "``");
  const out: Import[] = [];
  const to = (specifier: string): string => normalize(join(dirname(path), specifier));
  for (const [, type, clause, specifier] of code.matchAll(STATEMENT)) {
    out.push({ from: path, to: to(specifier), type: type !== undefined || onlyTypes(clause), late: false });
  }
  for (const [, specifier, member] of code.matchAll(CALL)) {
    out.push({ from: path, to: to(specifier), type: member !== undefined, late: true });
  }
  return out;
}

const allImports = (sources: Sources): Import[] => [...sources].flatMap(([path, source]) => importsOf(path, source));

// --- Layers -------------------------------------------------------------------------------------------------------------

const room = (path: string): string => path.split("/")[0];

/** Rooms that a room may import. */
const ARROWS: Readonly<Record<string, readonly string[]>> = {
  cmd: ["cmd", "transports", "modules", "core"],
  transports: ["transports", "core"],
  modules: ["modules", "core"],
  core: ["core"],
};

const LEAF = /^core\/(?:(?:jid|ns|stanza|errors|hints|retraction)\.ts|(?:precis|xml)\/)/;
const KERNEL = /^core\/(?:(?:hooks|module|operations)\.ts|(?:operations|config)\/)/;
/** Services whose types the kernel's contracts name. */
const NAMED_BY_KERNEL = /^core\/(?:(?:log|metrics)\/|storage\/db\.ts$)/;

type Layer = "leaf" | "kernel" | "engine";
const layer = (path: string): Layer => (LEAF.test(path) ? "leaf" : KERNEL.test(path) ? "kernel" : "engine");

function coreFault({ from, to, type }: Import): string | undefined {
  const [above, below] = [layer(from), layer(to)];
  if (above === "leaf" && below !== "leaf") return "a leaf imports only leaves";
  if (above === "kernel" && below === "engine" && !(type && NAMED_BY_KERNEL.test(to))) {
    return "the kernel imports leaves, the kernel, and types of log, metrics and storage/db.ts";
  }
  return undefined;
}

/** The feature a file under modules/ belongs to: modules/mod_x.ts, modules/mod_x/… */
const feature = (path: string): string => path.split("/")[1].replace(/\.ts$/, "");

/** Rooms under modules/ that are no features, but what several features are made of: who may import them. */
const SHARED: Readonly<Record<string, readonly string[]>> = { pubsub: ["mod_pubsub", "mod_pubsub_old"] };

function moduleFault({ from, to }: Import, sources: Sources): string | undefined {
  const [one, other] = [feature(from), feature(to)];
  if (one === other) return undefined;
  if (other in SHARED)
    return SHARED[other].includes(one) ? undefined : `${other} is for ${SHARED[other].join(", ")} only`;
  if (one in SHARED) return `${one} imports core only`;
  const isFront = to === `modules/${other}.ts` || to === `modules/${other}/index.ts`;
  if (!isFront) return `the inside of ${other} is its own`;
  if (from === "modules/index.ts") return undefined;
  const front = sources.get(`modules/${one}.ts`) ?? sources.get(`modules/${one}/index.ts`) ?? "";
  // `uses` says the same as `needs` of a feature that may be off: it is started first when it is on.
  const named = [...withoutComments(front).matchAll(/\b(?:needs|uses):\s*\[([^\]]*)\]/g)]
    .map(([, list]) => list)
    .join();
  return new RegExp(`["']${other}["']`).test(named) ? undefined : `${one} does not name ${other} in its needs or uses`;
}

function fault(edge: Import, sources: Sources): string | undefined {
  const [above, below] = [room(edge.from), room(edge.to)];
  if (!sources.has(edge.to))
    return edge.to.endsWith(".ts") && ROOMS.includes(below) ? "there is no such file" : undefined;
  if (!ARROWS[above].includes(below)) return `${above} does not import ${below}`;
  if (above === "core") return coreFault(edge);
  if (above === "modules" && below === "modules") return moduleFault(edge, sources);
  return undefined;
}

function wrongArrows(sources: Sources): string[] {
  return allImports(sources).flatMap((edge) => {
    const why = fault(edge, sources);
    return why === undefined ? [] : [`${edge.from} -> ${edge.to}: ${why}`];
  });
}

// --- Circles --------------------------------------------------------------------------------------------------------------

/** Circles of imports at run time, each as the way round. */
function circles(sources: Sources): string[] {
  const next = new Map<string, string[]>();
  for (const { from, to, type, late } of allImports(sources)) {
    if (!type && !late && sources.has(to)) next.set(from, [...(next.get(from) ?? []), to]);
  }
  const found: string[] = [];
  const done = new Set<string>();
  const way: string[] = [];
  const walk = (path: string): void => {
    const at = way.indexOf(path);
    if (at >= 0) found.push([...way.slice(at), path].join(" -> "));
    if (at >= 0 || done.has(path)) return;
    way.push(path);
    for (const to of next.get(path) ?? []) walk(to);
    way.pop();
    done.add(path);
  };
  for (const path of sources.keys()) walk(path);
  return found;
}

// --- SQL ------------------------------------------------------------------------------------------------------------------

const SQL =
  /\b(?:SELECT\s+(?:[\w*"`(?$]|DISTINCT\b)|INSERT\s+(?:OR\s+\w+\s+)?INTO\b|UPDATE\s+[\w"`.$}{]+\s+SET\b|DELETE\s+FROM\b)/;
const MAY_SQL = /^(?:core\/storage\/|core\/auth\/store\.ts$|core\/domain\/store\.ts$|modules\/)/;

function misplacedSql(sources: Sources): string[] {
  return [...sources].flatMap(([path, source]) =>
    MAY_SQL.test(path)
      ? []
      : withoutComments(source)
          .split("\n")
          .flatMap((line, k) => (SQL.test(line) ? [`${path}:${k + 1}: ${line.trim()}`] : [])),
  );
}

// --- The tests --------------------------------------------------------------------------------------------------------------

function repository(): Map<string, string> {
  const sources = new Map<string, string>();
  for (const name of ROOMS) {
    if (!existsSync(join(ROOT, name))) continue;
    for (const entry of readdirSync(join(ROOT, name), { recursive: true }) as string[]) {
      if (/(?<!\.d)\.ts$/.test(entry)) sources.set(join(name, entry), readFileSync(join(ROOT, name, entry), "utf8"));
    }
  }
  return sources;
}

describe("this repository", () => {
  const sources = repository();

  test("is read whole", () => {
    expect(sources.size).toBeGreaterThan(100);
    expect(allImports(sources).length).toBeGreaterThan(3 * sources.size);
  });

  test("has no wrong arrow between its rooms and layers", () => {
    expect(wrongArrows(sources)).toEqual([]);
  });

  test("has no circle of imports", () => {
    expect(circles(sources)).toEqual([]);
  });

  test("has SQL only in stores", () => {
    expect(misplacedSql(sources)).toEqual([]);
  });
});

describe("the check of arrows", () => {
  /** Files that are there to be imported, and one that imports. */
  const arrow = (from: string, statement: string, more: Record<string, string> = {}): string[] => {
    const there = ["cmd/a.ts", "transports/a.ts", "core/jid.ts", "core/hooks.ts", "core/node.ts", "core/storage/db.ts"];
    there.push("core/log/index.ts", "modules/mod_b.ts", "modules/mod_c/index.ts", "modules/mod_c/store.ts");
    there.push("modules/pubsub/engine.ts");
    return wrongArrows(new Map([...there.map((p) => [p, ""] as const), ...Object.entries(more), [from, statement]]));
  };

  test.each([
    ["cmd/x.ts", 'import { a } from "../transports/a.ts";'],
    ["cmd/x.ts", 'import b from "../modules/mod_c/store.ts";'],
    ["transports/x.ts", 'import { a } from "../core/node.ts";'],
    ["modules/mod_a.ts", 'import { a } from "../core/node.ts";'],
    ["modules/mod_c/quota.ts", 'import { a } from "./store.ts";'],
    ["modules/mod_pubsub/index.ts", 'import { a } from "../pubsub/engine.ts";'],
    ["modules/index.ts", 'import b from "./mod_b.ts";\nimport c from "./mod_c/index.ts";'],
    ["core/stanza.ts", 'import { a } from "./jid.ts";'],
    ["core/module.ts", 'import type { Db } from "./storage/db.ts";\nimport { type Log } from "./log/index.ts";'],
    ["core/router/router.ts", 'import { a } from "../hooks.ts";\nimport { b } from "../jid.ts";'],
    ["core/x.ts", '// import { a } from "../cmd/a.ts";\n/* import "../cmd/a.ts" */\nimport "node:fs";'],
    [
      "modules/mod_a.ts",
      'import { b } from "./mod_b.ts";\nexport default defineModule({ needs: ["mod_z", "mod_b"] });',
    ],
    ["modules/mod_c/index.ts", 'import { b } from "../mod_b.ts";\nconst m = { needs: ["mod_b"] };'],
    ["modules/mod_a.ts", 'import { b } from "./mod_b.ts";\nconst m = { needs: ["mod_z"], uses: ["mod_b"] };'],
    ["core/x.ts", 'const text = `\nimport { a } from "../cmd/a.ts";\n`;'],
  ])("lets %s have %s", (from, statement) => {
    expect(arrow(from, statement)).toEqual([]);
  });

  test.each([
    ["core/x.ts", 'import { a } from "../cmd/a.ts";', "core/x.ts -> cmd/a.ts: core does not import cmd"],
    ["core/x.ts", 'import type { A } from "../transports/a.ts";', "core/x.ts -> transports/a.ts: core does not import"],
    [
      "core/x.ts",
      'export * from "../modules/mod_b.ts";',
      "core/x.ts -> modules/mod_b.ts: core does not import modules",
    ],
    ["core/x.ts", 'import "../cmd/a.ts";', "core/x.ts -> cmd/a.ts"],
    ["core/x.ts", 'const a = await import("../cmd/a.ts");', "core/x.ts -> cmd/a.ts"],
    ["core/x.ts", 'let a: import("../cmd/a.ts").A;', "core/x.ts -> cmd/a.ts"],
    ["core/x.ts", 'import {\n  a,\n  b,\n} from "../cmd/a.ts";', "core/x.ts -> cmd/a.ts"],
    ["transports/x.ts", 'import { b } from "../modules/mod_b.ts";', "transports does not import modules"],
    ["transports/x.ts", 'import { b } from "../cmd/a.ts";', "transports does not import cmd"],
    ["modules/mod_a.ts", 'import { a } from "../transports/a.ts";', "modules does not import transports"],
    ["modules/mod_a/store.ts", 'import { a } from "../../cmd/a.ts";', "modules does not import cmd"],
    ["core/jid.ts", 'import type { A } from "./hooks.ts";', "a leaf imports only leaves"],
    ["core/xml/scan.ts", 'import { a } from "../node.ts";', "a leaf imports only leaves"],
    ["core/hooks.ts", 'import type { A } from "./node.ts";', "core/hooks.ts -> core/node.ts: the kernel imports"],
    ["core/module.ts", 'import { Log } from "./log/index.ts";', "the kernel imports"],
    ["core/config/x.ts", 'import { type Db, open } from "../storage/db.ts";', "the kernel imports"],
    ["modules/mod_a.ts", 'import { b } from "./mod_b.ts";', "mod_a does not name mod_b in its needs or uses"],
    ["modules/mod_a.ts", 'import { b } from "./mod_b.ts";\n// needs: ["mod_b"]', "mod_a does not name mod_b"],
    ["modules/mod_a.ts", 'import s from "./mod_c/store.ts";\nconst m = { needs: ["mod_c"] };', "the inside of mod_c"],
    ["modules/index.ts", 'import s from "./mod_c/store.ts";', "the inside of mod_c is its own"],
    ["modules/mod_a.ts", 'import e from "./pubsub/engine.ts";', "pubsub is for mod_pubsub, mod_pubsub_old only"],
    ["modules/pubsub/x.ts", 'import b from "../mod_b.ts";', "pubsub imports core only"],
    ["core/x.ts", 'import { a } from "./nowhere.ts";', "there is no such file"],
  ])("finds fault with %s: %s", (from, statement, why) => {
    expect(arrow(from, statement).join()).toContain(why);
  });

  test("reads the needs of the feature, whichever of its files imports", () => {
    const inside = { "modules/mod_d/index.ts": 'export default { needs: ["mod_b"] }' };
    expect(arrow("modules/mod_d/push.ts", 'import b from "../mod_b.ts";', inside)).toEqual([]);
    expect(arrow("modules/mod_d/push.ts", 'import c from "../mod_c/index.ts";', inside)).toHaveLength(1);
  });
});

describe("the check of circles", () => {
  const files = (all: Record<string, string>): Sources => new Map(Object.entries(all));

  test("prints the way round", () => {
    const sources = files({
      "core/a.ts": 'import { b } from "./b.ts";',
      "core/b.ts": 'export { c } from "./c.ts";',
      "core/c.ts": 'import "./a.ts";',
    });
    expect(circles(sources)).toEqual(["core/a.ts -> core/b.ts -> core/c.ts -> core/a.ts"]);
  });

  test("finds a file that imports itself", () => {
    expect(circles(files({ "core/a.ts": 'import { a } from "./a.ts";' }))).toEqual(["core/a.ts -> core/a.ts"]);
  });

  test("leaves types and import() out, and two ways to one file", () => {
    const sources = files({
      "core/a.ts": 'import { b } from "./b.ts";\nimport { c } from "./c.ts";',
      "core/b.ts": 'import type { A } from "./a.ts";\nimport { c } from "./c.ts";',
      "core/c.ts": 'import { type A } from "./a.ts";\nconst b = () => import("./b.ts");',
    });
    expect(circles(sources)).toEqual([]);
  });
});

describe("the check of SQL", () => {
  test.each([
    "db.query(`SELECT jid FROM rosterusers`)",
    '"SELECT * FROM users"',
    '"INSERT INTO users VALUES (?)"',
    '"UPDATE users SET password = ?"',
    '"DELETE FROM users"',
  ])("finds %s, but not in stores", (line) => {
    const sources = new Map(
      ["core/router/router.ts", "core/auth/store.ts", "core/storage/db.ts", "modules/mod_x.ts"].map((p) => [p, line]),
    );
    expect(misplacedSql(sources)).toEqual([`core/router/router.ts:1: ${line}`]);
  });

  test.each(["// SELECT jid FROM users", "select a resource", "UPDATE the roster", 'method: "DELETE"'])(
    "leaves %j alone",
    (line) => {
      expect(misplacedSql(new Map([["core/x.ts", line]]))).toEqual([]);
    },
  );
});
