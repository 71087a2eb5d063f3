// Category broadcast.

import { enumType, type OutputOf, objectType } from "../../core/operations/language.ts";
import { defineOperation, OperationError, type OperationNode, runningIn } from "../../core/operations.ts";
import type { Job } from "./job.ts";
import { type Context, type Manager, notFound } from "./manager.ts";

/** A running feature: its context and its manager. */
export interface Running {
  readonly ctx: Context;
  readonly manager: Manager;
}

const Broadcast = objectType("Broadcast", "A message to all users of a domain, and how far it is", {
  id: "Int!",
  name: "String!",
  domain: "DomainName!",
  messageSubject: "String!",
  messageBody: "String!",
  senderJid: "JID!",
  messageRate: "PosInt!",
  ownerNode: "String!",
  createTimestamp: "DateTime!",
  startTimestamp: "DateTime",
  stopTimestamp: "DateTime",
  executionState: "BroadcastJobState!",
  abortionReason: "String",
  recipientGroup: "BroadcastRecipientGroup!",
  recipientCount: "PosInt!",
  recipientsProcessed: "NonNegInt!",
});
const BroadcastJobState = enumType("BroadcastJobState", "State of a broadcast", [
  "RUNNING",
  "FINISHED",
  "ABORT_ERROR",
  "ABORT_ADMIN",
]);
const BroadcastRecipientGroup = enumType("BroadcastRecipientGroup", "Who gets a broadcast", ["ALL_USERS_IN_DOMAIN"]);
const BroadcastMutationResult = objectType("BroadcastMutationResult", "The broadcasts that something was done to", {
  message: "String!",
  ids: "[Int!]!",
});

declare module "../../core/operations/language.ts" {
  interface NamedTypes {
    Broadcast: typeof Broadcast;
    BroadcastJobState: typeof BroadcastJobState;
    BroadcastRecipientGroup: typeof BroadcastRecipientGroup;
    BroadcastMutationResult: typeof BroadcastMutationResult;
  }
}
declare module "../../core/operations.ts" {
  interface ModuleInstances {
    mod_broadcast: Context;
  }
}

const STATES = {
  running: "RUNNING",
  finished: "FINISHED",
  abort_error: "ABORT_ERROR",
  abort_admin: "ABORT_ADMIN",
} as const;

function shown(job: Job): NonNullable<OutputOf<"Broadcast">> {
  const micros = (ms: number | undefined) => (ms === undefined ? undefined : ms * 1000);
  return {
    id: job.id,
    name: job.name,
    domain: job.domain,
    messageSubject: job.subject,
    messageBody: job.body,
    senderJid: job.sender,
    messageRate: job.rate,
    ownerNode: job.owner,
    createTimestamp: job.createdAt * 1000,
    startTimestamp: micros(job.startedAt),
    stopTimestamp: micros(job.stoppedAt),
    executionState: STATES[job.state],
    abortionReason: job.abortionReason,
    recipientGroup: "ALL_USERS_IN_DOMAIN",
    recipientCount: job.recipientCount,
    recipientsProcessed: job.processed,
  };
}

/** The operations, with the way from a context to its manager. */
export function broadcastOperations(managerOf: (ctx: Context) => Manager) {
  const runningFor = (node: OperationNode, domain: string): Running => {
    const ctx = runningIn(node, "mod_broadcast", domain);
    return { ctx, manager: managerOf(ctx) };
  };
  const head = {
    category: "broadcast",
    needs: ["mod_broadcast"],
    scope: "domain",
    domainArgs: ["domain"],
    types: [Broadcast, BroadcastJobState, BroadcastRecipientGroup, BroadcastMutationResult],
  } as const;
  const domain = "DomainName!";
  return [
    defineOperation({
      ...head,
      name: "getBroadcasts",
      kind: "query",
      description: "List the broadcasts of a domain, the newest first",
      args: { domain, limit: "PosInt = 50", index: "NonNegInt = 0" },
      result: "[Broadcast!]",
      run: async ({ domain, limit, index }, _caller, node) =>
        (await runningFor(node, domain).ctx.store.getJobs(domain, limit, index)).map(shown),
    }),
    defineOperation({
      ...head,
      name: "getBroadcast",
      kind: "query",
      description: "Get a broadcast",
      args: { domain, id: "Int!" },
      result: "Broadcast",
      run: async ({ domain, id }, _caller, node) => {
        const job = await runningFor(node, domain).ctx.store.getJob(id);
        if (job?.domain !== domain) throw told(notFound(), { domain, id });
        return shown(job);
      },
    }),
    defineOperation({
      ...head,
      name: "startBroadcast",
      kind: "mutation",
      description: "Send a message to all users of a domain, so many a second",
      secrets: ["messageSubject", "messageBody"],
      args: {
        name: "String!",
        domain,
        messageSubject: "String!",
        messageBody: "String!",
        senderJid: "BareJID!",
        messageRate: "PosInt!",
        recipientGroup: "BroadcastRecipientGroup!",
      },
      result: "BroadcastMutationResult",
      run: async ({ name, domain, messageSubject, messageBody, senderJid, messageRate }, _caller, node) => {
        const { manager } = runningFor(node, domain);
        const spec = {
          name,
          domain,
          subject: messageSubject,
          body: messageBody,
          sender: senderJid,
          rate: messageRate,
        };
        const id = await manager.startJob(spec).catch((error: unknown) => {
          throw told(error, { domain, name });
        });
        return { message: "Broadcast job started", ids: [id] };
      },
    }),
    defineOperation({
      ...head,
      name: "abortBroadcast",
      kind: "mutation",
      description: "End a running broadcast",
      args: { domain, id: "Int!" },
      result: "BroadcastMutationResult",
      run: async ({ domain, id }, _caller, node) => {
        await runningFor(node, domain)
          .manager.abort(domain, id)
          .catch((error: unknown) => {
            throw told(error, { domain, id });
          });
        return { message: "Broadcast job aborted", ids: [id] };
      },
    }),
    defineOperation({
      ...head,
      name: "deleteInactiveBroadcastsByIds",
      kind: "mutation",
      description: "Delete broadcasts that do not run; the others of the list stay",
      args: { domain, ids: "[Int!]!" },
      result: "BroadcastMutationResult",
      run: async ({ domain, ids }, _caller, node) => ({
        message: "Inactive broadcasts deleted",
        ids: await runningFor(node, domain).ctx.store.deleteInactive(domain, ids),
      }),
    }),
    defineOperation({
      ...head,
      name: "deleteInactiveBroadcastsByDomain",
      kind: "mutation",
      description: "Delete all broadcasts of a domain that do not run",
      args: { domain },
      result: "BroadcastMutationResult",
      run: async ({ domain }, _caller, node) => ({
        message: "Inactive broadcasts deleted",
        ids: await runningFor(node, domain).ctx.store.deleteInactive(domain),
      }),
    }),
  ];
}

/** A refusal with what it was about. */
function told(error: unknown, about: Readonly<Record<string, unknown>>): unknown {
  return error instanceof OperationError ? new OperationError(error.code, error.message, about) : error;
}
