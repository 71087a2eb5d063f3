// From declarations to a GraphQL schema: types by name, one object type per category, root types over them.

import {
  GraphQLBoolean,
  GraphQLEnumType,
  GraphQLError,
  type GraphQLFieldConfig,
  type GraphQLFieldConfigMap,
  GraphQLFloat,
  GraphQLID,
  GraphQLInputObjectType,
  type GraphQLInputType,
  GraphQLInt,
  GraphQLList,
  type GraphQLNamedType,
  GraphQLNonNull,
  type GraphQLNullableType,
  GraphQLObjectType,
  type GraphQLOutputType,
  GraphQLScalarType,
  GraphQLSchema,
  GraphQLString,
  type GraphQLType,
  GraphQLUnionType,
  isInputType,
  isObjectType,
  isOutputType,
  parseValue,
  valueFromAST,
  valueFromASTUntyped,
} from "graphql";
import type { Audience, Operation } from "../operations.ts";
import { category } from "./categories.ts";
import { erlangTerm } from "./erlang-term.ts";
import { type ExecutionContext, resolveCategory, resolveOperation } from "./execute.ts";
import { argType, type NamedType, parseRef, ScalarError, type ScalarType } from "./language.ts";
import { coreTypes } from "./types.ts";

declare module "graphql" {
  interface GraphQLFieldExtensions<_TSource, _TContext, _TArgs> {
    /** The declaration a field was made from. */
    operation?: Operation;
  }
}

type FieldMap = GraphQLFieldConfigMap<unknown, ExecutionContext>;

/** Characters of a wrong value that come back with the error about it. */
const MAX_SHOWN = 300;
const short = (value: string): string =>
  value.length > MAX_SHOWN ? `${value.slice(0, MAX_SHOWN)}... (${value.length} characters)` : value;

/** GraphQL types by name, made when first asked for: only what operations reach gets into the schema. */
class TypeTable {
  private readonly made = new Map<string, GraphQLNamedType>();
  private readonly declared = new Map<string, NamedType>();

  constructor(operations: readonly Operation[]) {
    for (const type of [GraphQLString, GraphQLInt, GraphQLFloat, GraphQLBoolean, GraphQLID]) {
      this.made.set(type.name, type);
    }
    for (const type of Object.values(coreTypes)) this.declare(type);
    for (const operation of operations) for (const type of operation.types ?? []) this.declare(type);
  }

  private declare(type: NamedType): void {
    const known = this.declared.get(type.name);
    if (known && known !== type) throw new TypeError(`Type "${type.name}" is declared twice`);
    this.declared.set(type.name, type);
  }

  input(ref: string): GraphQLInputType {
    const type = this.wrapped(ref);
    if (!isInputType(type)) throw new TypeError(`"${ref}" cannot be an argument`);
    return type;
  }

  output(ref: string): GraphQLOutputType {
    const type = this.wrapped(ref);
    if (!isOutputType(type)) throw new TypeError(`"${ref}" cannot be a result`);
    return type;
  }

  /** The default in a reference as an internal value, or undefined. */
  defaultOf(ref: string): unknown {
    const { default: text } = parseRef(ref);
    if (text === undefined) return undefined;
    const value = valueFromAST(parseValue(text), this.input(ref));
    if (value === undefined) throw new TypeError(`The default of "${ref}" is not of its type`);
    return value;
  }

  private wrapped(ref: string): GraphQLType {
    const { name, wrap } = parseRef(ref);
    let type: GraphQLType = this.named(name, ref);
    for (const wrapper of wrap.toReversed()) {
      type = wrapper === "list" ? new GraphQLList(type) : new GraphQLNonNull(type as GraphQLNullableType);
    }
    return type;
  }

  private named(name: string, ref: string): GraphQLNamedType {
    const made = this.made.get(name);
    if (made) return made;
    const declared = this.declared.get(name);
    if (!declared) throw new TypeError(`No type "${name}" is declared (in "${ref}")`);
    const type = this.make(declared);
    this.made.set(name, type);
    return type;
  }

