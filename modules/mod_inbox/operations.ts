// Category inbox: emptying bins.

import type { BareJid } from "../../core/jid.ts";
import { defineOperation, OperationError, type OperationNode, runningIn, userOf } from "../../core/operations.ts";
import { ANY_TIME } from "./bin.ts";
import type { InboxContext } from "./config.ts";

declare module "../../core/operations.ts" {
  interface ModuleInstances {
    mod_inbox: InboxContext;
  }
}

const DAY = 86_400_000_000;

/** Entries whose last message is older than so many days; all when none is given, whatever a clock said of them. */
const before = (node: OperationNode, days: number | null | undefined): number =>
  days == null ? ANY_TIME : node.now() - days * DAY;

async function ofUser(node: OperationNode, user: BareJid, days: number | null | undefined): Promise<number> {
  const { store } = runningIn(node, "mod_inbox", user.domain);
  if (await node.accounts.exists(user)) return store.bin.emptyOfUser(user, before(node, days));
  throw new OperationError("user_does_not_exist", `User ${user.text} does not exist`, { jid: user.text });
}

async function ofHostType(node: OperationNode, hostType: string, days: number | null | undefined): Promise<number> {
  if (!node.domains.hostTypes().includes(hostType)) {
    throw new OperationError("host_type_not_found", "Host type not found", { hostType });
  }
  const domains = await node.domains.ofHostType(hostType);
  const until = before(node, days);
  let gone = 0;
  for (const domain of domains)
    gone += (await node.instance("mod_inbox", domain)?.store.bin.emptyOfDomain(domain, until)) ?? 0;
  return gone;
}

const head = { category: "inbox", kind: "mutation", result: "Int", needs: ["mod_inbox"] } as const;

export const operations = [
  defineOperation({
    ...head,
    name: "flushUserBin",
    description: "Empty a user's bin of all entries, or of those older than a number of days",
    args: { user: "JID!", days: "PosInt" },
    scope: "domain",
    domainArgs: ["user"],
    run: ({ user, days }, _caller, node) => ofUser(node, user.bare, days),
  }),
  defineOperation({
    ...head,
    name: "flushDomainBin",
    description: "Empty the bins of a domain of all entries, or of those older than a number of days",
    args: { domain: "DomainName!", days: "PosInt" },
    scope: "domain",
    domainArgs: ["domain"],
    run: ({ domain, days }, _caller, node) =>
      runningIn(node, "mod_inbox", domain).store.bin.emptyOfDomain(domain, before(node, days)),
  }),
  defineOperation({
    ...head,
    name: "flushGlobalBin",
    description: "Empty the bins of a host type of all entries, or of those older than a number of days",
    args: { hostType: "String!", days: "PosInt" },
    scope: "global",
    hostTypeArgs: ["hostType"],
    run: ({ hostType, days }, _caller, node) => ofHostType(node, hostType, days),
  }),
  defineOperation({
    ...head,
    name: "flushBin",
    description: "Empty your bin of all entries, or of those older than a number of days",
    args: { days: "PosInt" },
    scope: "user",
    run: ({ days }, caller, node) => ofUser(node, userOf(caller), days),
  }),
];
