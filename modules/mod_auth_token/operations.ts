// Operations of the category "token", under MongooseIM's names.

import type { BareJid } from "../../core/jid.ts";
import { type Caller, defineOperation, OperationError, type OperationNode } from "../../core/operations.ts";
import type { TokenContext } from "./config.ts";
import { newTokens } from "./tokens.ts";

declare module "../../core/operations.ts" {
  interface ModuleInstances {
    mod_auth_token: TokenContext;
  }
}

function contextOf(node: OperationNode, user: BareJid): TokenContext {
  const running = node.instance("mod_auth_token", user.domain);
  if (running) return running;
  throw new OperationError("not_found", "Unknown domain", { domain: user.domain });
}

const notFound = (user: BareJid) => new OperationError("not_found", "User or token not found", { user: user.text });

async function request(node: OperationNode, user: BareJid): Promise<{ access: string; refresh: string }> {
  const ctx = contextOf(node, user);
  if (!(await node.accounts.exists(user))) throw notFound(user);
  return newTokens(ctx, user);
}

async function revoke(node: OperationNode, user: BareJid): Promise<string> {
  if (await contextOf(node, user).store.revoke(user)) return "Revoked";
  throw notFound(user);
}

function self(caller: Caller): BareJid {
  if (caller.kind !== "user") throw new TypeError("only users have tokens of their own");
  return caller.jid;
}

const HEAD = { category: "token", kind: "mutation", needs: ["mod_auth_token"] } as const;
const OF_USER = { args: { user: "JID!" }, scope: "domain", domainArgs: ["user"] } as const;

export const operations = [
  defineOperation({
    ...HEAD,
    ...OF_USER,
    name: "requestToken",
    description: "Make an access token and a refresh token for a user",
    result: "Token",
    run: ({ user }, _caller, node) => request(node, user.bare),
  }),
  defineOperation({
    ...HEAD,
    ...OF_USER,
    name: "revokeToken",
    description: "Make all refresh tokens of a user invalid",
    result: "String",
    run: ({ user }, _caller, node) => revoke(node, user.bare),
  }),
  defineOperation({
    ...HEAD,
    name: "requestToken",
    description: "Make an access token and a refresh token for you",
    args: {},
    result: "Token",
    scope: "user",
    run: (_args, caller, node) => request(node, self(caller)),
  }),
  defineOperation({
    ...HEAD,
    name: "revokeToken",
    description: "Make all your refresh tokens invalid",
    args: {},
    result: "String",
    scope: "user",
    run: (_args, caller, node) => revoke(node, self(caller)),
  }),
];
