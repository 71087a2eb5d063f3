// Passwords as text: how one is prepared, checked against what is stored, and made ready to be stored.
import { opaqueString } from "../precis/index.ts";
import type { PasswordHasher } from "./hasher.ts";
import { HASH_NAMES, SALT_LENGTH, sameBytes, sameText } from "./scram-keys.ts";
import type { Credentials, HashName, ScramKeySet } from "./types.ts";

/** How new passwords are kept: the `auth.password` section. */
export interface PasswordPolicy {
  format: "scram" | "plain";
  /** Hash functions of new SCRAM passwords. */
  hash: readonly HashName[];
  /** PBKDF2 rounds of new SCRAM passwords. */
  scram_iterations: number;
}

/** What preparing, hashing and comparing passwords needs of the node. */
export interface PasswordTools {
  hasher: PasswordHasher;
  random: (n: number) => Uint8Array;
}

/**
 * Prepares a password for hashing; undefined when it is empty or holds what no password may.
 *
 * OpaqueString (RFC 8265 §4.2) decides what is allowed; NFKC after it makes the result equal to SASLprep's and
 * resourceprep's, which SCRAM clients (RFC 5802 §2.2) and MongooseIM's stored hashes are made with.
 */
export function preparePassword(password: string): string | undefined {
  if (/^[\x20-\x7e]+$/.test(password)) return password;
  try {
    return opaqueString(password).normalize("NFKC") || undefined;
  } catch {
    return undefined;
  }
}

/**
 * Makes a password ready to be stored; undefined when it cannot be one. All hash functions are computed side by side,
 * each with its own salt. A plain one is kept as it came, as MongooseIM does.
 */
export async function makeCredentials(
  password: string,
  policy: PasswordPolicy,
  { hasher, random }: PasswordTools,
): Promise<Credentials | undefined> {
  const prepared = preparePassword(password);
  if (prepared === undefined) return undefined;
  if (policy.format === "plain") return { plain: password };
  const scram: ScramKeySet = {};
  await Promise.all(
    policy.hash.map(async (hash) => {
      scram[hash] = await hasher.derive(hash, prepared, random(SALT_LENGTH), policy.scram_iterations);
    }),
  );
  return { scram };
}

/** Whether `password`, as a client sent it, is the stored one. The first hash function there is decides. */
export async function passwordMatches(
  password: string,
  stored: Credentials,
  { hasher }: PasswordTools,
): Promise<boolean> {
  const prepared = preparePassword(password);
  if (stored.plain !== undefined) {
    // An empty stored password never matches. What MongooseIM stored was not prepared, hence the second look.
    if (stored.plain === "") return false;
    const asSent = sameText(password, stored.plain);
    const asPrepared = prepared !== undefined && sameText(prepared, preparePassword(stored.plain) ?? "");
    return asSent || asPrepared;
  }
  const hash = HASH_NAMES.find((name) => stored.scram?.[name]);
  const keys = hash && stored.scram?.[hash];
  if (!keys || prepared === undefined) return false;
  const derived = await hasher.derive(hash, prepared, keys.salt, keys.iterations);
  return sameBytes(derived.storedKey, keys.storedKey);
}
