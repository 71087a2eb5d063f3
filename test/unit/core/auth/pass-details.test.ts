import { expect, test } from "vitest";
import { formatPassDetails, parsePassDetails } from "../../../../core/auth/pass-details.ts";
import { deriveKeys, HASH_NAMES } from "../../../../core/auth/scram-keys.ts";
import type { ScramKeySet } from "../../../../core/auth/types.ts";

const salt = Uint8Array.fromBase64("QSXCR+Q6sek8bf92");

async function keySet(): Promise<ScramKeySet> {
  const keys: ScramKeySet = {};
  for (const hash of HASH_NAMES) {
    const { storedKey, serverKey, iterations } = await deriveKeys(hash, "pencil", salt, 4096);
    // Bun's digests are Buffers, which are not "equal" to the Uint8Arrays that are read.
    keys[hash] = { salt, storedKey: new Uint8Array(storedKey), serverKey: new Uint8Array(serverKey), iterations };
  }
  return keys;
}

// Stored and server key of RFC 5802's example, which other implementations agree on.
const STORED = "6dlGYMOdZcOPutkcNY8U2g7vK9Y=";
const SERVER = "D+CSWLOshSulAsxiupA+qs2/fTE=";

test("one hash function is written as MongooseIM writes it", async () => {
  const { sha } = await keySet();
  expect(formatPassDetails({ sha })).toBe(`==MULTI_SCRAM==,4096,===SHA1===QSXCR+Q6sek8bf92|${STORED}|${SERVER}`);
});

test("five hash functions are written in MongooseIM's order", async () => {
  const marks = formatPassDetails(await keySet()).match(/=+SHA\d+=+/g);
  expect(marks).toEqual(["===SHA1===", "==SHA224==", "==SHA256==", "==SHA384==", "==SHA512=="]);
});

test("what was written is read", async () => {
  const keys = await keySet();
  expect(parsePassDetails(formatPassDetails(keys))).toEqual(keys);
});

test("one hash function can be read alone", async () => {
  const keys = await keySet();
  expect(parsePassDetails(formatPassDetails(keys), "sha256")).toEqual({ sha256: keys.sha256 });
});

test("the form of MongooseIM up to 3.6.2 is read", async () => {
  const { sha } = await keySet();
  expect(parsePassDetails(`==SCRAM==,${STORED},${SERVER},QSXCR+Q6sek8bf92,4096`)).toEqual({ sha });
});

test.each([
  "",
  "secret",
  "==MULTI_SCRAM==,",
  "==MULTI_SCRAM==,x,===SHA1===AA==|AA==|AA==",
  "==MULTI_SCRAM==,0,===SHA1===AA==|AA==|AA==",
  "==MULTI_SCRAM==,1,===SHA9===AA==|AA==|AA==",
  "==MULTI_SCRAM==,1,===SHA1===AA==|AA==",
  "==MULTI_SCRAM==,1,===SHA1===AA==|AA==|!!",
  "==MULTI_SCRAM==,1,===SHA1===AA==|AA==|AA==|AA==",
  "==SCRAM==,AA==,AA==,AA==",
  "==SCRAM==,AA==,AA==,AA==,x",
  "==SCRAM==,AA==,AA==,AA==,1,1",
])("%j is no such text", (text) => {
  expect(parsePassDetails(text)).toBeUndefined();
});
