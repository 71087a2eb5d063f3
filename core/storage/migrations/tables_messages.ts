// MongooseIM's tables of kept messages: archives, offline messages, inbox, markers.
import { bigint, boolean, bytes, int, oneOf, serial, type Table, text, varchar } from "../schema.ts";

/** Compared byte by byte in MySQL. */
const BINARY = "varchar(250) character set binary";

/**
 * Rows of indexes that find a message by its origin-id: one that has none is never looked for there, and an entry of an
 * index costs PostgreSQL as much as the row itself. MongooseIM's indexes hold all rows; its statements use these as well.
 */
const HAS_ORIGIN_ID = "origin_id IS NOT NULL";

export const MESSAGES: readonly Table[] = [
  {
    name: "mam_message",
    columns: {
      id: bigint({ mysql: "bigint unsigned" }),
      user_id: int({ mysql: "int unsigned" }),
      from_jid: varchar(250, { mysql: BINARY }),
      remote_bare_jid: varchar(250, { mysql: BINARY }),
      remote_resource: varchar(250, { mysql: BINARY }),
      direction: oneOf("mam_direction", ["I", "O"]),
      message: bytes({ mysql: "mediumblob" }),
      search_body: text({ nullable: true, mysql: "mediumtext" }),
      origin_id: varchar(undefined, { nullable: true, mysql: BINARY }),
      is_groupchat: boolean(),
    },
    primaryKey: ["user_id", "id"],
    indexes: [
      { name: "i_mam_message_username_jid_id", columns: ["user_id", "remote_bare_jid", "id"] },
      {
        name: "i_mam_message_username_jid_origin_id",
        columns: ["user_id", "remote_bare_jid", "origin_id"],
        where: HAS_ORIGIN_ID,
      },
    ],
    // A message costs SQLite a page of every index, twice: once in its log and once in the file. One index serves all.
    sqlite: {
      primaryKey: undefined,
      indexes: [{ name: "i_mam_message_user_id", columns: ["user_id", "id", "remote_bare_jid"], unique: true }],
    },
    mysql: {
      indexes: [
        { name: "i_mam_message_rem", columns: ["user_id", "remote_bare_jid", "id"] },
        {
          name: "i_mam_message_username_jid_origin_id",
          columns: ["user_id", "remote_bare_jid", "origin_id"],
        },
      ],
    },
    mysqlOptions: "PARTITION BY HASH(user_id) PARTITIONS 32",
  },
  {
    name: "mam_config",
    columns: {
      user_id: int({ mysql: "int unsigned" }),
      remote_jid: varchar(250, { mysql: BINARY }),
      behaviour: oneOf("mam_behaviour", ["A", "N", "R"]),
    },
    primaryKey: ["user_id", "remote_jid"],
  },
  {
    name: "mam_server_user",
    columns: { id: serial(), server: varchar(250, { mysql: BINARY }), user_name: varchar(250, { mysql: BINARY }) },
    primaryKey: ["id"],
    indexes: [{ name: "i_mam_server_user_name", columns: ["server", "user_name"], unique: true }],
    mysql: { indexes: [{ name: "uc_mam_server_user_name", columns: ["server", "user_name"], unique: true }] },
  },
  {
    name: "mam_muc_message",
    columns: {
      id: bigint({ mysql: "bigint unsigned" }),
      room_id: int({ mysql: "int unsigned" }),
      sender_id: int({ mysql: "int unsigned" }),
      nick_name: varchar(250),
      message: bytes({ mysql: "mediumblob" }),
      search_body: text({ nullable: true, mysql: "mediumtext" }),
      origin_id: varchar(undefined, { nullable: true, mysql: BINARY }),
    },
    primaryKey: ["room_id", "id"],
    indexes: [
      {
        name: "i_mam_muc_message_room_id_sender_id_origin_id",
        columns: ["room_id", "sender_id", "origin_id"],
        where: HAS_ORIGIN_ID,
      },
      { name: "i_mam_muc_message_sender_id", columns: ["sender_id"] },
    ],
  },
  {
    name: "offline_message",
    columns: {
      id: serial({ mysql: "bigint unsigned" }),
      timestamp: bigint({ mysql: "bigint unsigned" }),
      expire: bigint({ nullable: true, mysql: "bigint unsigned" }),
      server: varchar(250),
      username: varchar(250),
      from_jid: varchar(250),
      packet: text({ mysql: "mediumblob" }),
      permanent_fields: bytes({ nullable: true, mysql: "mediumblob" }),
    },
    primaryKey: ["id"],
    indexes: [{ name: "i_offline_message", columns: ["server", "username", "id"] }],
  },
  {
    name: "offline_markers",
    columns: { jid: varchar(250), thread: varchar(250), room: varchar(250), timestamp: bigint() },
    primaryKey: ["jid", "thread", "room"],
    indexes: [{ name: "i_offline_markers", columns: ["jid"] }],
  },
  {
    name: "inbox",
    columns: {
      luser: varchar(250),
      lserver: varchar(250),
      remote_bare_jid: varchar(250),
      msg_id: varchar(250, { nullable: true }),
      box: varchar(64, { default: "inbox" }),
      // A blob in MongooseIM, which a message of more than 64 KB does not fit.
      content: bytes({ mysql: "mediumblob" }),
      timestamp: bigint({ mysql: "bigint unsigned" }),
      muted_until: bigint({ nullable: true, default: 0 }),
      unread_count: int(),
    },
    primaryKey: ["lserver", "luser", "remote_bare_jid"],
    indexes: [
      { name: "i_inbox_timestamp", columns: ["lserver", "luser", "timestamp"] },
      { name: "i_inbox_us_box", columns: ["lserver", "luser", "box"] },
      { name: "i_inbox_box", columns: ["box"], where: "box = 'bin'" },
    ],
    mysql: {
      indexes: [
        { name: "i_inbox", columns: ["lserver", "luser", "timestamp"] },
        { name: "i_inbox_us_box", columns: ["lserver", "luser", "box"] },
        { name: "i_inbox_box", columns: ["box"] },
      ],
    },
  },
  {
    name: "smart_markers",
    columns: {
      lserver: varchar(250, { mysql: "varbinary(255)" }),
      luser: varchar(250, { mysql: "varbinary(1023)" }),
      to_jid: varchar(250, { mysql: "varbinary(1542)" }),
      thread: varchar(250, { mysql: "varbinary(250)" }),
      type: oneOf("chat_marker_type", ["R", "D", "A"]),
      msg_id: varchar(250, { mysql: "varbinary(250)" }),
      timestamp: bigint(),
    },
    primaryKey: ["lserver", "luser", "to_jid", "thread", "type"],
    indexes: [{ name: "i_smart_markers", columns: ["to_jid", "thread"] }],
  },
];
