import { beforeAll, describe, expect, test } from "vitest";
import type { HashName } from "../../../../core/auth/index.ts";
import type { SaslContext } from "../../../../core/sasl/index.ts";
import { startMechanism } from "../../../../core/sasl/index.ts";
import { type Accounts, accounts } from "../auth/accounts.ts";
import { login, ScramClient, type ScramClientOptions } from "./client.ts";
import { begin, stream } from "./stream.ts";

const HASHES: [string, ScramClientOptions["hash"], HashName][] = [
  ["SCRAM-SHA-1", "sha1", "sha"],
  ["SCRAM-SHA-224", "sha224", "sha224"],
  ["SCRAM-SHA-256", "sha256", "sha256"],
  ["SCRAM-SHA-384", "sha384", "sha384"],
  ["SCRAM-SHA-512", "sha512", "sha512"],
];
const exporter = () => new Uint8Array(32).fill(7);
const endpoint = () => new Uint8Array(32).fill(8);
const BOUND = { tls: true, exporter, endpoint };

let hashed: Accounts;
let plain: Accounts;
beforeAll(async () => {
  hashed = accounts();
  plain = accounts({ internal: {}, password: { format: "plain" } });
  for (const { auth } of [hashed, plain]) await auth.create("juliet", "localhost", "r0m30");
  await hashed.auth.create("a,b=c", "localhost", "r0m30");
});

function client(more: Partial<ScramClientOptions> = {}): ScramClient {
  return new ScramClient({ hash: "sha256", username: "juliet", password: "r0m30", nonce: "abcdef", ...more });
}

function start(mechanism = "SCRAM-SHA-256", more: Partial<SaslContext> = {}) {
  return startMechanism(mechanism, stream(hashed.auth, more));
}

function text(bytes: Uint8Array | undefined): string {
  return Buffer.from(bytes ?? []).toString();
}

describe.each(HASHES)("%s", (mechanism, hash) => {
  test("a log-in against stored keys succeeds and proves the server", async () => {
    const c = client({ hash });
    const step = await login(start(mechanism), c);
    expect(step).toMatchObject({ kind: "success", local: "juliet", method: "internal" });
    expect(text(step.kind === "success" ? step.data : undefined)).toBe(c.serverSignature());
  });

  test("a log-in against a plain password succeeds", async () => {
    const step = await login(startMechanism(mechanism, stream(plain.auth)), client({ hash }));
    expect(step.kind).toBe("success");
  });

  test("a log-in bound to the channel succeeds", async () => {
    const c = client({ hash, gs2: "p=tls-exporter,,", binding: exporter() });
    expect((await login(start(`${mechanism}-PLUS`, BOUND), c)).kind).toBe("success");
  });

  test("a wrong password fails", async () => {
    const step = await login(start(mechanism), client({ hash, password: "wrong" }));
    expect(step).toEqual({ kind: "failure", condition: "not-authorized", local: "juliet" });
  });
});

describe("channel binding", () => {
  test("tls-server-end-point is understood", async () => {
    const c = client({ gs2: "p=tls-server-end-point,,", binding: endpoint() });
    expect((await login(start("SCRAM-SHA-256-PLUS", BOUND), c)).kind).toBe("success");
  });

  test("another channel's data fails: somebody sits between", async () => {
    const c = client({ gs2: "p=tls-exporter,,", binding: new Uint8Array(32) });
    expect(await login(start("SCRAM-SHA-256-PLUS", BOUND), c)).toMatchObject({
      condition: "not-authorized",
      text: "channel-bindings-dont-match",
    });
  });

  test("an unknown binding type fails", async () => {
    const c = client({ gs2: "p=tls-unique,,", binding: exporter() });
    expect(await login(start("SCRAM-SHA-256-PLUS", BOUND), c)).toMatchObject({
      condition: "malformed-request",
      text: "unsupported-channel-binding-type",
    });
  });

  test("a client that can bind and saw no -PLUS is refused when we offered it (RFC 5802 §6)", async () => {
    expect(await login(start("SCRAM-SHA-256", BOUND), client({ gs2: "y,," }))).toMatchObject({
      condition: "not-authorized",
      text: "server-does-support-channel-binding",
    });
  });

  test("the same client is welcome when we offered none", async () => {
    expect((await login(start(), client({ gs2: "y,," }))).kind).toBe("success");
  });

  test("a client that cannot bind may log in without", async () => {
    expect((await login(start("SCRAM-SHA-256", BOUND), client())).kind).toBe("success");
  });

  test.each([
    ["SCRAM-SHA-256-PLUS", "n,,"],
    ["SCRAM-SHA-256-PLUS", "y,,"],
    ["SCRAM-SHA-256", "p=tls-exporter,,"],
  ])("%s with header %s is malformed", async (mechanism, gs2) => {
    const step = await login(start(mechanism, BOUND), client({ gs2 }));
    expect(step).toMatchObject({ condition: "malformed-request" });
  });

  test("the header of the second message must be that of the first", async () => {
    const exchange = start();
    const first = await exchange?.start(client({ gs2: "y,," }).first());
    const step = await exchange?.next(
      client({ gs2: "n,," }).final(first?.kind === "challenge" ? first.data : Buffer.of()),
    );
    expect(step).toMatchObject({ condition: "not-authorized", text: "channel-bindings-dont-match" });
  });
});

