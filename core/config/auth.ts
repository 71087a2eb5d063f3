// [auth]: methods that are built; the others are in unbuilt/auth.ts.
import { z } from "zod";
import { password } from "./general.ts";
import { enumOf, inert, localPart, nonNegative, positive, positiveOrInfinity, rule } from "./types.ts";
import { authExternal, authHttp, authJwt, authLdap } from "./unbuilt/auth.ts";

/** Authentication methods, in the order in which they are asked when `auth.methods` is not set. */
export const AUTH_METHODS = [
  "anonymous",
  "dummy",
  "external",
  "http",
  "internal",
  "jwt",
  "ldap",
  "pki",
  "rdbms",
] as const;
export type AuthMethod = (typeof AUTH_METHODS)[number];

/** SASL mechanisms under the names of the configuration, in the default order of offering; DIGEST-MD5 (RFC 6331: obsolete) is not in it. */
const DEFAULT_MECHANISMS = [
  "scram_sha512_plus",
  "scram_sha512",
  "scram_sha384_plus",
  "scram_sha384",
  "scram_sha256_plus",
  "scram_sha256",
  "scram_sha224_plus",
  "scram_sha224",
  "scram_sha1_plus",
  "scram_sha1",
  "plain",
  "anonymous",
  "oauth",
  "ht_sha256_none",
  "ht_sha384_none",
  "ht_sha512_none",
  "ht_sha3_256_none",
  "ht_sha3_384_none",
  "ht_sha3_512_none",
  "ht_sha256_expr",
  "ht_sha384_expr",
  "ht_sha512_expr",
  "ht_sha3_256_expr",
  "ht_sha3_384_expr",
  "ht_sha3_512_expr",
] as const;

type Sections = Partial<Record<AuthMethod, unknown>> & { methods?: readonly AuthMethod[] };

const unsectioned = (table: Sections) =>
  Array.isArray(table.methods) ? table.methods.filter((method: AuthMethod) => table[method] === undefined) : [];

const table = () =>
  z.strictObject({
    methods: z
      .array(enumOf(...AUTH_METHODS))
      .optional()
      .describe("Methods, in the order in which they are asked; when not set, all that have a section"),
    password: password(),
    sasl_mechanisms: z
      .array(enumOf(...DEFAULT_MECHANISMS, "external", "digest"))
      .default([...DEFAULT_MECHANISMS])
      .describe("SASL mechanisms, in the order of offering"),
    sasl_external: z
      .array(enumOf("standard", "common_name", "auth_id"))
      .default(["standard"])
      .describe("How a client certificate becomes a user, tried in order"),
    sasl_external_common_name: z
      .strictObject({
        prefix: localPart().default("").describe("Text put before the common name"),
        suffix: localPart().default("").describe("Text put after the common name"),
      })
      .optional()
      .describe("How the common name of a certificate becomes a user name"),
    max_users_per_domain: positiveOrInfinity().default(Number.POSITIVE_INFINITY).describe("Accounts a domain may have"),
    anonymous: z
      .strictObject({
        allow_multiple_connections: z.boolean().default(false).describe("Several sessions for one temporary account"),
        backend: inert(enumOf("mnesia", "cets"), "anonymous users are known by their session alone")
          .default("mnesia")
          .describe("Where anonymous sessions are listed"),
        protocol: enumOf("sasl_anon", "login_anon", "both")
          .default("sasl_anon")
          .describe("SASL ANONYMOUS, any name with any password, or both"),
      })
      .optional()
      .describe("Temporary accounts"),
    dummy: z
      .strictObject({
        base_time: nonNegative().default(50).describe("Shortest delay of an answer, milliseconds"),
        variance: positive().default(450).describe("Random delay added to it at most, milliseconds"),
      })
      .optional()
      .describe("Accepts everyone, for tests"),
    external: authExternal().optional(),
    http: authHttp().optional(),
    internal: z.strictObject({}).optional().describe("Accounts in the embedded store"),
    jwt: authJwt().optional(),
    ldap: authLdap().optional(),
    pki: z.strictObject({}).optional().describe("Accounts proven by client certificates"),
    rdbms: z
      .strictObject({
        users_number_estimate: z.boolean().default(false).describe("Count accounts by the database's statistics"),
      })
      .optional()
      .describe("Accounts in a database"),
  });

/** `auth` and `host_config[].auth` */
export const auth = () =>
  rule(
    table(),
    (auth) => unsectioned(auth).length === 0,
    (auth) =>
      `each method needs its section, add ${unsectioned(auth)
        .map((method) => `[auth.${method}]`)
        .join(", ")}`,
    "methods",
  )
    .transform((auth) => ({
      ...auth,
      methods: auth.methods ?? AUTH_METHODS.filter((method) => auth[method] !== undefined),
    }))
    .describe("How users prove who they are");
