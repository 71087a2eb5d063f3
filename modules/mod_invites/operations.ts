// Operations of the category "invite". Ours, MongooseIM has none.

import { StanzaError } from "../../core/errors.ts";
import { type BareJid, makeBare } from "../../core/jid.ts";
import { enumType, type OutputOf, objectType } from "../../core/operations/language.ts";
import { defineOperation, OperationError, type OperationNode, runningIn, userOf } from "../../core/operations.ts";
import { type InviteContext, inviterOf, makeInvite, mayInvite, type Wish } from "./invite.ts";
import type { Invite as StoredInvite } from "./store.ts";

const InviteKind = enumType("InviteKind", "What an invitation is for: to become a contact, or to make an account", [
  "ROSTER",
  "ACCOUNT",
]);
const Invite = objectType("Invite", "An invitation that can be used", {
  id: "ID!",
  kind: "InviteKind!",
  inviter: "BareJID",
  username: "UserName",
  register: "Boolean!",
  subscribe: "Boolean!",
  uses: "Int!",
  expires: "DateTime!",
});
const NewInvite = objectType("NewInvite", "An invitation and its link, which is shown this once", {
  id: "ID!",
  uri: "String!",
  expires: "DateTime!",
});
const types = [InviteKind, Invite, NewInvite];

declare module "../../core/operations/language.ts" {
  interface NamedTypes {
    InviteKind: typeof InviteKind;
    Invite: typeof Invite;
    NewInvite: typeof NewInvite;
  }
}
declare module "../../core/operations.ts" {
  interface ModuleInstances {
    mod_invites: InviteContext;
  }
}

const MICRO = 1000;

const contextOf = (node: OperationNode, domain: string): InviteContext => runningIn(node, "mod_invites", domain);

const shown = (invite: StoredInvite) =>
  ({
    id: invite.id,
    kind: invite.kind === "account" ? "ACCOUNT" : "ROSTER",
    inviter: inviterOf(invite),
    username: invite.account === "" ? undefined : invite.account,
    register: invite.mayRegister,
    subscribe: invite.subscribe,
    uses: invite.uses,
    expires: invite.expiresAt * MICRO,
  }) as const;

async function make(ctx: InviteContext, wish: Wish) {
  try {
    const { invite, uri } = await makeInvite(ctx, wish);
    return { id: invite.id, uri, expires: invite.expiresAt * MICRO };
  } catch (error) {
    if (!(error instanceof StanzaError)) throw error;
    throw new OperationError(error.condition.replaceAll("-", "_"), error.text ?? "The invitation cannot be made so");
  }
}

async function revoke({ store }: InviteContext, domain: string, id: string, inviter?: string): Promise<string> {
  if (/^\d{1,18}$/.test(id) && (await store.remove(domain, BigInt(id), inviter))) return "Invitation revoked";
  throw new OperationError("invite_not_found", "There is no such invitation", { id });
}

async function mustExist(node: OperationNode, user: BareJid): Promise<void> {
  if (await node.accounts.exists(user)) return;
  throw new OperationError("user_not_found", `The user ${user.text} does not exist`, { user: user.text });
}

const HEAD = { category: "invite", needs: ["mod_invites"], types } as const;
const PAGE = { limit: "PosInt = 50", index: "NonNegInt = 0" } as const;
const OF_DOMAIN = { scope: "domain", domainArgs: ["domain"] } as const;

const adminOperations = [
  defineOperation({
    ...HEAD,
    ...OF_DOMAIN,
    name: "createInvite",
    kind: "mutation",
    description: "Make an invitation to make an account, as administrator or in the name of a user who gains a contact",
    args: { domain: "DomainName!", inviter: "UserName", username: "UserName", uses: "PosInt = 1", days: "PosInt" },
    result: "NewInvite",
    run: async ({ domain, inviter, username, uses, days }, _caller, node) => {
      const ctx = contextOf(node, domain);
      const user = inviter === undefined ? undefined : makeBare(inviter, domain);
      if (user !== undefined) await mustExist(node, user);
      const subscribe = user !== undefined;
      const wish = { domain, inviter: user, kind: "account", account: username, mayRegister: true, subscribe } as const;
      return make(ctx, { ...wish, uses, days });
    },
  }),
  defineOperation({
    ...HEAD,
    ...OF_DOMAIN,
    name: "listInvites",
    kind: "query",
    description: "List the invitations of a domain that can be used, or those of one of its users, the newest first",
    args: { domain: "DomainName!", inviter: "UserName", ...PAGE },
    result: "[Invite!]",
    run: async ({ domain, inviter, limit, index }, _caller, node): Promise<OutputOf<"[Invite!]">> => {
      const ctx = contextOf(node, domain);
      return (await ctx.store.list(domain, inviter, ctx.now(), limit, index)).map(shown);
    },
  }),
  defineOperation({
    ...HEAD,
    ...OF_DOMAIN,
    name: "revokeInvite",
    kind: "mutation",
    description: "Make an invitation of a domain invalid",
    args: { domain: "DomainName!", id: "ID!" },
    result: "String",
    run: ({ domain, id }, _caller, node) => revoke(contextOf(node, domain), domain, id),
  }),
];

const userOperations = [
  defineOperation({
    ...HEAD,
    name: "createInvite",
    kind: "mutation",
    description: "Invite somebody to become your contact, with an account here when you may",
    args: {},
    result: "NewInvite",
    scope: "user",
    run: (_args, caller, node) => {
      const inviter = userOf(caller);
      const ctx = contextOf(node, inviter.domain);
      if (!mayInvite(ctx, inviter, "roster")) throw new OperationError("not_allowed", "You may not invite");
      const mayRegister = mayInvite(ctx, inviter, "account");
      return make(ctx, { domain: inviter.domain, inviter, kind: "roster", mayRegister, subscribe: true });
    },
  }),
  defineOperation({
    ...HEAD,
    name: "listInvites",
    kind: "query",
    description: "List your invitations that can be used, the newest first",
    args: PAGE,
    result: "[Invite!]",
    scope: "user",
    run: async ({ limit, index }, caller, node): Promise<OutputOf<"[Invite!]">> => {
      const { local, domain } = userOf(caller);
      const ctx = contextOf(node, domain);
      return (await ctx.store.list(domain, local, ctx.now(), limit, index)).map(shown);
    },
  }),
  defineOperation({
    ...HEAD,
    name: "revokeInvite",
    kind: "mutation",
    description: "Make an invitation of yours invalid",
    args: { id: "ID!" },
    result: "String",
    scope: "user",
    run: ({ id }, caller, node) => {
      const { local, domain } = userOf(caller);
      return revoke(contextOf(node, domain), domain, id, local);
    },
  }),
];

export const operations = [...adminOperations, ...userOperations];
