import { expect, test } from "vitest";
import type { AuthBackend, HashName } from "../../../../core/auth/index.ts";
import { HostAuth, PasswordHasher } from "../../../../core/auth/index.ts";
import { deriveKeys } from "../../../../core/auth/scram-keys.ts";
import { auth } from "../../../../core/config/auth.ts";
import { startMechanism } from "../../../../core/sasl/index.ts";
import { stream } from "./stream.ts";

interface Vector {
  mechanism: string;
  hash: HashName;
  salt: string;
  /** The server's part of the nonce. The one of the RFC is no Base64: the context's random bytes must spell it. */
  serverNonce: string;
  messages: [string, string, string, string];
}

const RFC_5802: Vector = {
  mechanism: "SCRAM-SHA-1",
  hash: "sha",
  salt: "QSXCR+Q6sek8bf92",
  serverNonce: "3rfcNHYJY1ZVvWVs7j",
  messages: [
    "n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL",
    "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
    "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
    "v=rmF9pqV8S7suAoZWja4dJRkFsKQ=",
  ],
};

const RFC_7677: Vector = {
  mechanism: "SCRAM-SHA-256",
  hash: "sha256",
  salt: "W22ZaJ0SNY7soEsUEjb6gQ==",
  serverNonce: "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0",
  messages: [
    "n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
    "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
    "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
    "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
  ],
};

test.each([
  ["RFC 5802 §5", RFC_5802],
  ["RFC 7677 §3", RFC_7677],
])("the example of %s runs to the letter", async (_title, { mechanism, hash, salt, serverNonce, messages }) => {
  const keys = await deriveKeys(hash, "pencil", Uint8Array.fromBase64(salt), 4096);
  const backend: AuthBackend = {
    name: "internal",
    proofs: ["scram"],
    stored: true,
    exists: () => true,
    credentials: (local) => (local === "user" ? { scram: { [hash]: keys } } : undefined),
  };
  const host = new HostAuth({
    hostType: "localhost",
    config: auth().parse({ internal: {} }),
    backends: [backend],
    hasher: new PasswordHasher(),
    saltSecret: new Uint8Array(32),
  });
  // Bytes whose Base64 is the nonce of the example.
  const random = () => Object.assign(new Uint8Array(18), { toBase64: () => serverNonce });
  const exchange = startMechanism(mechanism, stream(host, { random }));
  const challenge = await exchange?.start(Buffer.from(messages[0]));
  expect(challenge).toEqual({ kind: "challenge", data: new TextEncoder().encode(messages[1]) });
  const success = await exchange?.next(Buffer.from(messages[2]));
  expect(success).toEqual({
    kind: "success",
    local: "user",
    method: "internal",
    data: new TextEncoder().encode(messages[3]),
  });
});
