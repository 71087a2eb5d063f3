// Category last: when users were seen, and what is to be done about those who come no more.

import { type BareJid, makeBare, parseBareJid } from "../../core/jid.ts";
import type { ModuleContext } from "../../core/module.ts";
import { defineOperation, OperationError, type OperationNode, runningIn, userOf } from "../../core/operations.ts";
import type { Last, LastStore } from "./store.ts";

declare module "../../core/operations.ts" {
  interface ModuleInstances {
    mod_last: ModuleContext<unknown, LastStore>;
  }
}

const MICRO = 1_000_000;
/** Accounts that are looked at in one query. */
const PAGE = 500;

interface OldUser {
  readonly jid: BareJid;
  /** Microseconds; absent for a user who has never been seen. */
  readonly timestamp?: number;
}

/** The store of the user's domain. Throws user_does_not_exist. */
async function storeOf(node: OperationNode, user: BareJid): Promise<LastStore> {
  const running = node.instance("mod_last", user.domain);
  if (running && (await node.accounts.exists(user))) return running.store;
  throw new OperationError("user_does_not_exist", `User ${user.text} does not exist`, { jid: user.text });
}

const activity = (user: BareJid, last: Last) => ({ user, timestamp: last.seconds * MICRO, status: last.status });

async function get(node: OperationNode, user: BareJid) {
  const last = await (await storeOf(node, user)).getLast(user);
  if (!last) {
    throw new OperationError("last_not_found", `The last activity of ${user.text} is not found`, { jid: user.text });
  }
  return activity(user, last);
}

/** Seconds since 1970 that the column holds, which has 32 bits. */
const MAX_SECONDS = 2_147_483_647;

async function set(node: OperationNode, user: BareJid, timestamp: number | undefined, status: string) {
  const last = { seconds: Math.floor((timestamp ?? node.now()) / MICRO), status };
  if (last.seconds < 0 || last.seconds > MAX_SECONDS) {
    throw new OperationError(
      "bad_timestamp",
      "Cannot set the last activity: the time must be from 1970-01-01T00:00:00Z to 2038-01-19T03:14:07Z",
      { jid: user.text },
    );
  }
  await (await storeOf(node, user)).setLastInfo(user, last);
  return activity(user, last);
}

/** Users without a session who were last seen before `timestamp`, or never. All domains when none is given. */
async function oldUsers(node: OperationNode, domain: string | undefined, timestamp: number): Promise<OldUser[]> {
  const found: OldUser[] = [];
  for (const one of domain === undefined ? await served(node) : [domain]) {
    const store = runningIn(node, "mod_last", one).store;
    for (let offset = 0; ; offset += PAGE) {
      const users = (await node.accounts.list(one, { limit: PAGE, offset })).map(parseBareJid);
      const seen = await store.secondsOf(
        one,
        users.map((u) => u.local),
      );
      for (const { local } of users) {
        const jid = makeBare(local, one);
        const seconds = seen.get(local);
        if (seconds !== undefined && seconds * MICRO >= timestamp) continue;
        if ((await node.sessions.of(jid)).length > 0) continue;
        found.push(seconds === undefined ? { jid } : { jid, timestamp: seconds * MICRO });
      }
      if (users.length < PAGE) break;
    }
  }
  return found;
}

/** Enabled domains for which this feature runs. */
async function served(node: OperationNode): Promise<string[]> {
  const domains = await node.domains.all();
  return domains
    .filter((d) => d.status === "ENABLED" && node.instance("mod_last", d.domain) !== undefined)
    .map((d) => d.domain);
}

const head = { category: "last", needs: ["mod_last"] } as const;

export const operations = [
  defineOperation({
    ...head,
    name: "getLast",
    kind: "query",
    description: "Get when a user was last seen, and the status then",
    args: { user: "JID!" },
    result: "LastActivity",
    scope: "domain",
    domainArgs: ["user"],
    run: ({ user }, _caller, node) => get(node, user.bare),
  }),
  defineOperation({
    ...head,
    name: "countActiveUsers",
    kind: "query",
    description: "Count the users of a domain who were seen after a time; now when it is left out",
    args: { domain: "DomainName!", timestamp: "DateTime" },
    result: "Int",
    scope: "domain",
    domainArgs: ["domain"],
    run: ({ domain, timestamp }, _caller, node) =>
      runningIn(node, "mod_last", domain).store.countActive(domain, Math.floor((timestamp ?? node.now()) / MICRO)),
  }),
  defineOperation({
    ...head,
    name: "listOldUsers",
    kind: "query",
    description: "List users, of one domain or of all, who have not been seen since a time",
    args: { domain: "DomainName", timestamp: "DateTime!" },
    result: "[OldUser!]",
    scope: "domain",
    domainArgs: ["domain"],
    run: ({ domain, timestamp }, _caller, node) => oldUsers(node, domain, timestamp),
  }),
  defineOperation({
    ...head,
    name: "setLast",
    kind: "mutation",
    description: "Set when a user was last seen, now when it is left out, and the status then",
    args: { user: "JID!", timestamp: "DateTime", status: "String!" },
    result: "LastActivity",
    scope: "domain",
    domainArgs: ["user"],
    run: ({ user, timestamp, status }, _caller, node) => set(node, user.bare, timestamp, status),
  }),
  defineOperation({
    ...head,
    name: "removeOldUsers",
    kind: "mutation",
    unawaited: true,
    description: "Remove users, of one domain or of all, who have not been seen since a time",
    args: { domain: "DomainName", timestamp: "DateTime!" },
    result: "[OldUser!]",
    scope: "domain",
    domainArgs: ["domain"],
    async run({ domain, timestamp }, _caller, node) {
      const users = await oldUsers(node, domain, timestamp);
      for (const { jid } of users) await node.accounts.remove(jid);
      return users;
    },
  }),
  defineOperation({
    ...head,
    name: "getLast",
    kind: "query",
    description: "Get when a user was last seen; yourself when none is given",
    args: { user: "JID" },
    result: "LastActivity",
    scope: "user",
    run: ({ user }, caller, node) => get(node, user?.bare ?? userOf(caller)),
  }),
  defineOperation({
    ...head,
    name: "setLast",
    kind: "mutation",
    description: "Set when you were last seen, now when it is left out, and your status then",
    args: { timestamp: "DateTime", status: "String!" },
    result: "LastActivity",
    scope: "user",
    run: ({ timestamp, status }, caller, node) => set(node, userOf(caller), timestamp, status),
  }),
];
