// modules.mod_mam: options, and what they come to for one kind of archive.
import { z } from "zod";
import {
  enumOf,
  foreignModule,
  inert,
  nonNegative,
  own,
  positive,
  positiveOrInfinity,
  rule,
  subdomainTemplate,
  withoutYet,
} from "../../core/config/types.ts";
import { JID_FORMATS } from "./codecs/jid.ts";
import { MESSAGE_FORMATS } from "./codecs/message.ts";
import { searchIndex } from "./search/option.ts";

const backend = () => withoutYet(enumOf("rdbms", "cassandra", "elasticsearch"), "rdbms", "cassandra", "elasticsearch");
const prefs = () =>
  withoutYet(enumOf("rdbms", "cassandra", "mnesia"), "rdbms", "cassandra")
    .optional()
    .describe("Where archiving preferences are kept: beside the archive with either; nobody has any when not set");

// As MongooseIM sizes it: four writers for each processor.
const writers = () => 4 * navigator.hardwareConcurrency;

const asyncWriter = () =>
  z.strictObject({
    enabled: z.boolean().default(true).describe("Write in batches, aside from routing"),
    batch_size: nonNegative()
      .default(30)
      .describe("Messages that are worth a batch of their own while others are being written"),
    flush_interval: nonNegative()
      .default(2000)
      .describe("Longest wait of a message for the batch before its own, in milliseconds"),
    pool_size: nonNegative().default(writers).describe("Batches written at once"),
  });

const jidFormat = () => enumOf(...JID_FORMATS).optional();
const messageFormat = () => enumOf(...MESSAGE_FORMATS).optional();
const JIDS = "How JIDs are stored: mam_jid_mini when not set (mam_jid_rfc for rooms)";
const MESSAGES =
  "How messages are stored: mam_message_xml when not set, which costs least; MongooseIM's own default is mam_message_compressed_eterm. Every format is read, whatever is set";

/** Options that `pm` and `muc` may set for themselves; what they do not set is as in mod_mam. */
const archive = () => ({
  archive_chat_markers: z.boolean().optional().describe("Archive chat markers too"),
  async_writer: asyncWriter().optional().describe("How messages are written"),
  backend: backend().optional().describe("Where the archive is"),
  cache_users: z.boolean().optional().describe("Keep archive owners in memory"),
  db_jid_format: jidFormat().describe(JIDS),
  db_message_format: messageFormat().describe(MESSAGES),
  default_result_limit: nonNegative().optional().describe("Messages a page has when none is asked for"),
  delete_domain_limit: positiveOrInfinity().optional().describe("Rows deleted at once when a domain is removed"),
  enforce_simple_queries: z.boolean().optional().describe("Never count the whole result"),
  extra_fin_element: foreignModule().optional().describe("What is added to the end of a result"),
  extra_lookup_params: foreignModule().optional().describe("What is added to a look-up"),
  full_text_search: z.boolean().optional().describe("Keep the text of messages for searches"),
  is_archivable_message: foreignModule("mod_mam_utils").optional().describe("Which messages are archived"),
  max_prefs_jids: own(positive()).optional().describe("JIDs that a user's archiving preferences may name"),
  max_result_limit: nonNegative().optional().describe("Messages a page has at most"),
  message_retraction: z.boolean().optional().describe("Remove retracted messages (XEP-0424)"),
  no_stanzaid_element: z.boolean().optional().describe("Leave the archive's id out of messages"),
  search_index: searchIndex().optional(),
  send_message: foreignModule("mod_mam_utils").optional().describe("How results are sent"),
  user_prefs_store: prefs(),
});