describe("identities", () => {
  test("the user name is prepared", async () => {
    expect(await login(start(), client({ username: "JULIET" }))).toMatchObject({ kind: "success", local: "juliet" });
  });

  test("commas and equal signs in names are escaped on the wire", async () => {
    expect(await login(start(), client({ username: "a,b=c" }))).toMatchObject({ kind: "success", local: "a,b=c" });
  });

  test("one's own bare JID may be the authorization identity", async () => {
    expect((await login(start(), client({ gs2: "n,a=juliet@localhost," }))).kind).toBe("success");
  });

  test.each(["romeo@localhost", "juliet@example.org", "juliet", "juliet@localhost/balcony"])(
    "%s is no identity that Juliet may act for",
    async (authzid) => {
      const step = await login(start(), client({ gs2: `n,a=${authzid},` }));
      expect(step).toMatchObject({ condition: "invalid-authzid", local: "juliet" });
    },
  );

  test("a name no user can have is not authorized", async () => {
    expect(await begin(stream(hashed.auth), "SCRAM-SHA-1", "n,,n=a@b,r=x")).toMatchObject({
      condition: "not-authorized",
    });
  });
});

describe("unknown users", () => {
  const saltOf = async (username: string, { auth }: Accounts, mechanism = "SCRAM-SHA-256") => {
    const step = await begin(stream(auth), mechanism, client({ username }).first());
    return step.kind === "challenge" ? /s=([^,]+),i=(\d+)/.exec(text(step.data))?.slice(1) : undefined;
  };

  test("get a challenge like everyone else's", async () => {
    const [salt, iterations] = (await saltOf("nobody", hashed)) ?? [];
    expect(Buffer.from(salt, "base64")).toHaveLength(16);
    expect(iterations).toBe("64");
  });

  test("get the same salt each time", async () => {
    expect(await saltOf("nobody", hashed)).toEqual(await saltOf("nobody", hashed));
  });

  test("get another salt per user and per mechanism", async () => {
    const salts = [
      await saltOf("nobody", hashed),
      await saltOf("noone", hashed),
      await saltOf("nobody", hashed, "SCRAM-SHA-1"),
    ];
    expect(new Set(salts.map(String)).size).toBe(3);
  });

  test.each([
    ["hashed", () => hashed],
    ["plain", () => plain],
  ])("cannot log in (%s passwords)", async (_format, which) => {
    const ctx = stream(which().auth);
    // "x" is what is hashed for nobody: it must not be a password that works.
    for (const password of ["r0m30", "x"]) {
      const step = await login(startMechanism("SCRAM-SHA-256", ctx), client({ username: "nobody", password }));
      expect(step).toEqual({ kind: "failure", condition: "not-authorized", local: "nobody" });
    }
  });
});

