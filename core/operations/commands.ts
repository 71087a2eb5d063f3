// The command line that a schema gives: categories, commands, arguments, and the document each command sends.
// The server makes it once and hands it to clients, so that a client needs neither the declarations nor GraphQL.

import {
  type GraphQLInputType,
  type GraphQLObjectType,
  type GraphQLOutputType,
  type GraphQLSchema,
  getNamedType,
  getNullableType,
  isCompositeType,
  isInputObjectType,
  isListType,
  isObjectType,
  isRequiredArgument,
  isUnionType,
} from "graphql";

export interface CommandArg {
  readonly name: string;
  /** GraphQL's notation: "PosInt", "[ContactInput!]!". */
  readonly type: string;
  readonly required: boolean;
  /** How the value is written: as it is, as a whole number, or as JSON. */
  readonly format: "text" | "integer" | "json";
  readonly description?: string;
  /** Words to choose from, for completion. */
  readonly choices?: readonly string[];
}

export interface Command {
  readonly name: string;
  readonly description: string;
  readonly args: readonly CommandArg[];
  /** A GraphQL document with the arguments as variables, asking for every field of the result. */
  readonly document: string;
}

export interface CommandCategory {
  readonly name: string;
  readonly description: string;
  readonly commands: readonly Command[];
}

/** Categories and their commands, by name. */
export function commandTree(schema: GraphQLSchema): readonly CommandCategory[] {
  const categories = new Map<string, { description: string; commands: Command[] }>();
  const roots = {
    query: schema.getQueryType(),
    mutation: schema.getMutationType(),
    // Listed, as MongooseIM lists them; the server refuses to run them for a command line.
    subscription: schema.getSubscriptionType(),
  };
  for (const kind of ["query", "mutation", "subscription"] as const) {
    const root = roots[kind];
    for (const field of Object.values(root?.getFields() ?? {})) {
      // An operation at the root (checkAuth) belongs to no category, hence is no command.
      if (field.extensions.operation || !isObjectType(field.type)) continue;
      const category = categories.get(field.name) ?? { description: field.description ?? "", commands: [] };
      categories.set(field.name, category);
      category.commands.push(...commandsOf(kind, field.name, field.type));
    }
  }
  const byName = (a: { name: string }, b: { name: string }): number => (a.name < b.name ? -1 : 1);
  return [...categories]
    .map(([name, { description, commands }]) => ({ name, description, commands: commands.sort(byName) }))
    .sort(byName);
}

function commandsOf(kind: "query" | "mutation" | "subscription", category: string, type: GraphQLObjectType): Command[] {
  return Object.values(type.getFields()).map((field) => {
    const args = field.args.map(({ name, type: argType, description, ...arg }) => {
      const named = getNamedType(argType);
      return {
        name,
        type: String(argType),
        required: isRequiredArgument({ name, type: argType, description, ...arg }),
        format: formatOf(argType),
        ...(description ? { description } : {}),
        ...("getValues" in named ? { choices: named.getValues().map((v) => v.name) } : {}),
      };
    });
    // A variable with a default in its argument is left out when not given: the server's default applies.
    const declared = args.map((arg) => `$${arg.name}: ${arg.type}`).join(", ");
    const used = args.map((arg) => `${arg.name}: $${arg.name}`).join(", ");
    const head = args.length > 0 ? `${kind} (${declared})` : kind;
    const call = args.length > 0 ? `${field.name}(${used})` : field.name;
    const document = `${head} { ${category} { ${call}${selection(field.type, [])} } }`;
    return { name: field.name, description: field.description ?? "", args, document };
  });
}

function formatOf(type: GraphQLInputType): CommandArg["format"] {
  const named = getNamedType(type);
  if (isListType(getNullableType(type)) || isInputObjectType(named)) return "json";
  if (["Int", "PosInt", "NonNegInt"].includes(named.name)) return "integer";
  return ["Boolean", "Float"].includes(named.name) ? "json" : "text";
}

/** Every field of a type; a type inside itself is followed once (a vCard's agent has a vCard). */
function selection(type: GraphQLOutputType, path: readonly string[]): string {
  const named = getNamedType(type);
  if (!isCompositeType(named)) return "";
  if (isUnionType(named)) {
    const members = named.getTypes().map((member) => `... on ${member.name}${selection(member, path)}`);
    return ` { ${members.join(" ")} }`;
  }
  if (path.filter((name) => name === named.name).length >= 2) return " { __typename }";
  const below = [...path, named.name];
  const fields = Object.values(named.getFields()).map((field) => field.name + selection(field.type, below));
  return ` { ${fields.join(" ")} }`;
}
