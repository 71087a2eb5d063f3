// Modules of login and of accounts.
import { z } from "zod";
import {
  enumOf,
  filename,
  iqdisc,
  keyedList,
  nonEmpty,
  nonNegative,
  positive,
  positiveOrInfinity,
  rule,
} from "../types.ts";

const period = (value: number, unit: "days" | "hours", what: string) =>
  z
    .strictObject({
      value: nonNegative().describe("How many of the unit"),
      unit: enumOf("days", "hours", "minutes", "seconds").describe("Unit of time"),
    })
    .default({ value, unit })
    .describe(what);

export const mod_auth_token = () =>
  z.strictObject({
    backend: enumOf("rdbms").default("rdbms").describe("Where tokens are kept"),
    iqdisc: iqdisc("no_queue"),
    validity_period: z
      .strictObject({
        access: period(1, "hours", "Life of an access token"),
        refresh: period(25, "days", "Life of a refresh token"),
      })
      .prefault({})
      .describe("Life of tokens"),
  });

export const mod_fast_auth_token = () =>
  z.strictObject({
    backend: enumOf("rdbms").default("rdbms").describe("Where tokens are kept"),
    validity_period: z
      .strictObject({
        access: period(3, "days", "Life of a token"),
        rotate_before_expire: period(6, "hours", "How long before its end a token is replaced"),
      })
      .prefault({})
      .describe("Life of tokens"),
  });

export const mod_keystore = () =>
  z.strictObject({
    keys: keyedList(
      rule(
        z.strictObject({
          name: nonEmpty().describe("Name of the key"),
          type: enumOf("file", "ram").describe("Read from a file, or made at start"),
          path: filename().optional().describe("File with the key"),
        }),
        (key) => key.type !== "file" || key.path !== undefined,
        'type "file" needs it',
        "path",
      ),
      "name",
    )
      .default([])
      .describe("Keys that other modules use by name"),
    ram_key_size: nonNegative().default(2048).describe("Size of keys made at start, bytes"),
  });

export const mod_cache_users = () =>
  z.strictObject({
    number_of_segments: positive().default(3).describe("Generations of the cache"),
    strategy: enumOf("fifo", "lru").default("fifo").describe("What is forgotten first"),
    time_to_live: positiveOrInfinity().default(480).describe("Life of a generation, minutes"),
  });

export const mod_blocklist = () =>
  z.strictObject({ backend: enumOf("rdbms").default("rdbms").describe("Where blocked accounts are kept") });

export const mod_bind2 = () => z.strictObject({});

export const mod_sasl2 = () => z.strictObject({});
