import { describe, expect, test } from "vitest";
import type { ClientCertificate } from "../../../../core/sasl/index.ts";
import { accounts } from "../auth/accounts.ts";
import { begin, stream } from "./stream.ts";

const ALICE = "alice@localhost";

function login(
  section: Record<string, unknown>,
  certificate: Partial<ClientCertificate>,
  authzid: string | Uint8Array = "",
) {
  const { auth } = accounts({ pki: {}, sasl_mechanisms: ["external"], ...section });
  const whole = { authorized: true, xmppAddrs: [], dnsNames: [], emails: [], ...certificate };
  return begin(stream(auth, { tls: true, certificate: whole, offered: ["EXTERNAL"] }), "EXTERNAL", authzid);
}

const yes = (local: string) => ({ kind: "success", local, method: "pki" });
const no = (condition: string) => ({ kind: "failure", condition });

describe("standard: the certificate's JIDs", () => {
  test.each([
    [[ALICE], "", yes("alice")],
    [["ALICE@localhost"], "", yes("alice")],
    [[ALICE], ALICE, no("invalid-authzid")],
    [[ALICE], "bob@localhost", no("invalid-authzid")],
    [["alice@fed1"], "", no("not-authorized")],
    [[ALICE, "alice@fed1"], ALICE, yes("alice")],
    [[ALICE, "alice@fed1"], "", no("invalid-authzid")],
    [[ALICE, "alice@fed1"], "alice@fed1", no("not-authorized")],
    [[ALICE, "alice@fed1"], "bob@localhost", no("not-authorized")],
    [[], "", no("not-authorized")],
    [[], ALICE, no("not-authorized")],
    [["localhost"], "", no("not-authorized")],
    [["not a jid@@"], "", no("not-authorized")],
    [["@@", "@@"], "@@", no("not-authorized")],
  ])("%j with authorization identity %j", async (xmppAddrs, authzid, answer) => {
    expect(await login({}, { xmppAddrs }, authzid)).toEqual(answer);
  });
});

describe("common_name: the subject", () => {
  const rule = { sasl_external: ["standard", "common_name"] };
  const affixed = { ...rule, sasl_external_common_name: { prefix: "user_", suffix: "-test" } };

  test.each([
    [rule, "john", "", yes("john")],
    [rule, "John", "", yes("john")],
    [rule, "john", "john@localhost", yes("john")],
    [rule, "john", "mike@localhost", no("invalid-authzid")],
    [rule, "john", "john@fed1", no("invalid-authzid")],
    [rule, "john@localhost", "", no("not-authorized")],
    [rule, undefined, "", no("invalid-authzid")],
    [affixed, "john", "", yes("user_john-test")],
    [affixed, "john", "john@localhost", yes("user_john-test")],
  ])("%j, %j with authorization identity %j", async (section, commonName, authzid, answer) => {
    expect(await login(section, { commonName }, authzid)).toEqual(answer);
  });

  test("a JID in the certificate comes first when standard is named first", async () => {
    expect(await login(rule, { xmppAddrs: [ALICE], commonName: "john" })).toEqual(yes("alice"));
  });
});

describe("auth_id: the client's word", () => {
  test.each([
    ["mike@localhost", yes("mike")],
    ["mike@fed1", no("not-authorized")],
    ["mike@localhost/r", no("not-authorized")],
    ["", no("not-authorized")],
  ])("%j", async (authzid, answer) => {
    expect(await login({ sasl_external: ["auth_id"] }, { commonName: "not-mike" }, authzid)).toEqual(answer);
  });
});

test("a certificate that did not pass verification authorizes nobody", async () => {
  expect(await login({}, { xmppAddrs: [ALICE], authorized: false })).toEqual(no("not-authorized"));
});

test("accounts without the pki method accept no certificate", async () => {
  expect(await login({ pki: undefined, internal: {} }, { xmppAddrs: [ALICE] })).toEqual({
    ...no("not-authorized"),
    local: "alice",
  });
});

test("bytes that are no UTF-8 are malformed", async () => {
  expect(await login({}, { xmppAddrs: [ALICE] }, Buffer.from([0xff]))).toEqual(no("malformed-request"));
});

test("without an initial response the server asks with an empty challenge (RFC 4422)", async () => {
  const { auth } = accounts({ pki: {} });
  const certificate = { authorized: true, xmppAddrs: [ALICE], dnsNames: [], emails: [] };
  const ctx = stream(auth, { tls: true, certificate, offered: ["EXTERNAL"] });
  expect(await begin(ctx, "EXTERNAL")).toEqual({ kind: "challenge", data: new Uint8Array(0) });
});
