// Category blocklist: who may not log in.

import { type BareJid, makeBare } from "../../core/jid.ts";
import { objectType } from "../../core/operations/language.ts";
import { defineOperation, OperationError, type OperationNode, runningIn } from "../../core/operations.ts";
import type { BlocklistContext } from "./index.ts";
import type { BlocklistStore } from "./store.ts";

const types = {
  BlockedUser: objectType("BlockedUser", "A user who may not log in, and why", { jid: "JID!", reason: "String" }),
} as const;

type Types = typeof types;

declare module "../../core/operations/language.ts" {
  interface NamedTypes extends Types {}
}
declare module "../../core/operations.ts" {
  interface ModuleInstances {
    mod_blocklist: BlocklistContext;
  }
}

/** What a session is told that ends, where no reason is given. */
const KICKED = "Kicked by administrator";

/** Throws domain_not_found. */
const storeOf = (node: OperationNode, domain: string): BlocklistStore => runningIn(node, "mod_blocklist", domain).store;

async function add(node: OperationNode, user: BareJid, reason: string | undefined): Promise<boolean> {
  const store = storeOf(node, user.domain);
  if (!(await node.accounts.exists(user))) {
    throw new OperationError("user_not_found", "Given user does not exist", { jid: user.text });
  }
  await store.block(user, reason);
  for (const { jid } of await node.sessions.of(user)) await node.sessions.kick(jid, reason ?? KICKED);
  return true;
}

const head = { category: "blocklist", needs: ["mod_blocklist"], scope: "domain" } as const;

export const operations = [
  defineOperation({
    ...head,
    name: "userCount",
    kind: "query",
    description: "Count the users of a domain who may not log in",
    args: { domain: "DomainName!" },
    result: "Int",
    domainArgs: ["domain"],
    run: ({ domain }, _caller, node) => storeOf(node, domain).count(domain),
  }),
  defineOperation({
    ...head,
    name: "listBlockedUsers",
    kind: "query",
    description: "List the users of a domain who may not log in",
    args: {
      domain: "DomainName!",
      limit: { type: "PosInt", description: "At most this many users; all when left out" },
      index: { type: "NonNegInt", description: "Users to leave out at the beginning; none when left out" },
    },
    result: "[BlockedUser!]",
    domainArgs: ["domain"],
    types: Object.values(types),
    async run({ domain, limit, index }, _caller, node) {
      const entries = await storeOf(node, domain).list(domain, limit, index ?? 0);
      return entries.map(({ user, reason }) => ({ jid: makeBare(user, domain), reason }));
    },
  }),
  defineOperation({
    ...head,
    name: "addUser",
    kind: "mutation",
    description: "Keep a user from logging in and end his sessions; one who is kept already gets the new reason",
    args: { user: "JID!", reason: "NonEmptyString" },
    result: "Boolean",
    domainArgs: ["user"],
    run: ({ user, reason }, _caller, node) => add(node, user.bare, reason),
  }),
  defineOperation({
    ...head,
    name: "removeUser",
    kind: "mutation",
    description: "Let a user log in again; false when nothing kept him from it",
    args: { user: "JID!" },
    result: "Boolean",
    domainArgs: ["user"],
    run: ({ user }, _caller, node) => storeOf(node, user.domain).unblock(user.bare),
  }),
];
