// The files made from declarations: those in git are what the generator writes, and say what the declarations say.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { z } from "zod";
import { generatedFiles } from "../../../../cmd/gen/files.ts";
import { moduleIndex } from "../../../../cmd/gen/modules.ts";
import { type OptionRow, optionRows } from "../../../../cmd/gen/option-rows.ts";
import { optionsPage } from "../../../../cmd/gen/options.ts";
import { inert, nonNegative, port, positiveOrInfinity, uniqueNonEmptyList } from "../../../../core/config/types.ts";

const root = join(import.meta.dirname, "../../../..");
const files = generatedFiles(root);
const inGit = (file: string) => readFileSync(join(root, file), "utf8");

describe("bun cmd/gen/all.ts has nothing to write for", () => {
  test.each(Object.keys(files))("%s", (file) => expect(inGit(file)).toBe(files[file]));

  test("modules/index.ts", () => expect(inGit("modules/index.ts")).toBe(moduleIndex(join(root, "modules"))));
});

describe("a row of the option reference", () => {
  const only = (schema: z.ZodType): OptionRow => [...optionRows(z.strictObject({ it: schema }))][0];

  test.each([
    [port(), "a port is 1 to 65535"],
    [nonNegative(), "a whole number, 0 or more"],
    [z.boolean(), "true or false"],
    [z.enum(["a", "b"]), '"a" or "b"'],
    [uniqueNonEmptyList(z.string()), "list, each text in quotes (at least one, none twice)"],
    [z.strictObject({}), "table"],
    [z.array(z.strictObject({})), "list of tables"],
  ])("has the value in the words of config check: %#", (schema, value) => expect(only(schema).value).toBe(value));

  test("has the default as TOML", () => {
    expect(only(positiveOrInfinity().default(Number.POSITIVE_INFINITY)).default).toBe('"infinity"');
    expect(only(z.array(z.string()).default(["a", "b"])).default).toBe('["a", "b"]');
    expect(only(nonNegative().default(3_600_000)).default).toBe("3_600_000");
  });

  test("is required without a default", () => {
    expect([only(port()).required, only(port().optional()).required, only(port().default(1)).required]).toEqual([
      true,
      false,
      false,
    ]);
  });

  test("finds description and notes inside wrappers", () => {
    const row = only(inert(nonNegative(), "no queue").describe("Workers").default(1).optional());
    expect([row.description, row.inert]).toEqual(["Workers", "no queue"]);
  });

  test("has the path of tables, lists of tables and free names", () => {
    const inner = z.strictObject({ a: z.string() });
    const schema = z.strictObject({ t: inner, l: z.array(inner), r: z.record(z.string(), inner) });
    const paths = [...optionRows(schema)].map((row) => row.path);
    expect(paths).toEqual(["t", "t.a", "l[]", "l[].a", "r", "r.<name>", "r.<name>.a"]);
  });
});

describe("the option reference", () => {
  const schema = z.strictObject({
    modules: z.strictObject({
      mod_b: z.strictObject({ a_or_b: z.string().describe("a | b <c>") }).optional(),
      mod_a: z.strictObject({}).optional(),
    }),
  });
  const page = optionsPage(schema, new Set(["mod_a"]));

  test("says which features the build does not have", () => {
    expect(page).toMatch(/`\[modules.mod_b\]`\n\nNot in this build/);
    expect(page).not.toMatch(/`\[modules.mod_a\]`\n\nNot in this build/);
  });

  test("keeps a description inside its cell", () => {
    expect(page).toContain("| `a_or_b` | text in quotes | required | a \\| b &lt;c> |");
  });
});

test("the reference has a row for every module that is built", () => {
  for (const [, name] of files["docs/modules.md"].matchAll(/^## (\w+)$/gm)) {
    expect(files["docs/options.md"]).toContain(`### \`[modules.${name}]\``);
  }
});

test("the list of metrics has those of the engine and those of modules", () => {
  expect(files["docs/metrics.md"]).toMatch(/^\| `sm_session_count` \| gauge \| host_type \|/m);
  expect(files["docs/metrics.md"]).toMatch(
    /^\| `mod_roster_get_count` \| counter \| host_type \| .* \(mod_roster\) \|/m,
  );
});
