// Sections of [auth] whose method is not built yet.
import { z } from "zod";
import { enumOf, filename, nonEmpty, positive, rule, secret } from "../types.ts";
import { ldapDeref, ldapFilter, ldapUids } from "./ldap.ts";

/** `auth.external` */
export const authExternal = () =>
  z
    .strictObject({
      program: nonEmpty().describe("Command line of the program that is asked"),
      instances: positive().default(1).describe("Programs that run side by side"),
    })
    .describe("Accounts known to a program");

/** `auth.http` */
export const authHttp = () =>
  z
    .strictObject({ basic_auth: secret(z.string()).optional().describe("user:password sent to the service") })
    .describe("Accounts known to an HTTP service");

/** `auth.jwt` */
export const authJwt = () =>
  z
    .strictObject({
      algorithm: enumOf(
        ...("HS256|RS256|ES256|HS386|RS386|ES386|HS512|RS512|ES512".split("|") as [string, ...string[]]),
      ).describe("Algorithm of the signature"),
      username_key: nonEmpty().describe("Claim that holds the user name"),
      secret: rule(
        z.strictObject({
          file: filename().optional().describe("File with the key"),
          env: nonEmpty().optional().describe("Environment variable with the key"),
          value: secret(z.string()).optional().describe("The key itself"),
        }),
        (key) => [key.file, key.env, key.value].filter((source) => source !== undefined).length === 1,
        "it needs exactly one of file, env and value",
      ).describe("Where the key is"),
    })
    .describe("JSON web tokens in place of passwords");

/** `auth.ldap` */
export const authLdap = () =>
  z
    .strictObject({
      pool_tag: nonEmpty().default("default").describe("Tag of the ldap pool for look-ups"),
      bind_pool_tag: nonEmpty().default("bind").describe("Tag of the ldap pool for checking passwords"),
      base: z.string().default("").describe("DN under which accounts are"),
      uids: ldapUids(),
      filter: z.string().default("").describe("LDAP filter for accounts"),
      dn_filter: z
        .strictObject({
          filter: ldapFilter().describe("LDAP filter applied to the account found"),
          attributes: z.array(z.string()).default([]).describe("Attributes that the filter uses"),
        })
        .optional()
        .describe("A second look-up that the account must pass"),
      local_filter: z
        .strictObject({
          operation: enumOf("equal", "notequal").describe("How the values are compared"),
          attribute: nonEmpty().describe("Attribute compared"),
          values: z.array(z.string()).min(1).describe("Values compared with"),
        })
        .optional()
        .describe("A check made here on the account found"),
      deref: ldapDeref(),
    })
    .describe("Accounts in an LDAP directory");
