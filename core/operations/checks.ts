// What is checked or changed around an operation besides who may call it.

import { GraphQLError, Kind, type SelectionSetNode, type ValidationRule } from "graphql";
import { type Caller, type Operation, OperationError, type OperationNode } from "../operations.ts";
import { valuesAt } from "./arguments.ts";
import { domainOf } from "./authorise.ts";

/** An error when modules, services or databases that the operation needs are not loaded where it would act. */
export async function missingDependencies(
  operation: Operation,
  args: Readonly<Record<string, unknown>>,
  caller: Caller,
  node: OperationNode,
): Promise<OperationError | undefined> {
  if (!operation.needs) return undefined;
  const loaded = { services: node.server.services(), databases: node.server.internalDatabases() };
  const modules = new Set<string>();
  const services: string[] = [];
  const databases: string[] = [];
  for (const need of operation.needs) {
    if (need.startsWith("mod_")) {
      for (const hostType of await hostTypes(operation, args, caller, node)) {
        if (!node.server.modules(hostType).has(need)) modules.add(need);
      }
    } else if (need.startsWith("service_")) {
      if (!loaded.services.includes(need)) services.push(need);
    } else if (!loaded.databases.includes(need)) databases.push(need);
  }
  const kinds: string[] = [];
  const extensions: Record<string, readonly string[]> = {};
  const add = (kind: string, names: readonly string[]): void => {
    if (names.length === 0) return;
    kinds.push(kind.replace("_", " "));
    extensions[`not_loaded_${kind}`] = names;
  };
  add("modules", [...modules].sort());
  add("services", services);
  add("internal_databases", databases);
  if (kinds.length === 0) return undefined;
  return new OperationError(
    "deps_not_loaded",
    `Some of the required ${kinds.join(" and ")} are not loaded`,
    extensions,
  );
}

/**
 * Host types the arguments speak of; a user's own when they speak of none. Unknown domains give none: the operation
 * itself says that they are unknown.
 */
async function hostTypes(
  operation: Operation,
  args: Readonly<Record<string, unknown>>,
  caller: Caller,
  node: OperationNode,
): Promise<ReadonlySet<string>> {
  const paths = operation.hostTypeArgs ?? operation.domainArgs ?? [];
  const domains = paths.flatMap((path) => valuesAt(args, path)).map(domainOf);
  if (paths.length === 0 && caller.kind === "user") domains.push(caller.jid.domain);
  const found = new Set<string>();
  for (const domain of new Set(domains)) {
    const hostType = domain === undefined ? undefined : await hostTypeOf(domain, node);
    if (hostType !== undefined) found.add(hostType);
  }
  return found;
}

/** The host type of a domain, of a host type's name itself, or of the domain above a subdomain. */
async function hostTypeOf(domain: string, node: OperationNode): Promise<string | undefined> {
  const direct = await node.domains.hostTypeOf(domain);
  if (direct !== undefined) return direct;
  if (node.domains.hostTypes().includes(domain)) return domain;
  const parent = await node.domains.parentOf(domain);
  return parent === undefined ? undefined : node.domains.hostTypeOf(parent);
}

/** Arguments as the audit log may show them. */
export function redacted(operation: Operation, args: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const hide = (name: string): boolean => /password/i.test(name) || (operation.secrets?.includes(name) ?? false);
  return Object.fromEntries(Object.entries(args).map(([name, value]) => [name, hide(name) ? "***" : value]));
}

/** A validation rule: selections nested deeper than `most` are an error. */
export function maxDepth(most: number): ValidationRule {
  return (context) => {
    // A fragment counts once, however often it is spread; one that spreads itself is another rule's error.
    const known = new Map<string, number>();
    const ofFragment = (name: string): number => {
      const seen = known.get(name);
      if (seen !== undefined) return seen;
      known.set(name, 0);
      const depth = depthOf(context.getFragment(name)?.selectionSet);
      known.set(name, depth);
      return depth;
    };
    const depthOf = (set: SelectionSetNode | undefined): number => {
      let deepest = 0;
      for (const node of set?.selections ?? []) {
        const depth =
          node.kind === Kind.FRAGMENT_SPREAD
            ? ofFragment(node.name.value)
            : depthOf(node.selectionSet) + (node.kind === Kind.FIELD ? 1 : 0);
        deepest = Math.max(deepest, depth);
      }
      return deepest;
    };
    return {
      OperationDefinition(node) {
        if (depthOf(node.selectionSet) <= most) return;
        const message = `Fields are nested deeper than ${most}`;
        context.reportError(new GraphQLError(message, { nodes: node, extensions: { code: "too_deep" } }));
      },
    };
  };
}

// The reference implementation names the rule only in its text.
const CODES: readonly (readonly [RegExp, string])[] = [
  [/^Cannot query field/, "unknown_field"],
  [/^Unknown argument/, "unknown_argument"],
  [/^Unknown type/, "type_not_found"],
  [/is required, but it was not provided|of required type ".*" was not provided/, "missing_non_null_param"],
  [/does not exist in ".*" enum/, "unknown_enum"],
  [
    /^(Value|Expected value|Enum|Int cannot|String cannot|Boolean cannot|Float cannot|Variable ".*" of type)/,
    "input_coercion",
  ],
  [/must have a selection of subfields/, "fields_on_scalar"],
];

/** A code for an error of validation. */
export function validationCode(error: GraphQLError): string {
  const { code } = error.extensions;
  if (typeof code === "string") return code;
  const inner = error.originalError;
  if (inner instanceof GraphQLError && typeof inner.extensions["code"] === "string") return inner.extensions["code"];
  return CODES.find(([pattern]) => pattern.test(error.message))?.[1] ?? "uncategorized";
}
