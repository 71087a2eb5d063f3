// Category stanza: the newest messages of a user's archive.

import type { Jid } from "../../core/jid.ts";
import { externalId, idsAt, microsOfId } from "../../core/message-id.ts";
import type { ModuleContext } from "../../core/module.ts";
import { defineOperation, OperationError, type OperationNode, userOf } from "../../core/operations.ts";
import type { ArchiveBackend } from "./backend.ts";

/** What operations are given of the archive of users. */
export interface AskedByOperations {
  readonly pm: { readonly backend: ArchiveBackend; readonly config: { readonly max_result_limit: number } } | undefined;
}

declare module "../../core/operations.ts" {
  interface ModuleInstances {
    mod_mam: ModuleContext<unknown, AskedByOperations>;
  }
}

/** Messages when nobody says how many. */
const LIMIT = 50;

interface Wanted {
  readonly with?: Jid | undefined;
  readonly limit?: number | null | undefined;
  /** Microseconds since 1970. */
  readonly before?: number | undefined;
}

async function lastMessages(node: OperationNode, user: Jid, { with: remote, limit, before }: Wanted) {
  const running = node.instance("mod_mam", user.domain);
  // What runs without archives of users is refused before.
  const pm = running?.store.pm;
  if (pm === undefined) throw new OperationError("unknown_user", "User's domain does not exist", { jid: user.text });
  const max = Math.min(limit ?? LIMIT, pm.config.max_result_limit);
  const toId = before === undefined ? undefined : idsAt(before).highest;
  if (toId !== undefined && toId < 0n) return { stanzas: [], limit: max };
  const { messages } = await pm.backend.lookup(
    { local: user.local, domain: user.domain },
    { ...(remote !== undefined && { with: remote }), ...(toId !== undefined && { toId }) },
    { dir: "before", max, count: false },
  );
  const stanzas = messages.map(({ id, from, stanza }) => ({
    sender: from,
    timestamp: microsOfId(id),
    stanza_id: externalId(id),
    stanza,
  }));
  return { stanzas, limit: max };
}

const head = {
  category: "stanza",
  name: "getLastMessages",
  kind: "query",
  result: "StanzasPayload",
  needs: ["mod_mam_pm"],
} as const;

export const operations = [
  defineOperation({
    ...head,
    description: "Get the newest messages that a user has sent or got, of all or with somebody, until a time",
    args: { caller: "JID!", with: "JID", limit: "PosInt = 50", before: "DateTime" },
    scope: "domain",
    domainArgs: ["caller"],
    async run({ caller, ...wanted }, _caller, node) {
      if (!(await node.accounts.exists(caller.bare))) {
        throw new OperationError("unknown_user", "User does not exist", { jid: caller.text });
      }
      return lastMessages(node, caller, wanted);
    },
  }),
  defineOperation({
    ...head,
    description: "Get the newest messages that you have sent or got, of all or with somebody, until a time",
    args: { with: "JID", limit: "PosInt = 50", before: "DateTime" },
    scope: "user",
    run: (wanted, caller, node) => lastMessages(node, userOf(caller), wanted),
  }),
];
