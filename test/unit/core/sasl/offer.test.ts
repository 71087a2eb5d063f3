import { createHash } from "node:crypto";
import { expect, test } from "vitest";
import { channelBindingTypes, type Mechanism, Offer, startMechanism } from "../../../../core/sasl/index.ts";
import { downgradeDigest } from "../../../../core/sasl/offer.ts";
import { viewText } from "../../../../core/xml/framer.ts";
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

test("mechanisms of features take their place in the order of the configuration; tokens are a list of their own", () => {
  const mechanism = (option: string, name: string, more: Partial<Mechanism> = {}): Mechanism => ({
    option,
    name,
    suits: () => true,
    start: () => ({
      start: () => ({ kind: "failure", condition: "not-authorized" }),
      next: () => ({ kind: "failure", condition: "not-authorized" }),
    }),
    ...more,
  });
  const { auth } = accounts({ internal: {}, sasl_mechanisms: ["oauth", "ht_sha256_none", "plain", "ht_sha256_expr"] });
  const offer = new Offer({ auth, tls: true }, [
    mechanism("ht_sha256_none", "HT-SHA-256-NONE", { token: true }),
    mechanism("ht_sha256_expr", "HT-SHA-256-EXPR", { token: true, suits: ({ exporter }) => exporter !== undefined }),
    mechanism("oauth", "X-OAUTH"),
    mechanism("ht_sha512_none", "HT-SHA-512-NONE", { token: true }),
  ]);
  expect(offer.offered).toEqual(["X-OAUTH", "PLAIN"]);
  expect(offer.tokens).toEqual(["HT-SHA-256-NONE"]);

  const { offered, tokens, added } = offer;
  const ctx = stream(auth, { offered, tokens, added });
  expect(startMechanism("X-OAUTH", ctx)).toBeDefined();
  expect(startMechanism("HT-SHA-512-NONE", ctx)).toBeUndefined();
  // A token is proved by XEP-0388's <authenticate/> alone.
  expect(startMechanism("HT-SHA-256-NONE", ctx)).toBeUndefined();
  const request = { stanza: viewText("<authenticate xmlns='urn:xmpp:sasl:2'/>"), userAgent: undefined };
  expect(startMechanism("HT-SHA-256-NONE", { ...ctx, request })).toBeDefined();
});

test("XEP-0474 §5.3: the digest of the example", () => {
  const bindings = ["tls-server-end-point", "tls-exporter"];
  expect(downgradeDigest("sha", ["SCRAM-SHA-1-PLUS", "SCRAM-SHA-1"], bindings)).toBe("G6k/rBLDqgOhRRaCuuatSDFkJ08=");
});

test("XEP-0474 §5.1: without binding types there is no second list", () => {
  const { auth } = accounts({ internal: {}, sasl_mechanisms: ["scram_sha256_plus", "plain", "scram_sha256"] });
  const digest = (text: string): string => createHash("sha256").update(text).digest("base64");
  expect(new Offer({ auth, tls: true }).digest("sha256")).toBe(digest("PLAIN\x1eSCRAM-SHA-256"));
  expect(new Offer({ auth, ...binding }).digest("sha256")).toBe(
    digest("PLAIN\x1eSCRAM-SHA-256\x1eSCRAM-SHA-256-PLUS\x1ftls-exporter"),
  );
});
