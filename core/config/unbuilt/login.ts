// Modules of login and of accounts.
import { z } from "zod";
import { enumOf } from "../types.ts";

export const mod_blocklist = () =>
  z.strictObject({ backend: enumOf("rdbms").default("rdbms").describe("Where blocked accounts are kept") });
