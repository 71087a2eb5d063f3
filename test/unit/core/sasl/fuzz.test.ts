import fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import type { SaslStep } from "../../../../core/sasl/index.ts";
import { startMechanism } from "../../../../core/sasl/index.ts";
import { type Accounts, accounts } from "../auth/accounts.ts";
import { ScramClient } from "./client.ts";
import { stream } from "./stream.ts";

const CONDITIONS = ["malformed-request", "not-authorized", "invalid-authzid"];
const TLS = { tls: true, exporter: () => new Uint8Array(32) };

let world: Accounts;
beforeAll(async () => {
  world = accounts({ internal: {}, pki: {} }, { iterations: 1 });
  await world.auth.create("juliet", "localhost", "a password nobody guesses");
});

/** Bytes, and text that is nearly a message. */
const messages = fc.oneof(
  fc.uint8Array({ maxLength: 80 }),
  fc.string({ unit: "binary", maxLength: 60 }).map((text) => new Uint8Array(Buffer.from(text))),
  fc
    .array(
      fc.constantFrom(
        "n",
        "p=tls-exporter",
        "y",
        "a=",
        "n=juliet",
        "r=abc",
        "c=biws",
        "p=",
        "m=x",
        ",",
        "\0",
        "=2C",
        "juliet",
      ),
    )
    .map((parts) => new Uint8Array(Buffer.from(parts.join(",")))),
  fc
    .array(fc.constantFrom("\0", "juliet", "@", "localhost", "="))
    .map((parts) => new Uint8Array(Buffer.from(parts.join("")))),
);

function expectHarmless(step: SaslStep): void {
  if (step.kind === "failure") expect(CONDITIONS).toContain(step.condition);
  else expect(step.kind).toBe("challenge");
}

describe.each(["PLAIN", "EXTERNAL", "SCRAM-SHA-1", "SCRAM-SHA-256-PLUS", "SCRAM-SHA-512"])("%s", (mechanism) => {
  test("rubbish never logs in and never throws", async () => {
    const certificate = { authorized: true, xmppAddrs: [], dnsNames: [], emails: [] };
    const ctx = stream(world.auth, { ...TLS, certificate, offered: [mechanism] });
    await fc.assert(
      fc.asyncProperty(messages, messages, async (first, second) => {
        const exchange = startMechanism(mechanism, ctx);
        if (!exchange) throw new Error("not started");
        const step = await exchange.start(first);
        expectHarmless(step);
        expectHarmless(await exchange.next(second));
      }),
      { numRuns: 300 },
    );
  });
});

test("one flipped bit in either SCRAM message never logs in", async () => {
  const flip = (bytes: Uint8Array, at: number) => {
    const copy = new Uint8Array(bytes);
    copy[Math.floor(at / 8) % copy.length] ^= 1 << (at % 8);
    return copy;
  };
  const ctx = stream(world.auth);
  await fc.assert(
    fc.asyncProperty(fc.nat(8000), fc.boolean(), async (at, inFirst) => {
      const client = new ScramClient({
        hash: "sha256",
        username: "juliet",
        password: "a password nobody guesses",
        nonce: "0123456789abcdef",
      });
      const exchange = startMechanism("SCRAM-SHA-256", ctx);
      const first = client.first();
      const step = await exchange?.start(inFirst ? flip(first, at) : first);
      if (step?.kind !== "challenge") return;
      // A flip in the nonce makes a challenge that the client itself would refuse: it answers all the same here.
      const own = Buffer.from(step.data)
        .toString()
        .replace(/^r=.{16}/, "r=0123456789abcdef");
      const final = client.final(Buffer.from(own));
      expect(await exchange?.next(inFirst ? final : flip(final, at))).toMatchObject({ kind: "failure" });
    }),
    { numRuns: 300 },
  );
});
