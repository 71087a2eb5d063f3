// Category session: who is connected, and how to end it.

import { type BareJid, isFull } from "../jid.ts";
import { defineOperation, OperationError, type OperationNode, type SessionInfo, userOf } from "../operations.ts";
import type { OutputOf } from "./language.ts";

const KICKED = "Kicked by administrator";

async function checkDomain(domain: string | undefined, node: OperationNode): Promise<void> {
  if (domain === undefined || (await node.domains.hostTypeOf(domain)) !== undefined) return;
  throw new OperationError("domain_not_found", "Domain not found", { domain });
}

async function checkUser(user: BareJid, node: OperationNode): Promise<void> {
  if ((await node.domains.hostTypeOf(user.domain)) === undefined) {
    throw new OperationError("user_not_found", "User's domain does not exist", { jid: user.text });
  }
  if (!(await node.accounts.exists(user))) {
    throw new OperationError("user_not_found", "Given user does not exist", { jid: user.text });
  }
}

/** Sessions by resource, so that numbers given to getUserResource stay the same between calls. */
async function sorted(user: BareJid, node: OperationNode): Promise<readonly SessionInfo[]> {
  const sessions = await node.sessions.of(user);
  return sessions.toSorted((a, b) => (a.jid.resource < b.jid.resource ? -1 : 1));
}

async function sessionsOf(user: BareJid, node: OperationNode): Promise<readonly SessionInfo[]> {
  await checkUser(user, node);
  return sorted(user, node);
}

const describeSession = (session: SessionInfo): OutputOf<"Session!"> => ({
  user: session.jid,
  connection: session.connection,
  ip: session.ip,
  port: session.port,
  priority: session.priority,
  node: session.node,
  uptime: Math.trunc(session.uptime),
});

async function withStatus(domain: string | undefined, status: string, node: OperationNode) {
  await checkDomain(domain, node);
  return (await node.sessions.list(domain)).filter((session) => session.presence.show === status);
}

type Kicked = OutputOf<"KickUserResult!">;

/** Closes all sessions of a user. */
export async function kickAll(user: BareJid, reason: string | undefined, node: OperationNode): Promise<Kicked[]> {
  const results: Kicked[] = [];
  for (const { jid } of await sessionsOf(user, node)) {
    // A session may end by itself between the listing and the kick.
    results.push(
      (await node.sessions.kick(jid, reason || KICKED))
        ? { jid, kicked: true, message: "Session kicked" }
        : { jid, kicked: false, code: "no_session", message: "No active session" },
    );
  }
  return results;
}

const listSessions = defineOperation({
  category: "session",
  name: "listSessions",
  kind: "query",
  description: "List the sessions of a domain, or of all domains",
  args: { domain: "DomainName" },
  result: "[Session!]",
  scope: "domain",
  domainArgs: ["domain"],
  async run({ domain }, _caller, node) {
    await checkDomain(domain, node);
    return (await node.sessions.list(domain)).map(describeSession);
  },
});

const countSessions = defineOperation({
  category: "session",
  name: "countSessions",
  kind: "query",
  description: "Count the sessions of a domain, or of all domains",
  args: { domain: "DomainName" },
  result: "Int",
  scope: "domain",
  domainArgs: ["domain"],
  async run({ domain }, _caller, node) {
    await checkDomain(domain, node);
    return node.sessions.count(domain);
  },
});

const listUserSessions = defineOperation({
  category: "session",
  name: "listUserSessions",
  kind: "query",
  description: "List the sessions of a user",
  args: { user: "JID!" },
  result: "[Session!]",
  scope: "domain",
  domainArgs: ["user"],
  run: async ({ user }, _caller, node) => (await sessionsOf(user.bare, node)).map(describeSession),
});

const countUserResources = defineOperation({
  category: "session",
  name: "countUserResources",
  kind: "query",
  description: "Count the sessions of a user",
  args: { user: "JID!" },
  result: "Int",
  scope: "domain",
  domainArgs: ["user"],
  run: async ({ user }, _caller, node) => (await sessionsOf(user.bare, node)).length,
});

