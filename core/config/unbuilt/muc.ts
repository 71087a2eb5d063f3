// modules.mod_muc and modules.mod_muc_light: rooms.
import { z } from "zod";
import {
  accessRule,
  domainName,
  enumOf,
  keyedList,
  nonEmpty,
  nonNegative,
  nonNegativeOrInfinity,
  poolName,
  positive,
  positiveOrInfinity,
  rule,
  secret,
  shaperName,
  subdomainTemplate,
} from "../types.ts";

const flag = (value: boolean, what: string) => z.boolean().default(value).describe(what);
const text = (what: string) => z.string().default("").describe(what);

const defaultRoom = () =>
  z
    .strictObject({
      affiliations: z
        .array(
          z.strictObject({
            user: nonEmpty().describe("User part of the JID"),
            server: domainName().describe("Domain of the JID"),
            resource: z.string().describe("Resource of the JID"),
            affiliation: nonEmpty().describe("Affiliation"),
          }),
        )
        .default([])
        .describe("Affiliations of a new room"),
      allow_change_subj: flag(true, "Participants may change the subject"),
      allow_multiple_sessions: flag(false, "A user may be there with several resources under one nick"),
      allow_private_messages: flag(true, "Occupants may send private messages"),
      allow_query_users: flag(true, "Occupants may send IQ requests to each other"),
      allow_user_invites: flag(false, "Occupants may invite others"),
      allow_visitor_nickchange: flag(true, "Visitors may change their nick"),
      allow_visitor_status: flag(true, "Visitors may send a status"),
      anonymous: flag(true, "Only moderators see JIDs"),
      description: text("Description"),
      max_users: positive().default(200).describe("Occupants at most"),
      maygetmemberlist: z.array(nonEmpty()).default([]).describe("Roles that may ask for the member list"),
      members_by_default: flag(true, "Who enters is a participant, not a visitor"),
      members_only: flag(false, "Only members may enter"),
      moderated: flag(true, "Visitors have no voice"),
      password: secret(z.string()).default("").describe("Password"),
      password_protected: flag(false, "Entering needs the password"),
      persistent: flag(false, "The room stays when it is empty"),
      public: flag(true, "The room is listed"),
      public_list: flag(true, "The list of occupants is public"),
      subject: text("Subject"),
      subject_author: text("Who set the subject"),
      title: text("Title"),
    })
    .prefault({})
    .describe("Configuration of a new room");

export const mod_muc = () =>
  z.strictObject({
    access: accessRule().default("all").describe("Access rule for the service"),
    access_admin: accessRule().default("none").describe("Access rule of the service's administrators"),
    access_create: accessRule().default("all").describe("Access rule for making rooms"),
    access_persistent: accessRule().default("all").describe("Access rule for making persistent rooms"),
    backend: enumOf("mnesia", "rdbms").default("mnesia").describe("Where rooms are kept"),
    default_room: defaultRoom(),
    hibernate_timeout: nonNegativeOrInfinity().default(90_000).describe("Milliseconds until a quiet room hibernates"),
    hibernated_room_check_interval: nonNegativeOrInfinity()
      .default(Number.POSITIVE_INFINITY)
      .describe("Milliseconds between two searches for hibernated rooms"),
    hibernated_room_timeout: nonNegativeOrInfinity()
      .default(Number.POSITIVE_INFINITY)
      .describe("Milliseconds until a hibernated room is unloaded"),
    history_size: nonNegative().default(20).describe("Messages shown to who enters"),
    host: subdomainTemplate().default("conference.@HOST@").describe("Domain of the rooms"),
    http_auth_pool: poolName().default("none").describe("Tag of the http pool that checks room passwords"),
    load_permanent_rooms_at_startup: flag(false, "Load all persistent rooms at start"),
    max_room_desc: nonNegativeOrInfinity().default(Number.POSITIVE_INFINITY).describe("Length of a description"),
    max_room_id: nonNegativeOrInfinity().default(Number.POSITIVE_INFINITY).describe("Length of a room's local part"),
    max_room_name: nonNegativeOrInfinity().default(Number.POSITIVE_INFINITY).describe("Length of a title"),
    max_user_conferences: nonNegative().default(10).describe("Rooms a user may be in"),
    max_users: positive().default(200).describe("Occupants any room may have"),
    max_users_admin_threshold: positive().default(5).describe("Places kept for administrators"),
    min_message_interval: nonNegative().default(0).describe("Seconds between two messages of an occupant"),
    min_presence_interval: nonNegative().default(0).describe("Seconds between two presences of an occupant"),
    online_backend: enumOf("mnesia", "cets").default("mnesia").describe("Where the list of loaded rooms is kept"),
    room_shaper: shaperName().default("none").describe("Shaper of a room"),
    user_message_shaper: shaperName().default("none").describe("Shaper of an occupant's messages"),
    user_presence_shaper: shaperName().default("none").describe("Shaper of an occupant's presences"),
  });

