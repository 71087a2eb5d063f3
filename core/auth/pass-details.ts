// The text in `users.pass_details`: MongooseIM's form of SCRAM keys, current and old.
import { HASH_NAMES } from "./scram-keys.ts";
import type { HashName, ScramKeySet, ScramKeys } from "./types.ts";

const CURRENT = "==MULTI_SCRAM==,";
/** Written up to MongooseIM 3.6.2: SHA-1 alone, and the salt after the keys. */
const LEGACY = "==SCRAM==,";

/** Marks of ten characters before each hash function's keys. */
const MARK: Readonly<Record<HashName, string>> = {
  sha: "===SHA1===",
  sha224: "==SHA224==",
  sha256: "==SHA256==",
  sha384: "==SHA384==",
  sha512: "==SHA512==",
};

/** Writes keys in the current form. All must have been made with the same number of iterations, which is kept once. */
export function formatPassDetails(keys: ScramKeySet): string {
  let text = "";
  for (const hash of HASH_NAMES) {
    const k = keys[hash];
    if (!k) continue;
    if (text === "") text = `${CURRENT}${k.iterations}`;
    text += `,${MARK[hash]}${k.salt.toBase64()}|${k.storedKey.toBase64()}|${k.serverKey.toBase64()}`;
  }
  return text;
}

/**
 * Reads either form; undefined when it is neither. With `only`, other hash functions' keys are skipped unread: a log-in
 * needs one of five.
 */
export function parsePassDetails(text: string, only?: HashName): ScramKeySet | undefined {
  try {
    if (text.startsWith(CURRENT)) return parseCurrent(text.slice(CURRENT.length).split(","), only);
    if (text.startsWith(LEGACY)) return parseLegacy(text.slice(LEGACY.length).split(","), only);
  } catch {
    // Uint8Array.fromBase64 throws on what is no Base64: a damaged row, told by undefined like the others.
  }
  return undefined;
}

function parseCurrent([rounds, ...parts]: string[], only: HashName | undefined): ScramKeySet | undefined {
  const iterations = parseIterations(rounds);
  if (!iterations) return undefined;
  const keys: ScramKeySet = {};
  for (const part of parts) {
    const hash = HASH_NAMES.find((name) => part.startsWith(MARK[name]));
    if (!hash) return undefined;
    if (only !== undefined && only !== hash) continue;
    const [salt, storedKey, serverKey, ...rest] = part.slice(MARK[hash].length).split("|");
    if (serverKey === undefined || rest.length > 0) return undefined;
    keys[hash] = decodeKeys(salt, storedKey, serverKey, iterations);
  }
  return keys;
}

function parseLegacy(
  [storedKey, serverKey, salt, rounds, ...rest]: string[],
  only?: HashName,
): ScramKeySet | undefined {
  const iterations = parseIterations(rounds ?? "");
  if (!iterations || rest.length > 0) return undefined;
  return only !== undefined && only !== "sha" ? {} : { sha: decodeKeys(salt, storedKey, serverKey, iterations) };
}

function parseIterations(text: string): number | undefined {
  return /^[1-9][0-9]{0,9}$/.test(text) ? Number(text) : undefined;
}

function decodeKeys(salt: string, storedKey: string, serverKey: string, iterations: number): ScramKeys {
  return {
    salt: Uint8Array.fromBase64(salt),
    storedKey: Uint8Array.fromBase64(storedKey),
    serverKey: Uint8Array.fromBase64(serverKey),
    iterations,
  };
}