const getUserResource = defineOperation({
  category: "session",
  name: "getUserResource",
  kind: "query",
  description: "Name the resource of a user's session by its number, beginning with 1",
  args: { user: "JID!", number: "PosInt!" },
  result: "ResourceName",
  scope: "domain",
  domainArgs: ["user"],
  async run({ user, number }, _caller, node) {
    const session = (await sessionsOf(user.bare, node))[number - 1];
    if (session) return session.jid.resource;
    const extensions = { user: user.text, number };
    throw new OperationError("wrong_res_number", `Wrong resource number: ${number}`, extensions);
  },
});

const listUsersWithStatus = defineOperation({
  category: "session",
  name: "listUsersWithStatus",
  kind: "query",
  description: "List the sessions whose presence is available, away, chat, dnd or xa",
  args: { domain: "DomainName", status: "NonEmptyString!" },
  result: "[UserStatus!]",
  scope: "domain",
  domainArgs: ["domain"],
  async run({ domain, status }, _caller, node) {
    const sessions = await withStatus(domain, status, node);
    return sessions.map(({ jid, priority, presence }) => ({ user: jid, priority, text: presence.status }));
  },
});

const countUsersWithStatus = defineOperation({
  category: "session",
  name: "countUsersWithStatus",
  kind: "query",
  description: "Count the sessions whose presence is available, away, chat, dnd or xa",
  args: { domain: "DomainName", status: "NonEmptyString!" },
  result: "Int",
  scope: "domain",
  domainArgs: ["domain"],
  run: async ({ domain, status }, _caller, node) => (await withStatus(domain, status, node)).length,
});

const kickUserSession = defineOperation({
  category: "session",
  name: "kickUserSession",
  kind: "mutation",
  description: "Close a session",
  args: { user: "FullJID!", reason: "String" },
  result: "KickUserResult",
  scope: "domain",
  domainArgs: ["user"],
  async run({ user, reason }, _caller, node) {
    await checkUser(user.bare, node);
    if (await node.sessions.kick(user, reason || KICKED)) {
      return { jid: user, kicked: true, message: "Session kicked" };
    }
    throw new OperationError("no_session", "No active session", { jid: user.text });
  },
});

const kickUser = defineOperation({
  category: "session",
  name: "kickUser",
  kind: "mutation",
  description: "Close all sessions of a user",
  args: { user: "BareJID!", reason: "String" },
  result: "[KickUserResult!]",
  scope: "domain",
  domainArgs: ["user"],
  run: ({ user, reason }, _caller, node) => kickAll(user, reason, node),
});

const setPresence = defineOperation({
  category: "session",
  name: "setPresence",
  kind: "mutation",
  description: "Set the presence of a session, as if its client had sent it",
  args: { user: "JID!", type: "PresenceType!", show: "PresenceShow", status: "String", priority: "Int" },
  result: "SessionPayload",
  scope: "domain",
  domainArgs: ["user"],
  async run({ user, type, show, status, priority }, _caller, node) {
    if (!isFull(user)) {
      const message = "The resource is empty. You need to provide a full JID";
      throw new OperationError("empty_resource", message, { jid: user.text });
    }
    await checkUser(user.bare, node);
    const presence = { type: type.toLowerCase(), show: show?.toLowerCase(), status, priority };
    if (!(await node.sessions.setPresence(user, presence))) {
      throw new OperationError("no_session", "No active session", { jid: user.text });
    }
    return { jid: user, message: "Presence set successfully" };
  },
});

const listResources = defineOperation({
  category: "session",
  name: "listResources",
  kind: "query",
  description: "List the resources of your sessions",
  args: {},
  result: "[ResourceName!]",
  scope: "user",
  run: async (_args, caller, node) => (await sorted(userOf(caller), node)).map(({ jid }) => jid.resource),
});

const countResources = defineOperation({
  category: "session",
  name: "countResources",
  kind: "query",
  description: "Count your sessions",
  args: {},
  result: "Int",
  scope: "user",
  run: async (_args, caller, node) => (await node.sessions.of(userOf(caller))).length,
});

const listOwnSessions = defineOperation({
  category: "session",
  name: "listSessions",
  kind: "query",
  description: "List your sessions",
  args: {},
  result: "[Session!]",
  scope: "user",
  run: async (_args, caller, node) => (await sorted(userOf(caller), node)).map(describeSession),
});

export const sessionOperations = [
  listSessions,
  countSessions,
  listUserSessions,
  countUserResources,
  getUserResource,
  listUsersWithStatus,
  countUsersWithStatus,
  kickUserSession,
  kickUser,
  setPresence,
  listResources,
  countResources,
  listOwnSessions,
];
