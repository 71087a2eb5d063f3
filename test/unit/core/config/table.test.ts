// Every row of MongooseIM's option table (options.tsv): the path is known, its type and bounds are the table's, its
// default is the table's.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "smol-toml";
import { describe, expect, test } from "vitest";
import { z } from "zod";
import { optionRows } from "../../../../cmd/gen/option-rows.ts";
import { root } from "../../../../core/config/schema.ts";
import { childOf, unwrapped } from "../../../../core/config/walk.ts";
import { BUILT_MODULES } from "./check.ts";

interface Row {
  path: string;
  type: string;
  required: string;
  default: string;
  validation: string;
  inHostConfig: string;
}

const ROWS: Row[] = readFileSync(join(import.meta.dirname, "options.tsv"), "utf8")
  .trimEnd()
  .split("\n")
  .slice(1)
  .map((line) => {
    const [path, type, required, fallback, validation, inHostConfig] = line.split("\t");
    return { path, type, required, default: fallback, validation, inHostConfig };
  });

// What is built is held to the table by its own schema.
const SCHEMA = root(BUILT_MODULES, "all");

/** Rows that stand for "any name of this kind": one such name. */
const ANY: Record<string, string> = { "modules.*": "mod_amp", "listen.http[].handlers.*": "mongoose_bosh_handler" };

function schemaOf(path: string, start: z.ZodType = SCHEMA): z.ZodType | undefined {
  let at: z.ZodType | undefined = start;
  let walked = "";
  for (const part of path.split(".")) {
    const name = part.replaceAll("[]", "");
    walked += (walked && ".") + name;
    at = at && childOf(at, ANY[walked.replace(/^host_config\[\]\./, "")] ?? name);
    for (let i = name.length; i < part.length; i += 2) at = at && childOf(at, 0);
    walked = walked.slice(0, walked.length - name.length) + part;
  }
  return at;
}

function schemaFor(row: Row): z.ZodType {
  const schema = schemaOf(row.path);
  if (!schema) throw new Error(`${row.path} is not known`);
  return schema;
}

const accepts = (schema: z.ZodType, value: unknown) => schema.safeParse(value).success;

// Values that pass and values that do not, by the table's "validation".
const TEXTS: [validation: RegExp, good: string, bad: string][] = [
  [/nodeprep must succeed/, "example.org", "two words"],
  [/JID node|jid_localpart/, "alice", "al@ice"],
  [/domain$/, "example.org", "two words"],
  [/^jid$/, "alice@example.org", "@example.org"],
  [/ip_address/, "127.0.0.1", "127.0.0.one"],
  [/ip_mask/, "10.0.0.0/8", "10.0.0.0/99"],
  [/url/, "https://example.org", ""],
  [/filename/, "priv/cert.pem", ""],
  [/ldap_filter/, "(uid=alice)", "(uid=alice"],
  [/module/, "mod_example", ""],
  [/instrumentation_loglevel/, "info", "none"],
  [/loglevel/, "info", "loud"],
  [/network_address/, "example.org", "two words"],
  [/subdomain_template/, "rooms.@HOST@", "two words.@HOST@"],
  [/access_rule|shaper|pool_name|non_empty/, "some", ""],
];

const INTEGERS: [validation: RegExp, good: number, bad: number][] = [
  [/non_negative/, 0, -1],
  [/positive/, 1, 0],
  [/port/, 5222, 65_536],
];

const words = (type: string) => /enum\((.*)\)/.exec(type)?.[1].split("|") ?? [];

/** Texts of the table's type "string" that are words here: anything else is refused with the words. */
const WORDS: Record<string, string> = {
  "general.s2s_backend": "mnesia",
  "auth.sasl_external": "standard",
  ...Object.fromEntries(
    ["", "pm.", "muc."].flatMap((kind) => [
      [`modules.mod_mam.${kind}db_jid_format`, "mam_jid_rfc"],
      [`modules.mod_mam.${kind}db_message_format`, "mam_message_eterm"],
    ]),
  ),
};

function samples({ path, type, validation }: Row): { good: unknown[]; bad: unknown[] } {
  if (type.startsWith("list of ")) {
    const item = samples({ path, type: type.slice(8), validation: validation.replace(/list \w+;? ?/, "") } as Row);
    const bad: unknown[] = [...item.bad.map((value) => [value]), "not a list"];
    if (/non_empty/.test(/list \w+/.exec(validation)?.[0] ?? "")) bad.push([]);
    if (/list unique/.test(validation)) bad.push([item.good[0], item.good[0]]);
    return { good: item.good.map((value) => [value]), bad };
  }
  if (type.startsWith("integer enum")) return { good: words(type).map(Number), bad: [5, "4"] };
  if (type.startsWith("enum")) {
    const good = words(type).map((word) => (word === "false" ? false : word));
    return { good, bad: ["no_such_word", 17] };
  }
  if (type === "boolean") return { good: [true, false], bad: ["true", 1] };
  if (type === "float") return { good: [0.5], bad: ["0.5"] };
  if (type === "integer or string") return { good: [5, "allow"], bad: [true, []] };
  if (type.startsWith("integer")) {
    const bound = INTEGERS.find(([pattern]) => pattern.test(validation));
    const infinite = type.includes("infinity");
    return {
      good: [bound?.[1] ?? 7, ...(infinite ? ["infinity"] : [])],
      bad: ["7", 1.5, ...(bound ? [bound[2]] : []), ...(infinite ? ["endless"] : ["infinity"])],
    };
  }
  if (type === "string") {
    if (WORDS[path]) return { good: [WORDS[path]], bad: ["no_such_word", 17] };
    const text = TEXTS.find(([pattern]) => pattern.test(validation));
    return { good: [text?.[1] ?? "some text"], bad: [17, true, ...(text ? [text[2]] : [])] };
  }
  return { good: [], bad: [17, "text", type === "table" ? [] : {}] };
}

