// modules.mod_mam: archives of messages.
import { z } from "zod";
import { enumOf, erlangModule, nonNegative, positive, positiveOrInfinity, subdomainTemplate } from "../types.ts";

const backend = () => enumOf("rdbms", "cassandra", "elasticsearch");
const prefs = () =>
  enumOf("rdbms", "cassandra", "mnesia").optional().describe("Where archiving preferences are kept; none when not set");

// As MongooseIM sizes it: four writers for each processor.
const writers = () => 4 * navigator.hardwareConcurrency;

const asyncWriter = () =>
  z.strictObject({
    enabled: z.boolean().default(true).describe("Write in batches, aside from routing"),
    batch_size: nonNegative().default(30).describe("Messages in a batch"),
    flush_interval: nonNegative().default(2000).describe("Milliseconds a message waits for its batch at most"),
    pool_size: nonNegative().default(writers).describe("Batches written at once"),
  });

/** Options that `pm` and `muc` may set for themselves; what they do not set is as in mod_mam. */
const archive = () => ({
  archive_chat_markers: z.boolean().optional().describe("Archive chat markers too"),
  async_writer: asyncWriter().optional().describe("How messages are written"),
  backend: backend().optional().describe("Where the archive is"),
  cache_users: z.boolean().optional().describe("Keep archive owners in memory"),
  db_jid_format: erlangModule().optional().describe("How JIDs are stored"),
  db_message_format: erlangModule().optional().describe("How messages are stored"),
  default_result_limit: nonNegative().optional().describe("Messages a page has when none is asked for"),
  delete_domain_limit: positiveOrInfinity().optional().describe("Rows deleted at once when a domain is removed"),
  enforce_simple_queries: z.boolean().optional().describe("Never count the whole result"),
  extra_fin_element: erlangModule().optional().describe("What is added to the end of a result"),
  extra_lookup_params: erlangModule().optional().describe("What is added to a look-up"),
  full_text_search: z.boolean().optional().describe("Keep an index for searches of text"),
  is_archivable_message: erlangModule().optional().describe("Which messages are archived"),
  max_result_limit: nonNegative().optional().describe("Messages a page has at most"),
  message_retraction: z.boolean().optional().describe("Remove retracted messages (XEP-0424)"),
  no_stanzaid_element: z.boolean().optional().describe("Leave the archive's id out of messages"),
  send_message: erlangModule().optional().describe("How results are sent"),
  user_prefs_store: prefs(),
});

export const mod_mam = () =>
  z.strictObject({
    archive_chat_markers: z.boolean().default(false).describe("Archive chat markers too"),
    async_writer: asyncWriter().prefault({}).describe("How messages are written"),
    backend: backend().default("rdbms").describe("Where the archive is"),
    cache: z
      .strictObject({
        module: enumOf("internal", "mod_cache_users").default("internal").describe("Whose cache is used"),
        number_of_segments: positive().default(3).describe("Generations of the cache"),
        strategy: enumOf("fifo", "lru").default("fifo").describe("What is forgotten first"),
        time_to_live: positiveOrInfinity().default(480).describe("Life of a generation, minutes"),
      })
      .prefault({})
      .describe("Cache of archive owners"),
    cache_users: z.boolean().default(true).describe("Keep archive owners in memory"),
    db_jid_format: erlangModule().optional().describe("How JIDs are stored"),
    db_message_format: erlangModule().optional().describe("How messages are stored"),
    default_result_limit: nonNegative().default(50).describe("Messages a page has when none is asked for"),
    delete_domain_limit: positiveOrInfinity().optional().describe("Rows deleted at once when a domain is removed"),
    enforce_simple_queries: z.boolean().default(false).describe("Never count the whole result"),
    extra_fin_element: erlangModule().optional().describe("What is added to the end of a result"),
    extra_lookup_params: erlangModule().optional().describe("What is added to a look-up"),
    full_text_search: z.boolean().default(true).describe("Keep an index for searches of text"),
    is_archivable_message: erlangModule().default("mod_mam_utils").describe("Which messages are archived"),
    max_result_limit: nonNegative().default(50).describe("Messages a page has at most"),
    message_retraction: z.boolean().default(true).describe("Remove retracted messages (XEP-0424)"),
    no_stanzaid_element: z.boolean().default(false).describe("Leave the archive's id out of messages"),
    send_message: erlangModule().default("mod_mam_utils").describe("How results are sent"),
    user_prefs_store: prefs(),
    pm: z
      .strictObject({
        ...archive(),
        archive_groupchats: z.boolean().default(false).describe("Archive a user's room messages with the others"),
        same_mam_id_for_peers: z.boolean().default(false).describe("One id for both archives of a message"),
      })
      .optional()
      .describe("Archives of users"),
    muc: z
      .strictObject({
        ...archive(),
        host: subdomainTemplate().default("conference.@HOST@").describe("Domain of the rooms"),
      })
      .optional()
      .describe("Archives of rooms"),
  });
