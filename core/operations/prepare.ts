// What comes before a GraphQL request runs: every operation it selects is resolved, its arguments parsed and its caller
// authorised.

import {
  type DocumentNode,
  execute as executeSchema,
  type FieldNode,
  type FragmentDefinitionNode,
  GraphQLError,
  GraphQLIncludeDirective,
  type GraphQLObjectType,
  type GraphQLSchema,
  GraphQLSkipDirective,
  getArgumentValues,
  getDirectiveValues,
  getOperationAST,
  getVariableValues,
  isObjectType,
  Kind,
  type OperationDefinitionNode,
  parse,
  type SelectionSetNode,
  specifiedRules,
  validate,
} from "graphql";
import { type Caller, type Operation, OperationError, type OperationNode } from "../operations.ts";
import { authorise } from "./authorise.ts";
import { maxDepth, validationCode } from "./checks.ts";
import { argType, parseRef } from "./language.ts";

export interface GraphqlRequest {
  readonly query: string;
  readonly variables?: Readonly<Record<string, unknown>>;
  readonly operationName?: string;
}

export interface FormattedError {
  readonly message: string;
  readonly path?: readonly (string | number)[];
  readonly extensions: Readonly<Record<string, unknown>>;
}

/** An answer: the HTTP status MongooseIM would give, and the JSON. */
export interface GraphqlAnswer {
  readonly status: 200 | 400 | 401;
  readonly body: { readonly data?: unknown; readonly errors?: readonly FormattedError[] };
}

export interface ExecuteOptions {
  readonly schema: GraphQLSchema;
  readonly caller: Caller;
  readonly node: OperationNode;
  /** Root fields that this endpoint offers; all when absent or empty (option allowed_categories). */
  readonly allowedCategories?: readonly string[];
}

/** An operation that a request selects, with its arguments. */
export interface Call {
  readonly operation: Operation;
  readonly args: Readonly<Record<string, unknown>>;
}

/** What resolvers see. `calls` holds the authorised operations by the place in the document that selects them. */
export interface ExecutionContext extends ExecuteOptions {
  readonly calls: ReadonlyMap<FieldNode, Call>;
  /** What a subscription's field is now: an event, or the error that it began with. */
  event?(): unknown;
}

/** Tokens in a document: a bound on the work of parsing and validating. */
const MAX_TOKENS = 10_000;
/** Deep enough for introspection and for a vCard with an agent's vCard. */
const MAX_DEPTH = 20;
const RULES = [...specifiedRules, maxDepth(MAX_DEPTH)];

/** A request that may be run: every operation in it is authorised. */
export interface Prepared {
  readonly calls: ReadonlyMap<FieldNode, Call>;
  /** Runs it; `event` is for the field of a subscription. */
  run(event?: () => unknown): Promise<GraphqlAnswer>;
}

/**
 * Reads a request and authorises all that it selects; an answer says why it cannot be run.
 * @param kinds what may be run
 */
export async function prepare(
  request: GraphqlRequest,
  options: ExecuteOptions,
  kinds: readonly Operation["kind"][],
): Promise<Prepared | GraphqlAnswer> {
  const { schema, caller } = options;
  let document: DocumentNode;
  try {
    document = parse(request.query, { maxTokens: MAX_TOKENS });
  } catch (error) {
    if (!(error instanceof GraphQLError)) throw error;
    const line = error.locations?.[0]?.line;
    return failed(400, error.message + (line === undefined ? "" : ` (line ${line})`), "parser_error");
  }
  const invalid = validate(schema, document, RULES, { maxErrors: 5 });
  if (invalid.length > 0) {
    return refused(400, invalid.map(aboutInput));
  }
  const definition = getOperationAST(document, request.operationName);
  if (!definition) {
    return failed(400, "Cannot tell which operation of the document to run: give operationName", "operation_not_found");
  }
  if (!kinds.includes(definition.operation)) {
    const message = `A ${definition.operation} cannot be executed by this method`;
    return failed(400, message, "unsupported_operation");
  }
  const variables = getVariableValues(schema, definition.variableDefinitions ?? [], withoutNulls(request.variables));
  if (variables.errors) {
    return refused(400, variables.errors.map(aboutInput));
  }

  const selected = new Collector(schema, document, definition, variables.coerced);
  const calls = new Map<FieldNode, Call>();
  const operationName = definition.name?.value ?? "ROOT";
  for (const { field, path, call } of selected.all()) {
    const refusal = await authorise(call.operation, call.args, caller, options.node.domains);
    if (refusal) {
      const message = `Cannot execute query ${operationName} ${refusal}`;
      return refused(401, [{ message, path, extensions: { code: "no_permissions" } }]);
    }
    calls.set(field, call);
  }

  const run = async (event?: () => unknown): Promise<GraphqlAnswer> => {
    const context: ExecutionContext = { ...options, calls, event };
    const result = await executeSchema({
      schema,
      document,
      operationName: request.operationName,
      variableValues: withoutNulls(request.variables),
      contextValue: context,
    });
    if (!result.errors) return { status: 200, body: { data: result.data } };
    return { status: 200, body: { data: result.data, errors: result.errors.map(formatError) } };
  };
  return { calls, run };
}

