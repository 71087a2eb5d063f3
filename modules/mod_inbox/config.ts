// The options of mod_inbox, what its parts are given, and the hooks that others may have a say by.

import { z } from "zod";
import { enumOf, iqdisc, matching, nonNegative, own, positiveOrInfinity, uniqueList } from "../../core/config/types.ts";
import type { BareJid } from "../../core/jid.ts";
import { asyncPoolMetrics } from "../../core/metrics/async-pool.ts";
import type { Iq, ModuleContext } from "../../core/module.ts";
import type { InboxResult } from "./entry.ts";
import type { InboxStore } from "./store.ts";

export const NS_INBOX = "erlang-solutions.com:xmpp:inbox:0";
export const NS_CONVERSATION = "erlang-solutions.com:xmpp:inbox:0#conversation";

/** Names with a meaning of their own; the last three are boxes, and there always. */
const RESERVED_BOXES = ["all", "inbox", "archive", "bin"];
/** Characters of a box's name: what the column holds. */
const MAX_BOX = 64;

export const config = z.strictObject({
  aff_changes: z.boolean().default(true).describe("Show changes of room affiliations"),
  async_writer: z
    .strictObject({
      // As MongooseIM sizes it: two writers for each processor.
      pool_size: nonNegative()
        .default(() => 2 * navigator.hardwareConcurrency)
        .describe("Writers at once"),
    })
    .prefault({})
    .describe("Writers of backend rdbms_async"),
  backend: enumOf("rdbms", "rdbms_async")
    .default("rdbms")
    .describe("Write what comes in one turn, or gather it while a write is under way"),
  bin_clean_after: nonNegative().default(1).describe("Hours between two emptyings of the bin; 0 for every second"),
  bin_ttl: nonNegative().default(30).describe("Days after its last message that an entry stays in the bin"),
  boxes: uniqueList(
    matching(
      (box) => box !== "" && box.length <= MAX_BOX && !RESERVED_BOXES.includes(box),
      `it must be the name of a box, at most ${MAX_BOX} characters, other than ${RESERVED_BOXES.join(", ")}`,
    ),
  )
    .default([])
    .describe("Boxes besides inbox, archive and bin"),
  delete_domain_limit: positiveOrInfinity()
    .default(Number.POSITIVE_INFINITY)
    .describe("Rows deleted at once when a domain is removed; a thousand when nothing is said"),
  groupchat: z.array(enumOf("muc", "muclight")).default(["muclight"]).describe("Kinds of rooms in the inbox"),
  iqdisc: iqdisc("no_queue"),
  max_result_limit: positiveOrInfinity().default(Number.POSITIVE_INFINITY).describe("Entries a page has at most"),
  max_user_conversations: own(
    positiveOrInfinity()
      .default(10_000)
      .describe("Conversations in a user's inbox; the one without a message for longest gives way to a new one"),
  ),
  remove_on_kicked: z.boolean().default(true).describe("Remove a room when the user is put out of it"),
  reset_markers: z
    .array(enumOf("received", "displayed", "acknowledged"))
    .default(["displayed"])
    .describe("Chat markers that mark a conversation as read"),
});
export type InboxConfig = z.output<typeof config>;

export const metrics = asyncPoolMetrics("inbox", (store: InboxStore) => store.waiting);

export type InboxContext = ModuleContext<InboxConfig, InboxStore, keyof typeof metrics>;

/** The names of all boxes of a host type. */
export const boxesOf = ({ boxes }: InboxConfig): readonly string[] => ["inbox", "archive", "bin", ...boxes];

declare module "../../core/hooks.ts" {
  interface FoldHooks {
    /** Entries that a user is about to be shown: children may be added to each. */
    extend_inbox_result: { acc: InboxResult[]; params: { iq: Iq } };
    /** Unread messages of a user in a conversation, with what has come so far; undefined without an inbox. */
    inbox_unread_count: { acc: number | undefined; params: { user: BareJid; remote: BareJid } };
  }
}
