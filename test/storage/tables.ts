// Every table there is, and what becomes of the personal data in it. A table without an entry fails removal.test.ts.

export interface Kept {
  /** Whose store removes the rows of a user and of a domain: a feature, "accounts", or why nobody has to. */
  readonly user: string;
  readonly domain: string;
  /** The files of an export that its rows are in, or why they are in none. */
  readonly exported: readonly [string, ...string[]] | string;
}

const by = (feature: string, exported: Kept["exported"]): Kept => ({ user: feature, domain: feature, exported });
const nobodys = (why: string): Kept => ({ user: why, domain: why, exported: why });

const ACCOUNTS = "accounts";
const CLUSTER = "about the cluster";
const DOMAINS = "about a domain: core/domain deletes the rows";
const ROOMS = "of rooms, which this build does not have";

export const TABLES: Readonly<Record<string, Kept>> = {
  // Accounts
  users: by(ACCOUNTS, ["account"]),
  mongooseim_removals: {
    user: "the mark of a removal itself, taken away at its end by core/removal.ts",
    domain: "the mark of a removal itself, taken away at its end by core/removal.ts",
    exported: "there for accounts that are gone only",
  },
  last: by("mod_last", ["last"]),
  blocklist: by("mod_blocklist", ["blocklist"]),
  auth_token: by("mod_auth_token", ["auth_token"]),
  fast_auth_token: by("mod_fast_auth_token", ["fast_auth_token"]),
  mongooseim_invites: by("mod_invites", ["invites"]),
  mongooseim_abuse_reports: by("mod_spam_reporting", ["abuse_reports"]),
  mongooseim_announced: by("mod_service_admin", ["announced"]),
  mongooseim_announcements: {
    user: "the administrators'",
    domain: "mod_service_admin",
    exported: "the administrators'",
  },
  // Contacts and profiles
  rosterusers: by("mod_roster", ["roster"]),
  rostergroups: by("mod_roster", ["roster"]),
  roster_version: by("mod_roster", "the number of a version"),
  vcard: by("mod_vcard", ["vcard"]),
  vcard_search: by("mod_vcard", "the vCard's fields once more"),
  privacy_list: by("mod_privacy", ["privacy"]),
  privacy_list_data: by("mod_privacy", ["privacy"]),
  privacy_default_list: by("mod_privacy", ["privacy"]),
  private_storage: by("mod_private", ["private"]),
  // Messages
  offline_message: by("mod_offline", ["offline"]),
  offline_markers: by("mod_offline_chatmarkers", ["offline_markers"]),
  smart_markers: by("mod_smart_markers", ["smart_markers"]),
  mongooseim_held_stanzas: by("mod_stream_management", ["held_stanzas"]),
  mam_message: by("mod_mam", ["mam_pm"]),
  mam_config: by("mod_mam", ["mam_prefs"]),
  mam_server_user: by("mod_mam", "the user's name, with a number for it"),
  mam_muc_message: nobodys(ROOMS),
  inbox: by("mod_inbox", ["inbox"]),
  // Publish-subscribe
  pubsub_node: by("mod_pubsub", ["pubsub_nodes"]),
  pubsub_item: by("mod_pubsub", ["pubsub_items"]),
  pubsub_subscription: by("mod_pubsub", ["pubsub_subscriptions"]),
  mongooseim_pubsub_config: by("mod_pubsub", ["pubsub_nodes"]),
  mongooseim_pubsub_affiliation: by("mod_pubsub", ["pubsub_affiliations"]),
  mongooseim_pubsub_pending: by("mod_pubsub", ["pubsub_pending_subscriptions"]),
  pubsub_nodes: by("mod_pubsub_old", ["pubsub_nodes"]),
  pubsub_node_collections: by("mod_pubsub_old", "which nodes are in which; the nodes are exported"),
  pubsub_affiliations: by("mod_pubsub_old", ["pubsub_nodes"]),
  pubsub_items: by("mod_pubsub_old", ["pubsub_payloads"]),
  pubsub_last_item: by("mod_pubsub_old", "an item of pubsub_items once more"),
  pubsub_subscriptions: by("mod_pubsub_old", ["pubsub_subscriptions"]),
  event_pusher_push_subscription: nobodys("of mod_event_pusher, which this build does not have"),
  // Rooms
  muc_rooms: nobodys(ROOMS),
  muc_room_aff: nobodys(ROOMS),
  muc_registered: nobodys(ROOMS),
  muc_light_rooms: nobodys(ROOMS),
  muc_light_occupants: nobodys(ROOMS),
  muc_light_config: nobodys(ROOMS),
  muc_light_blocking: nobodys(ROOMS),
  // The service
  domain_settings: nobodys(DOMAINS),
  domain_admins: nobodys(DOMAINS),
  domain_events: nobodys("names of domains, deleted when they are old"),
  broadcast_jobs: {
    user: "the administrators', also those that bear a user's address",
    domain: "mod_broadcast",
    exported: "the administrators'",
  },
  broadcast_jobs_ownership: nobodys("goes with its row of broadcast_jobs"),
  broadcast_worker_state: nobodys("goes with its row of broadcast_jobs"),
  mongoose_cluster_id: nobodys(CLUSTER),
  discovery_nodes: nobodys(CLUSTER),
  mongooseim_message_ids: nobodys("which numbers were given to messages, whoever sent them"),
  mongooseim_migrations: nobodys("about the schema"),
};