const wholeConfig = z.strictObject({
  archive_chat_markers: z.boolean().default(false).describe("Archive chat markers too"),
  async_writer: asyncWriter().prefault({}).describe("How messages are written"),
  backend: backend().default("rdbms").describe("Where the archive is"),
  cache: inert(
    z.strictObject({
      module: enumOf("internal", "mod_cache_users").default("internal").describe("Whose cache is used"),
      number_of_segments: positive().default(3).describe("Generations of the cache"),
      strategy: enumOf("fifo", "lru").default("fifo").describe("What is forgotten first"),
      time_to_live: positiveOrInfinity().default(480).describe("Life of a generation, minutes"),
    }),
    "the numbers of 50,000 owners are remembered, whatever their age; cache_users switches that off",
  )
    .prefault({})
    .describe("Cache of archive owners"),
  cache_users: z.boolean().default(true).describe("Keep archive owners in memory"),
  db_jid_format: jidFormat().describe(JIDS),
  db_message_format: messageFormat().describe(MESSAGES),
  default_result_limit: nonNegative().default(50).describe("Messages a page has when none is asked for"),
  delete_domain_limit: positiveOrInfinity().optional().describe("Rows deleted at once when a domain is removed"),
  enforce_simple_queries: z.boolean().default(false).describe("Never count the whole result"),
  extra_fin_element: foreignModule().optional().describe("What is added to the end of a result"),
  extra_lookup_params: foreignModule().optional().describe("What is added to a look-up"),
  full_text_search: z.boolean().default(true).describe("Keep the text of messages for searches"),
  is_archivable_message: foreignModule("mod_mam_utils")
    .default("mod_mam_utils")
    .describe("Which messages are archived"),
  max_prefs_jids: own(positive()).default(1000).describe("JIDs that a user's archiving preferences may name"),
  max_result_limit: nonNegative().default(50).describe("Messages a page has at most"),
  message_retraction: z.boolean().default(true).describe("Remove retracted messages (XEP-0424)"),
  no_stanzaid_element: z.boolean().default(false).describe("Leave the archive's id out of messages"),
  search_index: searchIndex().default("like"),
  send_message: foreignModule("mod_mam_utils").default("mod_mam_utils").describe("How results are sent"),
  user_prefs_store: prefs(),
  pm: z
    .strictObject({
      ...archive(),
      archive_groupchats: z.boolean().default(false).describe("Archive a user's room messages with the others"),
      same_mam_id_for_peers: z.boolean().default(false).describe("One id for both archives of a message"),
    })
    .optional()
    .describe("Archives of users"),
  muc: inert(
    z.strictObject({
      ...archive(),
      host: subdomainTemplate().default("conference.@HOST@").describe("Domain of the rooms"),
    }),
    "rooms are not in this build, and have no archives",
  )
    .optional()
    .describe("Archives of rooms"),
});

const indexed = rule(
  wholeConfig,
  ({ search_index, full_text_search }) => search_index !== "index" || full_text_search !== false,
  "it is only with full_text_search = true",
  "search_index",
);

/** The same of what the archives of users set for themselves, beside what they take over. */
export const config = rule(
  indexed,
  ({ search_index, full_text_search, pm }) =>
    pm?.search_index === undefined && pm?.full_text_search === undefined
      ? true
      : (pm.search_index ?? search_index) !== "index" || (pm.full_text_search ?? full_text_search) !== false,
  'search_index = "index" is only with full_text_search = true',
  "pm",
);

export type MamConfig = z.output<typeof config>;
/** Options of one kind of archive, as they are in force. */
export type ArchiveConfig = Omit<MamConfig, "pm" | "muc" | "cache">;
export type PmConfig = ArchiveConfig &
  Pick<NonNullable<MamConfig["pm"]>, "archive_groupchats" | "same_mam_id_for_peers">;

/** The options of the archives of users; undefined when there are none. */
export function pmConfig({ pm, muc: _, cache: __, ...common }: MamConfig): PmConfig | undefined {
  if (pm === undefined) return undefined;
  const given = Object.fromEntries(Object.entries(pm).filter(([, value]) => value !== undefined)) as typeof pm;
  return { ...common, ...given } as PmConfig;
}