/** MongooseIM takes a null variable for one that was left out, so that its default applies. */
function withoutNulls(variables: Readonly<Record<string, unknown>> | undefined): Record<string, unknown> {
  return Object.fromEntries(Object.entries(variables ?? {}).filter(([, value]) => value !== null));
}

/** A mistake in a document or its variables. What a scalar says stands for itself, without "Variable ... got". */
function aboutInput(error: GraphQLError): FormattedError {
  const inner = error.originalError;
  const own = inner instanceof GraphQLError && inner.extensions["code"] === "input_coercion" ? inner : error;
  return { message: own.message, extensions: { code: validationCode(error) } };
}

const refused = (status: 400 | 401, errors: readonly FormattedError[]): GraphqlAnswer => ({ status, body: { errors } });
/** An answer with one error, before anything has run. */
export const failed = (status: 400 | 401, message: string, code: string): GraphqlAnswer =>
  refused(status, [{ message, extensions: { code } }]);

function formatError(error: GraphQLError): FormattedError {
  const { message, path, originalError } = error;
  if (originalError instanceof OperationError) {
    return { message, path, extensions: { ...originalError.extensions, code: originalError.code } };
  }
  return { message, path, extensions: { ...error.extensions, code: error.extensions["code"] ?? "resolver_error" } };
}

interface Selected {
  readonly field: FieldNode;
  readonly path: readonly string[];
  readonly call: Call;
}

/** Finds the operations that a request selects: at the root, and one step below it in the categories. */
class Collector {
  private readonly fragments: ReadonlyMap<string, FragmentDefinitionNode>;

  constructor(
    private readonly schema: GraphQLSchema,
    document: DocumentNode,
    private readonly definition: OperationDefinitionNode,
    private readonly variables: Record<string, unknown>,
  ) {
    this.fragments = new Map(
      document.definitions.filter((d) => d.kind === Kind.FRAGMENT_DEFINITION).map((d) => [d.name.value, d]),
    );
  }

  *all(): Generator<Selected> {
    const root = this.schema.getRootType(this.definition.operation);
    if (root) yield* this.below(root, this.definition.selectionSet, []);
  }

  /** `spread` holds the fragments already looked into for this type at this path. */
  private *below(
    type: GraphQLObjectType,
    set: SelectionSetNode,
    path: readonly string[],
    spread = new Set<string>(),
  ): Generator<Selected> {
    for (const node of set.selections) {
      if (!this.included(node)) continue;
      if (node.kind === Kind.FRAGMENT_SPREAD) {
        const fragment = this.fragments.get(node.name.value);
        if (!fragment || spread.has(node.name.value)) continue;
        spread.add(node.name.value);
        yield* this.below(type, fragment.selectionSet, path, spread);
      } else if (node.kind === Kind.INLINE_FRAGMENT) {
        yield* this.below(type, node.selectionSet, path, spread);
      } else {
        const field = type.getFields()[node.name.value];
        if (!field) continue; // __typename, __schema, __type
        const here = [...path, node.alias?.value ?? node.name.value];
        const { operation } = field.extensions;
        if (operation) {
          const args = getArgumentValues(field, node, this.variables);
          yield { field: node, path: here, call: { operation, args: tidy(operation, args, field.args) } };
        } else if (isObjectType(field.type) && node.selectionSet) {
          yield* this.below(field.type, node.selectionSet, here);
        }
      }
    }
  }

  private included(node: SelectionSetNode["selections"][number]): boolean {
    if (getDirectiveValues(GraphQLSkipDirective, node, this.variables)?.["if"] === true) return false;
    return getDirectiveValues(GraphQLIncludeDirective, node, this.variables)?.["if"] !== false;
  }
}

/** Leaves nulls out, at any depth, and puts defaults in their place: resolvers know no null. */
function tidy(
  operation: Operation,
  args: Readonly<Record<string, unknown>>,
  declared: readonly { readonly name: string; readonly defaultValue?: unknown }[],
): Record<string, unknown> {
  const out: Record<string, unknown> = {};
  for (const { name, defaultValue } of declared) {
    const value = args[name] ?? defaultValue;
    if (value === undefined || value === null) continue;
    // Scalars are classes or plain values already; only lists and input objects have nulls inside.
    out[name] = parseRef(argType(operation.args[name])).wrap.includes("list") || isPlain(value) ? clean(value) : value;
  }
  return out;
}

const isPlain = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && [null, Object.prototype].includes(Object.getPrototypeOf(value));

function clean(value: unknown): unknown {
  if (Array.isArray(value)) return value.filter((v) => v !== null && v !== undefined).map(clean);
  if (!isPlain(value)) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, v]) => v !== null && v !== undefined)
      .map(([k, v]) => [k, clean(v)]),
  );
}
