// Modules of login and of accounts.
import { z } from "zod";
import { enumOf, nonNegative } from "../types.ts";

const period = (value: number, unit: "days" | "hours", what: string) =>
  z
    .strictObject({
      value: nonNegative().describe("How many of the unit"),
      unit: enumOf("days", "hours", "minutes", "seconds").describe("Unit of time"),
    })
    .default({ value, unit })
    .describe(what);

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

export const mod_blocklist = () =>
  z.strictObject({ backend: enumOf("rdbms").default("rdbms").describe("Where blocked accounts are kept") });

export const mod_bind2 = () => z.strictObject({});

export const mod_sasl2 = () => z.strictObject({});