/** Defaults that the table words or that are stored in another form here. */
const DEFAULTS: Record<string, unknown> = {
  "auth.password.hash": undefined,
  internal_databases: { mnesia: {} },
  "modules.mod_inbox.async_writer.pool_size": 2 * navigator.hardwareConcurrency,
  "modules.mod_mam.async_writer.pool_size": 4 * navigator.hardwareConcurrency,
  "modules.mod_mam.pm.async_writer.pool_size": 4 * navigator.hardwareConcurrency,
  "modules.mod_mam.muc.async_writer.pool_size": 4 * navigator.hardwareConcurrency,
  "modules.mod_pubsub_old.nodetree": "tree",
  "modules.mod_register.welcome_message.body": "",
  "modules.mod_register.welcome_message.subject": "",
};

function defaultOf(row: Row): unknown {
  if (row.path in DEFAULTS) return DEFAULTS[row.path];
  if (row.default === "") return undefined;
  if (row.type.includes("infinity") && row.default === '"infinity"') return Number.POSITIVE_INFINITY;
  return parse(`value = ${row.default}`).value;
}

/** True for a schema whose value is a table with fixed keys. */
function isFixedTable(schema: z.ZodType): boolean {
  const inner = unwrapped(schema);
  return inner ? isFixedTable(inner) : schema instanceof z.ZodObject;
}

const leaves = ROWS.filter((row) => row.type !== "table" && row.type !== "array of tables");
const tables = ROWS.filter((row) => row.type === "table");
const lists = ROWS.filter((row) => row.type === "array of tables");
const absent = (row: Row) => schemaFor(row).safeParse(undefined);
const isEntry = (row: Row) => /(\[\]|\*)$/.test(row.path);
/** Tables that MongooseIM always has, and whose own required keys then say what is missing. */
const alwaysPresent = (row: Row) => row.validation.includes("always present");

describe("the option table", () => {
  test("has all its rows", () => {
    expect(ROWS).toHaveLength(1068);
  });

  test.each(ROWS)("knows $path", (row) => {
    expect(schemaOf(row.path)).toBeDefined();
  });

  test.each(leaves)("takes good values of $path", (row) => {
    for (const value of samples(row).good)
      expect({ value, ok: accepts(schemaFor(row), value) }).toEqual({ value, ok: true });
  });

  test.each(ROWS.filter((row) => !isEntry(row)))("refuses bad values of $path", (row) => {
    for (const value of samples(row).bad) {
      expect({ value, ok: accepts(schemaFor(row), value) }).toEqual({ value, ok: false });
    }
  });

  test.each(leaves.filter((row) => row.required === "n"))("has the table's default of $path", (row) => {
    expect(absent(row)).toEqual({ success: true, data: defaultOf(row) });
  });

  test.each(ROWS.filter((row) => row.required === "y" && !isEntry(row)))("asks for $path", (row) => {
    expect(absent(row).success).toBe(false);
  });

  test.each(tables.filter((row) => row.default))("has the table's default table of $path", (row) => {
    expect(absent(row)).toMatchObject({ success: true, data: defaultOf(row) });
  });

  test.each(lists.filter((row) => row.default))("has the table's default list of $path", (row) => {
    expect(absent(row)).toEqual({ success: true, data: defaultOf(row) });
  });

  test.each(tables.filter((row) => alwaysPresent(row)))("has $path always", (row) => {
    const result = absent(row);
    if (result.success) expect(result.data).toBeTypeOf("object");
    // Not absent as a whole: what is missing is inside it.
    else expect(result.error.issues[0].path).not.toEqual([]);
  });

  test.each(tables.filter((row) => isFixedTable(schemaFor(row))))("refuses unknown keys in $path", (row) => {
    const issues = schemaFor(row).safeParse({ no_such_option: 1 }).error?.issues ?? [];
    expect(issues).toContainEqual(expect.objectContaining({ code: "unrecognized_keys", keys: ["no_such_option"] }));
  });

  test.each(ROWS.filter((row) => row.inHostConfig === "y"))("knows host_config[].$path", (row) => {
    expect(schemaOf(`host_config[].${row.path}`)).toBeDefined();
  });

  test.each(ROWS.filter((row) => row.inHostConfig === "n"))("does not know host_config[].$path", (row) => {
    expect(schemaOf(`host_config[].${row.path}`)).toBeUndefined();
  });

  test("has no row for what is marked as our own, and one for everything else", () => {
    const path = (row: string): string => row.replaceAll("[]", "");
    const known = new Set(ROWS.map((row) => path(row.path)));
    const any = [...known]
      .filter((at) => at.includes("*") && at !== "modules.*")
      .map((at) => new RegExp(`^${at.replaceAll("*", "[^.]+")}$`));
    const isTheirs = (at: string): boolean => known.has(at) || any.some((pattern) => pattern.test(at));
    const inside: string[] = [];
    const wrong: string[] = [];
    for (const row of optionRows(SCHEMA, "", (at) => at.startsWith("host_config[]."))) {
      const at = path(row.path);
      if (inside.some((table) => at.startsWith(table))) continue;
      if (row.own) inside.push(`${at}.`);
      if (!at.startsWith("host_config") && row.own === isTheirs(at)) wrong.push(row.path);
    }
    expect(wrong).toEqual([]);
  });

  test("is described, option by option", () => {
    const described = (schema: z.ZodType): boolean => {
      const inner = unwrapped(schema);
      return !!schema.meta()?.description || (inner !== undefined && described(inner));
    };
    expect(leaves.filter((row) => !described(schemaFor(row))).map((row) => row.path)).toEqual([]);
  });
});
