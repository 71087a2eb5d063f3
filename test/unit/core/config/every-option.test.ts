// Every option of storage, each set to what it cannot be: one line with its place, its key and what would be right.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { check } from "./check.ts";

const SECTIONS =
  /^(outgoing_pools\.rdbms|internal_databases|modules\.mod_(mam|inbox|smart_markers|offline|offline_chatmarkers))\./;

interface Row {
  readonly path: string;
  readonly type: string;
  readonly validation: string;
}

/** Options of our own, which the table of MongooseIM's does not have. */
const OWN: readonly Row[] = [
  ["retention.archive", "integer or infinity"],
  ["retention.offline", "integer or infinity"],
  ["retention.inbox_bin", "integer or infinity"],
  ["retention.uploads", "integer or infinity"],
  ["retention.interval", "integer"],
  ["retention.batch_size", "integer"],
  ["retention.pause", "integer"],
  ["retention.domains[].domain", "string"],
  ["retention.domains[].archive", "integer or infinity"],
  ["retention.domains[].offline", "integer or infinity"],
  ["retention.domains[].inbox_bin", "integer or infinity"],
  ["modules.mod_mam.max_prefs_jids", "integer"],
  ["modules.mod_mam.search_index", "enum"],
  ["modules.mod_mam.pm.max_prefs_jids", "integer"],
  ["modules.mod_mam.pm.search_index", "enum"],
  ["modules.mod_inbox.max_user_conversations", "integer or infinity"],
  ["modules.mod_smart_markers.max_user_markers", "integer or infinity"],
  ["modules.mod_offline.max_user_messages", "integer or infinity"],
  ["modules.mod_offline_chatmarkers.max_user_threads", "integer or infinity"],
].map(([path, type]) => ({ path, type, validation: "positive" }));

const ROWS: Row[] = readFileSync(join(import.meta.dirname, "options.tsv"), "utf8")
  .trimEnd()
  .split("\n")
  .slice(1)
  .map((line) => line.split("\t"))
  .filter(([path, type]) => SECTIONS.test(path) && type !== "table")
  .map(([path, type, , , validation]) => ({ path, type, validation }));

/** What no option of that type takes, as TOML. */
function wrongValues({ type, validation }: Row): string[] {
  const values = ["1979-05-27"];
  if (type === "boolean" || type.startsWith("list")) values.push("17");
  if (/^(integer|enum|boolean)/.test(type)) values.push("'no such word'");
  if (/positive|negative|port/.test(validation)) values.push("-1");
  if (/non_empty|filename|module|access_rule/.test(validation) && type === "string") values.push("''");
  return values;
}

const SERVER = ["driver = 'pgsql'", "host = 'h'", "database = 'd'", "username = 'u'", "password = 'p'"];

/** A file in which only the option is wrong, and the option's line (GENERAL has three). */
function fileWith(path: string, value: string, prefix = ""): { text: string; line: number; key: string } {
  const parts = path.replace("*", "default").split(".");
  const name = parts.pop()!;
  const at = prefix + parts.join(".").replace("[]", "");
  const list = path.includes("[]");
  const lines = [list ? `[[${at}]]` : `[${at}]`, `${name} = ${value}`];
  if (list && name !== "domain") lines.push("domain = 'localhost'");
  // What the table of the option needs beside it.
  if (name === "certfile") lines.push("keyfile = 'key.pem'");
  if (name === "type" && path.endsWith("iqdisc.type")) lines.push("workers = 1");
  if (path.endsWith("iqdisc.workers")) lines.push("type = 'queues'");
  const connection = SERVER.filter((pair) => !(at.endsWith(".connection") && pair.startsWith(`${name} =`)));
  if (at.endsWith(".connection")) lines.push(...connection);
  else if (path.startsWith("outgoing_pools"))
    lines.push(`[${prefix}outgoing_pools.rdbms.default.connection]`, ...SERVER);
  const key = `${parts.join(".").replace("[]", "[0]")}.${name}`;
  return { text: lines.join("\n"), line: 5, key };
}

test.each([...ROWS, ...OWN])("$path says what is wrong with it, in one line", (row) => {
  for (const value of wrongValues(row)) {
    const { text, line, key } = fileWith(row.path, value);
    const { problems, config } = check(text);
    expect(config, value).toBeUndefined();
    expect(
      problems.map((p) => [p.file, p.line, p.key]),
      `${value}: ${problems.map((p) => p.message).join("\n")}`,
    ).toEqual([["mongooseim.toml", line, key]]);
    const [{ message }] = problems;
    expect(message).toMatch(/^Cannot use .* as \S+: (it must|a port is|the list must) \S/);
    expect(message).toContain(` as ${key}: `);
    expect(message).not.toMatch(/[\r\n]/);
  }
});

test.each([...ROWS, ...OWN])("$path with a slip of the pen is no key", ({ path }) => {
  const slip = path.replace(/(\w+)$/, (name) => `${name}z`);
  const { text, line, key } = fileWith(slip, "1");
  expect(check(text).problems.map((p) => [p.line, p.key, /^Unknown key "\w+" in /.test(p.message)])).toContainEqual([
    line,
    key,
    true,
  ]);
});
