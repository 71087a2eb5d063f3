// The schema against MongooseIM 6.8's, row by row: graphql-*.tsv are the rows of these categories from its schema files.

import { readFileSync } from "node:fs";
import {
  type GraphQLArgument,
  type GraphQLSchema,
  getIntrospectionQuery,
  isEnumType,
  isInputObjectType,
  isObjectType,
  isScalarType,
  isUnionType,
  type OperationTypeNode,
  printSchema,
} from "graphql";
import { describe, expect, test } from "vitest";
import { execute } from "../../../../core/operations/execute.ts";
import { coreOperations } from "../../../../core/operations/index.ts";
import { objectType } from "../../../../core/operations/language.ts";
import { buildSchema } from "../../../../core/operations/schema.ts";
import { coreTypes } from "../../../../core/operations/types.ts";
import { defineOperation, type Operation } from "../../../../core/operations.ts";
import { MODULES } from "../../../../modules/index.ts";
import { fakeNode } from "./fake-node.ts";

const rowsOf = (file: string): string[][] =>
  readFileSync(new URL(file, import.meta.url), "utf8")
    .trim()
    .split("\n")
    .slice(1)
    .map((line) => line.split("\t"));

/** Operations of service_traffic are not in this build. */
const ABSENT = new Set(["stanza.subscribeForTraffic"]);
const operationRows = rowsOf("graphql-operations.tsv").filter(
  ([, , category, name]) => !ABSENT.has(`${category}.${name}`),
);
const operations = [...coreOperations, ...MODULES.flatMap((module) => module.operations ?? [])];
const typeRows = rowsOf("graphql-types.tsv");

const printed = (arg: Pick<GraphQLArgument, "name" | "type" | "defaultValue">): string =>
  `${arg.name}: ${arg.type}${arg.defaultValue === undefined ? "" : ` = ${arg.defaultValue}`}`;

const schema = buildSchema(operations);
const schemas: Readonly<Record<string, GraphQLSchema>> = { admin: schema, user: buildSchema(operations, "user") };
/** Categories that MongooseIM does not have. */
const OURS = new Set(["report", "invite", "retention"]);
const isUsers = (op: Operation): boolean => op.scope === "user" || op.audience === "user";
const theirs = operations.filter((op) => !OURS.has(op.category));
const operationsOf = (name: string) => theirs.filter((op) => isUsers(op) === (name === "user"));

describe("operations are MongooseIM's", () => {
  test.each(operationRows)("%s %s %s %s(%s): %s", (which, kind, category, name, args, result) => {
    const root = schemas[which].getRootType(kind as OperationTypeNode);
    const categoryField = root?.getFields()[category];
    const type = categoryField?.type;
    if (category === "checkAuth") {
      expect(String(type)).toBe(result);
      return;
    }
    const field = isObjectType(type) ? type.getFields()[name] : undefined;
    expect(field && { args: field.args.map(printed).join(", "), result: String(field.type) }).toEqual({ args, result });
  });

  test("there are no others", () => {
    expect(theirs.length).toBe(operationRows.length);
  });

  test.each(operationRows)(
    "%s %s %s.%s is protected as MongooseIM's",
    (which, _k, category, name, _a, _r, protection, uses) => {
      const full = category === "checkAuth" ? "checkAuth" : name;
      const operation = operationsOf(which).find(
        (op) => op.name === full && (op.category === category || op.category === ""),
      );
      const expected = protection.startsWith("GLOBAL")
        ? { scope: "global" }
        : protection.startsWith("DOMAIN")
          ? { scope: "domain", domainArgs: protection.slice("DOMAIN (checked args: ".length, -1).split(", ") }
          : which === "user" && protection.startsWith("DEFAULT")
            ? { scope: "user" }
            : // importUsers may name any domain: stricter than MongooseIM on purpose.
              { scope: name === "importUsers" ? "global" : "anyone" };
      expect(operation).toMatchObject(expected);
      expect(operation?.needs?.join(", ") ?? "").toBe((uses ?? "").replace(/^\w+: ([^;]*).*/, "$1"));
    },
  );
});

