import { createHash } from "node:crypto";
import { beforeAll, describe, expect, test } from "vitest";
import { digestValue, readDirectives } from "../../../../core/sasl/digest.ts";
import { Offer, type SaslContext, type SaslStep, startMechanism } from "../../../../core/sasl/index.ts";
import { type Accounts, accounts } from "../auth/accounts.ts";
import { stream } from "./stream.ts";

const MECHANISMS = { sasl_mechanisms: ["digest", "plain"] };
let world: Accounts;
beforeAll(async () => {
  world = accounts({ internal: {}, password: { format: "plain" }, ...MECHANISMS });
  await world.auth.create("juliet", "localhost", "r0m30");
  await world.auth.create("zoë", "localhost", "pässword");
});

const md5 = (text: string | Buffer): string => createHash("md5").update(text).digest("hex");

interface Answer {
  username?: string;
  password?: string;
  encoding?: "utf8" | "latin1";
  change?: (text: string) => string;
}

/** A client's side, written from RFC 2831 alone. */
async function login({ username = "juliet", password = "r0m30", encoding = "utf8", change }: Answer = {}) {
  const exchange = startMechanism("DIGEST-MD5", stream(world.auth))!;
  const first = await exchange.start(undefined);
  if (first.kind !== "challenge") return { exchange, step: first };
  const challenge = Buffer.from(first.data).toString();
  const nonce = /nonce="([^"]+)"/.exec(challenge)![1];
  const secret = createHash("md5")
    .update(Buffer.from(`${username}:localhost:${password}`, encoding))
    .digest();
  const proof = (who: string): string => {
    const ha1 = md5(Buffer.concat([secret, Buffer.from(`:${nonce}:c`)]));
    return md5(`${ha1}:${nonce}:00000001:c:auth:${md5(`${who}:xmpp/localhost`)}`);
  };
  const text = `charset=utf-8,username="${username}",realm="localhost",nonce="${nonce}",nc=00000001,cnonce="c",digest-uri="xmpp/localhost",response=${proof("AUTHENTICATE")},qop=auth`;
  const step: SaslStep = await exchange.next(Buffer.from(change ? change(text) : text));
  return { exchange, step, rspauth: `rspauth=${proof("")}`, text };
}

test("RFC 2831 §4: the example", () => {
  const input = {
    username: Buffer.from("chris"),
    realm: "elwood.innosoft.com",
    password: Buffer.from("secret"),
    nonce: "OA6MG9tEQGm2hh",
    cnonce: "OA6MHXh6VqTrRk",
    authzid: undefined,
    nc: "00000001",
    uri: "imap/elwood.innosoft.com",
  };
  expect(digestValue({ ...input, who: "AUTHENTICATE" })).toBe("d388dad90d4bbd760a152321f2143af7");
  expect(digestValue({ ...input, who: "" })).toBe("ea40f60335c427b5527b84dbabcdfffd");
});

describe("what is offered", () => {
  const offered = (section: Record<string, unknown>) =>
    new Offer({ auth: accounts({ internal: {}, ...section }).auth, tls: true }).offered;

  test("only when it is named, and only over plain passwords", () => {
    expect(offered({ password: { format: "plain" }, ...MECHANISMS })).toEqual(["DIGEST-MD5", "PLAIN"]);
    expect(offered({ password: { format: "scram" }, ...MECHANISMS })).toEqual(["PLAIN"]);
    expect(offered({ password: { format: "plain" } })).not.toContain("DIGEST-MD5");
  });
});

describe("an exchange", () => {
  test("lets in who knows the password, and proves that the server does", async () => {
    const { exchange, step, rspauth } = await login();
    expect(step).toEqual({ kind: "challenge", data: new Uint8Array(Buffer.from(rspauth!)) });
    expect(await exchange.next(new Uint8Array(0))).toEqual({ kind: "success", local: "juliet", method: "internal" });
  });

  test.each(["utf8", "latin1"] as const)("names and passwords beyond ASCII, hashed as %s", async (encoding) => {
    expect((await login({ username: "zoë", password: "pässword", encoding })).step.kind).toBe("challenge");
  });

  test.each<[string, Answer]>([
    ["a wrong password", { password: "wrong" }],
    ["nobody", { username: "nobody", password: "" }],
    ["another nonce", { change: (text) => text.replace(/nonce="[^"]{4}/, 'nonce="AAAA') }],
    ["a nonce used again", { change: (text) => text.replace("nc=00000001", "nc=00000002") }],
    ["another service", { change: (text) => text.replace("xmpp/localhost", "imap/localhost") }],
    ["another host", { change: (text) => text.replace("xmpp/localhost", "xmpp/elsewhere") }],
    ["protection that was not offered", { change: (text) => text.replace("qop=auth", "qop=auth-int") }],
    ["a name of another domain", { change: (text) => text.replace('"juliet"', '"juliet@elsewhere"') }],
  ])("refuses %s", async (_, answer) => {
    expect((await login(answer)).step).toMatchObject({ kind: "failure", condition: "not-authorized" });
  });

  test.each(["", "rubbish", 'username="juliet"', "=,=", 'username="a",username="b"'])(
    "%j is malformed",
    async (text) => {
      expect((await login({ change: () => text })).step).toMatchObject({ condition: "malformed-request" });
    },
  );

  test("nobody acts for another", async () => {
    const { step } = await login({ change: (text) => `${text},authzid="romeo@localhost"` });
    expect(step).toMatchObject({ condition: "invalid-authzid" });
  });

  test("more than was asked for at the end, or at the beginning, is malformed", async () => {
    const { exchange } = await login();
    expect(await exchange.next(Buffer.from("x"))).toMatchObject({ condition: "malformed-request" });
    const other = startMechanism("DIGEST-MD5", stream(world.auth))!;
    expect(await other.start(Buffer.from("x"))).toMatchObject({ condition: "malformed-request" });
  });

  test("storage that is away is no wrong password", async () => {
    const auth = Object.create(world.auth, {
      credentials: { value: () => Promise.reject(new Error("away")) },
    }) as SaslContext["auth"];
    const errors: unknown[] = [];
    const exchange = startMechanism(
      "DIGEST-MD5",
      stream(auth, { offered: ["DIGEST-MD5"], onError: (e) => errors.push(e) }),
    )!;
    const first = await exchange.start(undefined);
    const nonce = /nonce="([^"]+)"/.exec(Buffer.from((first as { data: Uint8Array }).data).toString())![1];
    const text = `username="juliet",nonce="${nonce}",nc=00000001,cnonce="c",digest-uri="xmpp/localhost",response=x`;
    expect(await exchange.next(Buffer.from(text))).toMatchObject({ condition: "temporary-auth-failure" });
    expect(errors).toHaveLength(1);
  });
});

test("directives: quoted or not, escaped, with white space; no other text", () => {
  expect(readDirectives('a="x\\"y\\\\", b = z ,c=""')).toEqual(
    new Map([
      ["a", 'x"y\\'],
      ["b", "z"],
      ["c", ""],
    ]),
  );
  for (const text of ["a", "a=", 'a="', "a=b c", 'a="b"c', "A=b"]) expect(readDirectives(text)).toBeUndefined();
});