type Field = {
  field?: unknown;
  string_value?: unknown;
  integer_value?: unknown;
  boolean_value?: unknown;
  float_value?: unknown;
};

const VALUES = ["string_value", "integer_value", "boolean_value", "float_value"] as const;
const RESERVED: Record<string, (typeof VALUES)[number]> = {
  roomname: "string_value",
  all_can_configure: "boolean_value",
  all_can_invite: "boolean_value",
};

const valuesOf = (field: Field) => VALUES.filter((key) => field[key] !== undefined);

function reservedFits(field: Field): boolean {
  const values = valuesOf(field);
  const type = Object.hasOwn(RESERVED, String(field.field)) ? RESERVED[String(field.field)] : undefined;
  return type === undefined || values.length !== 1 || values[0] === type;
}

const configField = () =>
  rule(
    rule(
      z.strictObject({
        field: nonEmpty().describe("Name of the field"),
        string_value: z.string().optional().describe("Value of a new room, text"),
        integer_value: z.int().optional().describe("Value of a new room, a whole number"),
        boolean_value: z.boolean().optional().describe("Value of a new room, true or false"),
        float_value: z.number().optional().describe("Value of a new room, a number"),
        internal_key: nonEmpty().optional().describe("Name in the store; that of the field when not set"),
      }),
      (field) => valuesOf(field).length === 1,
      "it needs exactly one of string_value, integer_value, boolean_value and float_value",
    ),
    reservedFits,
    (field) => `the field "${field.field}" has a meaning of its own and needs ${RESERVED[String(field.field)]}`,
    "field",
  );

export const mod_muc_light = () =>
  z.strictObject({
    all_can_configure: flag(false, "Every occupant may change the configuration"),
    all_can_invite: flag(false, "Every occupant may add others"),
    allow_multiple_owners: flag(false, "A room may have several owners"),
    backend: enumOf("mnesia", "rdbms").default("mnesia").describe("Where rooms are kept"),
    blocking: flag(true, "Users may block rooms and each other"),
    cache_affs: z
      .strictObject({
        module: enumOf("internal", "mod_cache_users").default("internal").describe("Whose cache is used"),
        number_of_segments: positive().default(3).describe("Generations of the cache"),
        strategy: enumOf("fifo", "lru").default("fifo").describe("What is forgotten first"),
        time_to_live: positiveOrInfinity().default(2).describe("Life of a generation, minutes"),
      })
      .optional()
      .describe("Cache of affiliations; none without this table"),
    config_schema: keyedList(configField(), "field")
      .default([
        { field: "roomname", string_value: "Untitled", internal_key: "roomname" },
        { field: "subject", string_value: "", internal_key: "subject" },
      ])
      .describe("Fields of a room's configuration"),
    equal_occupants: flag(false, "Rooms have no owners"),
    host: subdomainTemplate().default("muclight.@HOST@").describe("Domain of the rooms"),
    max_occupants: positiveOrInfinity().default(Number.POSITIVE_INFINITY).describe("Occupants of a room at most"),
    promote_on_last_owner_leave: flag(true, "A member becomes owner when the last owner leaves"),
    rooms_in_rosters: flag(false, "Show a user's rooms in the roster"),
    rooms_per_page: positiveOrInfinity().default(10).describe("Rooms on a page of the list"),
    rooms_per_user: positiveOrInfinity().default(Number.POSITIVE_INFINITY).describe("Rooms a user may be in"),
  });