  private make(type: NamedType): GraphQLNamedType {
    const { name, description } = type;
    switch (type.kind) {
      case "scalar":
        return makeScalar(type as ScalarType);
      case "enum":
        return new GraphQLEnumType({ name, description, values: Object.fromEntries(type.values.map((v) => [v, {}])) });
      case "object":
        return new GraphQLObjectType({
          name,
          description,
          fields: () => mapValues(type.fields, (ref) => ({ type: this.output(ref) })),
        });
      case "input":
        return new GraphQLInputObjectType({
          name,
          description,
          fields: () => mapValues(type.fields, (ref) => ({ type: this.input(ref), defaultValue: this.defaultOf(ref) })),
        });
      case "union":
        return new GraphQLUnionType({
          name,
          description,
          types: () =>
            type.members.map((member) => {
              const object = this.named(member, name);
              if (!isObjectType(object)) throw new TypeError(`"${member}" of "${name}" is not an object type`);
              return object;
            }),
        });
    }
  }
}

function makeScalar(type: ScalarType): GraphQLScalarType {
  const parse = (value: unknown): unknown => {
    try {
      return type.parse(value);
    } catch (error) {
      if (!(error instanceof ScalarError)) throw error;
      // MongooseIM's sentence, which clients look into for the reason.
      const about = `Input coercion failed for type ${type.name} with value ${short(erlangTerm(value))}`;
      throw new GraphQLError(`${about}. The reason it failed is: ${error.reason}`, {
        extensions: { code: "input_coercion" },
      });
    }
  };
  return new GraphQLScalarType({
    name: type.name,
    description: type.description,
    parseValue: parse,
    parseLiteral: (node, variables) => parse(valueFromASTUntyped(node, variables)),
    serialize: (value) => type.print(value),
  });
}

/**
 * The schema of the operations that an audience can have. Execute it with `execute` only: that is where
 * authorisation is, and a resolver that was not authorised refuses.
 * Throws a TypeError when a declaration is wrong: unknown types, two operations of one name.
 */
export function buildSchema(operations: readonly Operation[], audience: Audience = "admin"): GraphQLSchema {
  const mine = operations.filter((op) => (op.audience ?? (op.scope === "user" ? "user" : "admin")) === audience);
  const types = new TypeTable(mine);
  const label = audience === "admin" ? "Admin" : "User";
  checkNames(mine);

  const root = (kind: Operation["kind"]): GraphQLObjectType | undefined => {
    const ofKind = mine.filter((op) => op.kind === kind);
    if (ofKind.length === 0) return undefined;
    const suffix = { query: "Query", mutation: "Mutation", subscription: "Subscription" }[kind];
    const fields: FieldMap = {};
    for (const [name, members] of Map.groupBy(ofKind, (op) => op.category)) {
      if (name === "") {
        for (const op of members) fields[op.name] = fieldOf(op, types);
        continue;
      }
      const { typePrefix, description } = category(name);
      fields[name] = {
        description,
        resolve: resolveCategory,
        type: new GraphQLObjectType({
          name: `${typePrefix}${label}${suffix}`,
          description,
          fields: Object.fromEntries(members.map((op) => [op.name, fieldOf(op, types)])),
        }),
      };
    }
    return new GraphQLObjectType({ name: `${label}${suffix}`, fields });
  };

  return new GraphQLSchema({
    query: root("query"),
    mutation: root("mutation"),
    subscription: root("subscription"),
  });
}

/** A name is used once in a category, whatever the kind: on the command line there is no kind. */
function checkNames(operations: readonly Operation[]): void {
  const seen = new Set<string>();
  for (const { category, name } of operations) {
    const full = `${category}.${name}`;
    if (seen.has(full)) throw new TypeError(`Operation "${full}" is declared twice`);
    seen.add(full);
  }
}

function fieldOf(operation: Operation, types: TypeTable): GraphQLFieldConfig<unknown, ExecutionContext> {
  return {
    description: operation.description,
    type: types.output(operation.result),
    args: mapValues(operation.args, (spec) => {
      const ref = argType(spec);
      return {
        type: types.input(ref),
        defaultValue: types.defaultOf(ref),
        description: typeof spec === "string" ? undefined : spec.description,
      };
    }),
    resolve: resolveOperation,
    extensions: { operation },
  };
}

function mapValues<T, U>(record: { readonly [key: string]: T }, map: (value: T) => U): Record<string, U> {
  return Object.fromEntries(Object.entries(record).map(([key, value]) => [key, map(value)]));
}