describe("grammar", () => {
  test.each([
    "",
    "n",
    "n,,",
    "n,,n=juliet",
    "n,,r=abc,n=juliet",
    "n,,n=,r=abc",
    "n,,n=ju=liet,r=abc",
    "n,,n=ju=2cliet,r=abc",
    "n,,n=juliet,r=",
    "n,,n=juliet,r=a\u00e4",
    "n,,n=juliet,r=a b",
    "n,,n=juliet,r=abc,",
    "n,,n=juliet,r=abc,xy",
    "n,,n=juliet,r=abc,1=y",
    "n,b=juliet,n=juliet,r=abc",
    "n,a=,n=juliet,r=abc",
    "x,,n=juliet,r=abc",
    "nn,,n=juliet,r=abc",
    "p,,n=juliet,r=abc",
    "p=,,n=juliet,r=abc",
    "n,,n=juliet,r=a\0bc",
    "n,,m=x,n=juliet,r=abc",
    `n,,n=juliet,r=${"a".repeat(2000)}`,
  ])("%j is malformed", async (message) => {
    expect(await begin(stream(hashed.auth), "SCRAM-SHA-1", message)).toMatchObject({ condition: "malformed-request" });
  });

  test("mandatory extensions are refused by name", async () => {
    expect(await begin(stream(hashed.auth), "SCRAM-SHA-1", "n,,m=x,n=juliet,r=abc")).toMatchObject({
      text: "extensions-not-supported",
    });
  });

  test("optional extensions are signed and otherwise passed over", async () => {
    expect((await login(start(), client({ extensions: ",x=y,z=1" }))).kind).toBe("success");
  });

  test("bytes that are no UTF-8 are malformed", async () => {
    expect(await begin(stream(hashed.auth), "SCRAM-SHA-1", Buffer.from([0x6e, 0xff, 0xfe]))).toMatchObject({
      condition: "malformed-request",
    });
  });

  test.each([
    (final: string) => final.replace("c=biws", "c=bi ws"),
    (final: string) => final.replace("c=biws,", ""),
    (final: string) => final.replace(/,p=.*/, ""),
    (final: string) => final.replace(/,p=.*/, ",p="),
    (final: string) => final.replace(/,p=.*/, ",p=!!!!"),
    (final: string) => `${final},x=y`,
    (final: string) => final.replace(",p=", ",m=1,p="),
    () => "",
  ])("a bad second message is malformed (%#)", async (spoil) => {
    const c = client();
    const exchange = start();
    const first = await exchange?.start(c.first());
    const final = text(c.final(first?.kind === "challenge" ? first.data : Buffer.of()));
    expect(await exchange?.next(Buffer.from(spoil(final)))).toMatchObject({ condition: "malformed-request" });
  });

  test.each([
    (final: string) => final.replace("r=abcdef", "r=abcdeg"),
    (final: string) => final.replace(/p=.*/, "p=AAAA"),
    (final: string) => final.replace(/p=.*/, `p=${Buffer.alloc(32).toString("base64")}`),
  ])("a false second message is not authorized (%#)", async (spoil) => {
    const c = client();
    const exchange = start();
    const first = await exchange?.start(c.first());
    const final = text(c.final(first?.kind === "challenge" ? first.data : Buffer.of()));
    expect(await exchange?.next(Buffer.from(spoil(final)))).toMatchObject({ condition: "not-authorized" });
  });
});

test("a right proof under another nonce is not authorized: it may have been seen before", async () => {
  expect(await login(start(), client({ falseNonce: "abcdef" }))).toMatchObject({ condition: "not-authorized" });
});

describe("the exchange", () => {
  test("asks with an empty challenge when there was no initial response", async () => {
    const exchange = start();
    expect(await exchange?.start(undefined)).toEqual({ kind: "challenge", data: new Uint8Array(0) });
    expect((await exchange?.next(client().first()))?.kind).toBe("challenge");
  });

  test("is over after a failure", async () => {
    const exchange = start();
    await exchange?.start(Buffer.from("rubbish"));
    expect(await exchange?.next(client().first())).toMatchObject({ condition: "malformed-request" });
  });

  test("asks the database once", async () => {
    const asked = hashed.db.log.length;
    await login(start(), client());
    expect(hashed.db.log.length - asked).toBe(1);
  });

  test("two exchanges have two nonces", async () => {
    const steps = [await start()?.start(client().first()), await start()?.start(client().first())];
    expect(steps[0]).not.toEqual(steps[1]);
  });

  test("a listener that does not allow the method knows nobody", async () => {
    const ctx = { ...stream(hashed.auth), allowedMethods: ["pki" as const] };
    expect(await login(startMechanism("SCRAM-SHA-256", ctx), client())).toMatchObject({ condition: "not-authorized" });
  });

  test("a broken database is a temporary failure and is reported", async () => {
    const broken = accounts();
    broken.db.broken = new Error("disk on fire");
    const errors: unknown[] = [];
    const ctx = stream(broken.auth, { onError: (error) => errors.push(error) });
    expect(await login(startMechanism("SCRAM-SHA-256", ctx), client())).toEqual({
      kind: "failure",
      condition: "temporary-auth-failure",
      text: undefined,
    });
    expect(errors).toEqual([broken.db.broken]);
  });
});