/** A schema in which every type is reached: a query for each result, an argument for each input. */
function schemaOfAllTypes(): GraphQLSchema {
  const probes: Operation[] = Object.values(coreTypes).map((type) =>
    defineOperation({
      category: "",
      name: `probe${type.name}`,
      kind: "query",
      description: "",
      args: type.kind === "object" || type.kind === "union" ? {} : { it: type.name },
      result: type.kind === "object" || type.kind === "union" ? type.name : "String",
      scope: "global",
      run: () => undefined as never,
    }),
  );
  return buildSchema(probes);
}

describe("types are MongooseIM's", () => {
  const all = schemaOfAllTypes();
  // Those of one feature alone are declared there.
  const here = (name: string) => all.getType(name) ?? schema.getType(name);
  const wanted = Map.groupBy(typeRows, ([, type]) => type);

  test.each([...wanted.keys()])("%s", (name) => {
    const rows = wanted.get(name) ?? [];
    const type = here(name);
    const ours = isObjectType(type)
      ? Object.values(type.getFields()).map((f) => `Object ${f.name} ${f.type}`)
      : isInputObjectType(type)
        ? Object.values(type.getFields()).map((f) => `InputObject ${f.name} ${f.type}`)
        : isEnumType(type)
          ? type.getValues().map((v) => `Enum ${v.name} value`)
          : isUnionType(type)
            ? type.getTypes().map((t) => `Union ${t.name} member`)
            : isScalarType(type)
              ? ["Scalar - scalar"]
              : [];
    expect(ours.sort()).toEqual(rows.map(([kind, , field, fieldType]) => `${kind} ${field} ${fieldType}`).sort());
  });

  test("there are no others", () => {
    expect(Object.keys(coreTypes).filter((name) => !wanted.has(name))).toEqual([]);
  });
});

describe("buildSchema", () => {
  test("names category types as MongooseIM does", () => {
    expect(schema.getQueryType()?.getFields()["stat"].type.toString()).toBe("StatsAdminQuery");
  });

  test("can be printed as SDL and read back by introspection", async () => {
    expect(printSchema(schema)).toContain("listUsers(");
    const caller = { kind: "admin", via: "cli" } as const;
    const answer = await execute({ query: getIntrospectionQuery() }, { schema, caller, node: fakeNode() });
    expect(answer.body.errors).toBeUndefined();
  });

  const op = (extra: Partial<Operation>): Operation => ({
    category: "account",
    name: "probe",
    kind: "query",
    description: "",
    args: {},
    result: "String",
    scope: "global",
    run: () => "",
    ...extra,
  });

  test.each([
    ["an unknown type", [op({ result: "Strin" })], 'No type "Strin" is declared'],
    ["an object as argument", [op({ args: { a: "Session" } })], '"Session" cannot be an argument'],
    ["an input as result", [op({ result: "ContactInput" })], '"ContactInput" cannot be a result'],
    ["a malformed type", [op({ result: "[String" })], '"[String" is not a GraphQL type'],
    ["a default of another type", [op({ args: { a: "Int = x" } })], 'The default of "Int = x" is not of its type'],
    ["two operations of one name", [op({}), op({ kind: "mutation" })], '"account.probe" is declared twice'],
    ["an unknown category", [op({ category: "acount" })], '"acount" is not a category'],
    [
      "two types of one name",
      [op({ types: [objectType("Session", "", { a: "Int" })] })],
      'Type "Session" is declared twice',
    ],
  ])("refuses %s", (_what, operations, complaint) => {
    expect(() => printSchema(buildSchema(operations))).toThrow(complaint);
  });

  test("gives users only the operations of their scope", () => {
    const user = buildSchema([op({}), op({ scope: "user", name: "mine" })], "user");
    expect(printSchema(user)).toContain('type AccountUserQuery {\n  """"""\n  mine: String\n}');
  });
});
