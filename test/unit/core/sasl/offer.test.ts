import { expect, test } from "vitest";
import { channelBindingTypes, startMechanism, unknownMechanisms } from "../../../../core/sasl/index.ts";
import { accounts } from "../auth/accounts.ts";
import { stream } from "./stream.ts";

const binding = { tls: true, exporter: () => new Uint8Array(32) };
const certificate = { authorized: true, xmppAddrs: [], dnsNames: [], emails: [] };

function offered(section: Record<string, unknown>, more = {}): string[] {
  return [...stream(accounts(section).auth, more).offered];
}

test("without TLS the offer is MongooseIM's, -PLUS left out", () => {
  expect(offered({ internal: {} })).toEqual([
    "SCRAM-SHA-512",
    "SCRAM-SHA-384",
    "SCRAM-SHA-256",
    "SCRAM-SHA-224",
    "SCRAM-SHA-1",
    "PLAIN",
  ]);
});

test("over TLS the offer is MongooseIM's, to the letter", () => {
  expect(offered({ rdbms: {} }, binding)).toEqual([
    "SCRAM-SHA-512-PLUS",
    "SCRAM-SHA-512",
    "SCRAM-SHA-384-PLUS",
    "SCRAM-SHA-384",
    "SCRAM-SHA-256-PLUS",
    "SCRAM-SHA-256",
    "SCRAM-SHA-224-PLUS",
    "SCRAM-SHA-224",
    "SCRAM-SHA-1-PLUS",
    "SCRAM-SHA-1",
    "PLAIN",
  ]);
});

test("TLS without binding data offers no -PLUS", () => {
  expect(offered({ internal: {} }, { tls: true })).not.toContain("SCRAM-SHA-256-PLUS");
});

test("only the hash functions that are stored are offered", () => {
  expect(offered({ internal: {}, password: { hash: ["sha256"] } })).toEqual(["SCRAM-SHA-256", "PLAIN"]);
});

test("plain passwords allow every hash function", () => {
  expect(offered({ internal: {}, password: { format: "plain", hash: ["sha256"] } })).toContain("SCRAM-SHA-1");
});

test("sasl_mechanisms says what and in which order", () => {
  expect(offered({ internal: {}, sasl_mechanisms: ["plain", "digest", "scram_sha1"] })).toEqual([
    "PLAIN",
    "SCRAM-SHA-1",
  ]);
});

test("dummy accounts offer PLAIN alone", () => {
  expect(offered({ dummy: {} })).toEqual(["PLAIN"]);
});

test.each([
  ["sasl_anon", ["ANONYMOUS"]],
  ["login_anon", ["PLAIN"]],
  ["both", ["PLAIN", "ANONYMOUS"]],
])("anonymous with protocol %s offers %j", (protocol, names) => {
  expect(offered({ anonymous: { protocol } })).toEqual(names);
});

test("the listener's allowed_auth_methods narrow the offer", () => {
  expect(offered({ internal: {}, anonymous: {} }, { allowedMethods: ["anonymous"] })).toEqual(["ANONYMOUS"]);
});

test("EXTERNAL is offered to a client with a verified certificate", () => {
  const section = { pki: {}, sasl_mechanisms: ["external"] };
  expect(offered(section, { tls: true, certificate })).toEqual(["EXTERNAL"]);
  expect(offered(section, { tls: true, certificate: { ...certificate, authorized: false } })).toEqual([]);
  expect(offered(section, { tls: true })).toEqual([]);
});

test("EXTERNAL is not offered without the pki method", () => {
  expect(offered({ internal: {}, sasl_mechanisms: ["external"] }, { tls: true, certificate })).toEqual([]);
});

test("a mechanism that was not offered cannot be started", () => {
  const ctx = stream(accounts({ internal: {}, sasl_mechanisms: ["plain"] }).auth);
  expect(startMechanism("SCRAM-SHA-1", ctx)).toBeUndefined();
  expect(startMechanism("NOPE", ctx)).toBeUndefined();
  expect(startMechanism("PLAIN", ctx)).toBeDefined();
});

test("XEP-0440: the binding types of the channel are told", () => {
  expect(channelBindingTypes({ ...binding, endpoint: () => new Uint8Array(32) })).toEqual([
    "tls-exporter",
    "tls-server-end-point",
  ]);
  expect(channelBindingTypes({ ...binding, tls: false })).toEqual([]);
});

test("configured mechanisms that this server lacks are named", () => {
  expect(unknownMechanisms(["plain", "digest", "oauth"])).toEqual(["digest", "oauth"]);
});
