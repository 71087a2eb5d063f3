// Runs a GraphQL request. Every operation a request selects is resolved, its arguments parsed and its caller
// authorised before the first one runs; a resolver runs only what was authorised here.

import {
  type DocumentNode,
  execute as executeSchema,
  type FieldNode,
  type FragmentDefinitionNode,
  GraphQLError,
  GraphQLIncludeDirective,
  type GraphQLObjectType,
  type GraphQLResolveInfo,
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
import {
  type AuditEntry,
  type Caller,
  type Events,
  type Operation,
  OperationError,
  type OperationNode,
} from "../operations.ts";
import { authorise } from "./authorise.ts";
import { maxDepth, missingDependencies, redacted, validationCode } from "./checks.ts";
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

interface Call {
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

/** Executes a query or a mutation. Never throws for what a caller did. */
export async function execute(request: GraphqlRequest, options: ExecuteOptions): Promise<GraphqlAnswer> {
  const prepared = await prepare(request, options, ["query", "mutation"]);
  return "body" in prepared ? prepared : prepared.run();
}

/** A request that may be run: every operation in it is authorised. */
interface Prepared {
  readonly calls: ReadonlyMap<FieldNode, Call>;
  /** Runs it; `event` is for the field of a subscription. */
  run(event?: () => unknown): Promise<GraphqlAnswer>;
}

async function prepare(
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

/**
 * Begins a subscription: a document with one operation. What keeps it from beginning is an answer, as of `execute`.
 * Never throws for what a caller did.
 */
export async function subscribe(
  request: GraphqlRequest,
  options: ExecuteOptions,
): Promise<GraphqlAnswer | Events<GraphqlAnswer["body"]>> {
  const prepared = await prepare(request, options, ["subscription"]);
  if ("body" in prepared) return prepared;
  const [call, ...more] = prepared.calls.values();
  if (call === undefined || more.length > 0) {
    return failed(400, "A subscription must select one operation", "unsupported_operation");
  }
  const { operation, args } = call;
  const { node, caller } = options;
  const began = node.clock();
  try {
    checkOffered(operation.category, options);
    const missing = await missingDependencies(operation, args, caller, node);
    if (missing) throw missing;
    const events = (await operation.run(args, caller, node)) as Events<unknown>;
    audit({ operation, args, began, outcome: "ok" }, options);
    return {
      async next() {
        const event = await events.next();
        return event === undefined ? undefined : (await prepared.run(() => event)).body;
      },
      stop: () => events.stop(),
    };
  } catch (error) {
    const refusal = refusalOf(error, { operation, args, began }, operation.name, options);
    return prepared.run(() => {
      throw refusal;
    });
  }
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
const failed = (status: 400 | 401, message: string, code: string): GraphqlAnswer =>
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

/** Resolver of a category: an object for its operations, unless the endpoint does not offer the category. */
export function resolveCategory(
  _parent: unknown,
  _args: unknown,
  context: ExecutionContext,
  info: GraphQLResolveInfo,
): Record<string, never> {
  checkOffered(info.fieldName, context);
  return {};
}

function checkOffered(name: string, { allowedCategories }: ExecuteOptions): void {
  if (!allowedCategories?.length || allowedCategories.includes(name)) return;
  throw new OperationError("category_disabled", "Category disabled", { category: name });
}

/** Resolver of every operation: checks what it needs, runs it, and tells the audit log. */
export async function resolveOperation(
  _parent: unknown,
  _args: unknown,
  context: ExecutionContext,
  info: GraphQLResolveInfo,
): Promise<unknown> {
  const call = context.calls.get(info.fieldNodes[0]);
  if (!call) throw new Error(`${info.parentType.name}.${info.fieldName} was not authorised: run it through execute()`);
  const { operation, args } = call;
  const { node, caller } = context;
  if (context.event) return context.event();
  if (operation.category === "") checkOffered(operation.name, context);
  const began = node.clock();
  try {
    const missing = await missingDependencies(operation, args, caller, node);
    if (missing) throw missing;
    const result = await operation.run(args, caller, node);
    audit({ operation, args, began, outcome: "ok" }, context);
    return result;
  } catch (error) {
    throw refusalOf(error, { operation, args, began }, info.parentType.name, context);
  }
}

interface Run extends Call {
  /** When it began, by the node's clock. */
  readonly began: number;
}

/** What the caller is told of an error; the audit log is told all. */
function refusalOf(error: unknown, run: Run, type: string, options: ExecuteOptions): OperationError {
  if (error instanceof OperationError) {
    audit({ ...run, outcome: "refused", code: error.code }, options);
    return error;
  }
  audit({ ...run, outcome: "crashed", error }, options);
  // What went wrong is for the log; it may hold what the caller must not see.
  return new OperationError("resolver_crash", `Unexpected ${type} resolver crash`);
}

function audit(
  { operation, args, began, ...end }: Run & Pick<AuditEntry, "outcome" | "code" | "error">,
  { node, caller }: ExecuteOptions,
): void {
  if (operation.kind === "query" && end.outcome !== "crashed") return;
  const name = operation.category === "" ? operation.name : `${operation.category}.${operation.name}`;
  node.audit({
    operation: name,
    caller,
    args: redacted(operation, args),
    milliseconds: node.clock() - began,
    ...end,
  });
}
