import { createHmac } from "node:crypto";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { SaslContext, SaslStep } from "../../../core/sasl/index.ts";
import { viewText } from "../../../core/xml/framer.ts";
import { HASHED_TOKENS, hashedToken, type Proof } from "../../../modules/mod_fast_auth_token/mechanisms.ts";
import { accounts } from "../core/auth/accounts.ts";
import { stream } from "../core/sasl/stream.ts";

const kindOf = (name: string) => HASHED_TOKENS.find((kind) => kind.name === name)!;
const bytes = (...parts: (string | Uint8Array)[]) => Buffer.concat(parts.map((part) => Buffer.from(part)));

/** Sends a message; what the mechanism has read of it, or its failure. */
async function read(name: string, message: Uint8Array | undefined, more: Partial<SaslContext> = {}) {
  let proof: Proof | undefined;
  const mechanism = hashedToken(kindOf(name), async (read) => {
    proof = read;
    return { kind: "failure", condition: "aborted" };
  });
  const request = { stanza: viewText("<authenticate xmlns='urn:xmpp:sasl:2'/>"), userAgent: undefined };
  const ctx = stream(accounts().auth, { tls: true, request, ...more });
  const step: SaslStep = await mechanism.start(ctx).start(message);
  return { proof, step };
}

describe("draft-schmaus-kitten-sasl-ht", () => {
  test("the message of @xmpp/client's own test is a proof of its token", async () => {
    const message = Buffer.from("bnVsbACNMNimsTBnxS04m8x7wgKjBHdDUL/nXPU4J4vqxqjBIg==", "base64");
    const { proof } = await read("HT-SHA-256-NONE", message);
    expect(proof?.local).toBe("null");
    expect(proof?.proves({ text: "hai" })).toBe(true);
    expect(proof?.proves({ text: "hi" })).toBe(false);
  });

  test.each(HASHED_TOKENS.map((kind) => [kind.name, kind] as const))("%s", async (name, kind) => {
    const channel = new Uint8Array(32).fill(9);
    const mac = (who: string) =>
      createHmac(kind.hash, "token")
        .update(bytes(who, kind.bound ? channel : ""))
        .digest();
    const { proof } = await read(name, bytes("juliet\0", mac("Initiator")), { exporter: () => channel });
    expect(proof?.proves({ text: "token" })).toBe(true);
    expect(Buffer.from(proof!.reply({ text: "token" }))).toEqual(mac("Responder"));
    // Nobody who hears one proves the other, and a part proves nothing.
    for (const wrong of [mac("Responder"), mac("Initiator").subarray(1), new Uint8Array(0)]) {
      const other = await read(name, bytes("juliet\0", wrong), { exporter: () => channel });
      expect(other.proof?.proves({ text: "token" })).toBe(false);
    }
  });

  test("the numbers in the table are MongooseIM's, one for each", () => {
    expect(new Set(HASHED_TOKENS.map(({ id }) => id)).size).toBe(12);
    expect(kindOf("HT-SHA-3-384-EXPR").id).toBe(17);
  });

  test("a bare JID of the domain is a name too, another domain's is nobody", async () => {
    expect((await read("HT-SHA-256-NONE", bytes("Juliet@localhost\0x"))).proof?.local).toBe("juliet");
    expect((await read("HT-SHA-256-NONE", bytes("juliet@elsewhere\0x"))).step).toMatchObject({
      condition: "not-authorized",
    });
  });

  test("without an initial response the client is asked for it", async () => {
    expect((await read("HT-SHA-256-NONE", undefined)).step).toEqual({ kind: "challenge", data: new Uint8Array(0) });
  });

  test.each([["no NUL"], ["\0no name"], [""], ["\xff\0x"]])("%j is malformed", async (message) => {
    expect((await read("HT-SHA-256-NONE", Buffer.from(message, "latin1"))).step).toMatchObject({
      condition: "malformed-request",
    });
  });

  test("rubbish is no proof of any token, and never throws", async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), fc.string(), async (message, token) => {
        const { proof, step } = await read("HT-SHA-256-NONE", message);
        expect(step.kind).toBe("failure");
        expect(proof?.proves({ text: token }) ?? false).toBe(false);
      }),
      { numRuns: 300 },
    );
  });

  test("they are on offer over TLS alone, the bound ones where there is something to bind to", () => {
    const { auth } = accounts();
    const offered = (channel: object) =>
      HASHED_TOKENS.map((kind) => hashedToken(kind, () => Promise.reject(new Error())))
        .filter((mechanism) => mechanism.suits({ auth, tls: false, ...channel }))
        .map(({ name }) => name.slice(-4));
    expect(offered({})).toEqual([]);
    expect(new Set(offered({ tls: true }))).toEqual(new Set(["NONE"]));
    expect(offered({ tls: true, exporter: () => new Uint8Array(32) })).toHaveLength(12);
  });
});
