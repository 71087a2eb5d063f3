// MongooseIM's tables of rooms: MUC and MUC Light.
import { bigint, bigserial, json, smallint, type Table, varchar } from "../schema.ts";

export const ROOMS: readonly Table[] = [
  {
    name: "muc_rooms",
    columns: { id: bigserial({ mysql: "serial" }), muc_host: varchar(250), room_name: varchar(250), options: json() },
    primaryKey: ["muc_host", "room_name"],
    indexes: [{ name: "", columns: ["id"], unique: true }],
  },
  {
    name: "muc_room_aff",
    columns: {
      room_id: bigint({ mysql: "bigint unsigned" }),
      luser: varchar(250),
      lserver: varchar(250),
      resource: varchar(250),
      aff: smallint(),
    },
    indexes: [{ name: "i_muc_room_aff_id", columns: ["room_id"] }],
    foreignKeys: [{ columns: ["room_id"], table: "muc_rooms", references: ["id"] }],
  },
  {
    name: "muc_registered",
    columns: { muc_host: varchar(250), luser: varchar(250), lserver: varchar(250), nick: varchar(250) },
    primaryKey: ["muc_host", "luser", "lserver"],
  },
  {
    name: "muc_light_rooms",
    columns: { id: bigserial(), luser: varchar(250), lserver: varchar(250), version: varchar(20) },
    primaryKey: ["lserver", "luser"],
    indexes: [{ name: "", columns: ["id"], unique: true }],
    mysql: {
      indexes: [
        { name: "uk_muc_light_rooms_id", columns: ["id"], unique: true },
        { name: "i_muc_light_rooms", columns: ["id"] },
      ],
    },
  },
  {
    name: "muc_light_occupants",
    columns: {
      room_id: bigint({ mysql: "bigint unsigned" }),
      luser: varchar(250),
      lserver: varchar(250),
      aff: smallint({ mysql: "tinyint unsigned" }),
    },
    indexes: [
      { name: "i_muc_light_occupants_id", columns: ["room_id"] },
      { name: "i_muc_light_occupants_us", columns: ["lserver", "luser"] },
    ],
    foreignKeys: [{ columns: ["room_id"], table: "muc_light_rooms", references: ["id"] }],
  },
  {
    name: "muc_light_config",
    columns: { room_id: bigint({ mysql: "bigint unsigned" }), opt: varchar(100), val: varchar(250) },
    indexes: [{ name: "i_muc_light_config", columns: ["room_id"] }],
    foreignKeys: [{ columns: ["room_id"], table: "muc_light_rooms", references: ["id"] }],
  },
  {
    name: "muc_light_blocking",
    columns: {
      luser: varchar(250),
      lserver: varchar(250),
      what: smallint({ mysql: "tinyint unsigned" }),
      who: varchar(500),
    },
    indexes: [{ name: "i_muc_light_blocking_su", columns: ["lserver", "luser"] }],
  },
];
