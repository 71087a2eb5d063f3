// The arithmetic of SCRAM (RFC 5802 §3), shared by the accounts that store its keys and the mechanism that uses them.
import { type BinaryLike, pbkdf2, timingSafeEqual } from "node:crypto";
import type { HashName, ScramKeys } from "./types.ts";

/** Every hash function, in the order in which MongooseIM stores and tries them: the cheapest first. */
export const HASH_NAMES: readonly HashName[] = ["sha", "sha224", "sha256", "sha384", "sha512"];

/** Names the crypto library wants. */
const ALGORITHM = { sha: "sha1", sha224: "sha224", sha256: "sha256", sha384: "sha384", sha512: "sha512" } as const;

/** Digest lengths in bytes. */
const HASH_LENGTH: Readonly<Record<HashName, number>> = {
  sha: 20,
  sha224: 28,
  sha256: 32,
  sha384: 48,
  sha512: 64,
};

/** Salt length in bytes; MongooseIM's. */
export const SALT_LENGTH = 16;

/** HMAC of RFC 5802 §2.2. A string is hashed as UTF-8. */
export function hmac(hash: HashName, key: Uint8Array, text: string | Uint8Array): Uint8Array {
  return new Bun.CryptoHasher(ALGORITHM[hash], key).update(text).digest();
}

/** H of RFC 5802 §2.2. */
export function digest(hash: HashName, data: string | Uint8Array): Uint8Array {
  return new Bun.CryptoHasher(ALGORITHM[hash]).update(data).digest();
}

/** Whether two byte strings are equal, in a time that depends on their lengths only. */
export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && timingSafeEqual(a, b);
}

/** Whether two texts are equal, in a time that says nothing of where they differ. */
export function sameText(a: string, b: string): boolean {
  return sameBytes(digest("sha256", a), digest("sha256", b));
}

/**
 * Hi() of RFC 5802 §2.2 and what follows from it. The rounds run off the main thread; call it through `PasswordHasher`,
 * which bounds how many do so at once. `password` has been prepared.
 */
export async function deriveKeys(
  hash: HashName,
  password: string,
  salt: Uint8Array,
  iterations: number,
): Promise<ScramKeys> {
  const salted = await new Promise<Uint8Array>((resolve, reject) =>
    pbkdf2(password, salt as BinaryLike, iterations, HASH_LENGTH[hash], ALGORITHM[hash], (error, key) =>
      error ? reject(error) : resolve(key),
    ),
  );
  return {
    salt,
    storedKey: digest(hash, hmac(hash, salted, "Client Key")),
    serverKey: hmac(hash, salted, "Server Key"),
    iterations,
  };
}

/**
 * Whether a client's proof shows knowledge of the password behind `storedKey` (RFC 5802 §3: ClientKey = ClientProof XOR
 * ClientSignature, and H(ClientKey) must be StoredKey). Overwrites `proof`.
 */
export function proofHolds(hash: HashName, storedKey: Uint8Array, authMessage: string, proof: Uint8Array): boolean {
  const signature = hmac(hash, storedKey, authMessage);
  if (proof.length !== signature.length) return false;
  for (let i = 0; i < proof.length; i++) proof[i] ^= signature[i];
  return sameBytes(digest(hash, proof), storedKey);
}
