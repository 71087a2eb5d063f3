// Runs a GraphQL request. Every operation a request selects is resolved, its arguments parsed and its caller
// authorised before the first one runs; a resolver runs only what was authorised here.

import type { GraphQLResolveInfo } from "graphql";
import { type AuditEntry, type Events, OperationError } from "../operations.ts";
import { missingDependencies, redacted } from "./checks.ts";
import {
  type Call,
  type ExecuteOptions,
  type ExecutionContext,
  failed,
  type GraphqlAnswer,
  type GraphqlRequest,
  prepare,
} from "./prepare.ts";

export type { ExecuteOptions, ExecutionContext, FormattedError, GraphqlAnswer, GraphqlRequest } from "./prepare.ts";

/** Executes a query or a mutation. Never throws for what a caller did. */
export async function execute(request: GraphqlRequest, options: ExecuteOptions): Promise<GraphqlAnswer> {
  const prepared = await prepare(request, options, ["query", "mutation"]);
  return "body" in prepared ? prepared : prepared.run();
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
  let events: Events<unknown>;
  try {
    checkOffered(operation.category, options);
    const missing = await missingDependencies(operation, args, caller, node);
    if (missing) throw missing;
    events = (await operation.run(args, caller, node)) as Events<unknown>;
  } catch (error) {
    return prepared.run(() => {
      throw error;
    });
  }
  audit({ operation, args, began, outcome: "ok" }, options);
  return {
    async next() {
      const event = await events.next();
      return event === undefined ? undefined : (await prepared.run(() => event)).body;
    },
    stop: () => events.stop(),
  };
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
  const began = node.clock();
  try {
    if (context.event) return context.event();
    if (operation.category === "") checkOffered(operation.name, context);
    const missing = await missingDependencies(operation, args, caller, node);
    if (missing) throw missing;
    const running = operation.run(args, caller, node);
    if (running instanceof Promise && operation.kind === "mutation" && !operation.unawaited) {
      void node.underWay?.add(running);
    }
    const result = await running;
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
