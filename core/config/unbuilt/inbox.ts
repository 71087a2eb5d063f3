// Modules that remember where a user stands in conversations.
import { z } from "zod";
import { enumOf, iqdisc, matching, nonNegative, positiveOrInfinity, uniqueList } from "../types.ts";

const RESERVED_BOXES = ["all", "inbox", "archive", "bin"];

export const mod_inbox = () =>
  z.strictObject({
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
    backend: enumOf("rdbms", "rdbms_async").default("rdbms").describe("Where inboxes are kept"),
    bin_clean_after: nonNegative().default(1).describe("Hours between two emptyings of the bin"),
    bin_ttl: nonNegative().default(30).describe("Days an entry stays in the bin"),
    boxes: uniqueList(
      matching(
        (box) => box !== "" && !RESERVED_BOXES.includes(box),
        `it must be the name of a box other than ${RESERVED_BOXES.join(", ")}`,
      ),
    )
      .default([])
      .describe("Boxes besides inbox, archive and bin"),
    delete_domain_limit: positiveOrInfinity()
      .default(Number.POSITIVE_INFINITY)
      .describe("Rows deleted at once when a domain is removed"),
    groupchat: z.array(enumOf("muc", "muclight")).default(["muclight"]).describe("Kinds of rooms in the inbox"),
    iqdisc: iqdisc("no_queue"),
    max_result_limit: positiveOrInfinity().default(Number.POSITIVE_INFINITY).describe("Entries a page has at most"),
    remove_on_kicked: z.boolean().default(true).describe("Remove a room when the user is put out of it"),
    reset_markers: z
      .array(enumOf("received", "displayed", "acknowledged"))
      .default(["displayed"])
      .describe("Chat markers that mark a conversation as read"),
  });
