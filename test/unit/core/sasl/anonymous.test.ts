import { expect, test } from "vitest";
import { prepareLocal } from "../../../../core/jid.ts";
import { accounts } from "../auth/accounts.ts";
import { begin, stream } from "./stream.ts";

const ctx = stream(accounts({ anonymous: {} }).auth);

test("a name is made without an initial response (XEP-0175)", async () => {
  const step = await begin(ctx, "ANONYMOUS");
  expect(step).toMatchObject({ kind: "success", method: "anonymous", anonymous: true });
});

test("the name is a prepared localpart, another one each time", async () => {
  const names = await Promise.all([begin(ctx, "ANONYMOUS"), begin(ctx, "ANONYMOUS")]);
  const [a, b] = names.map((step) => (step.kind === "success" ? step.local : ""));
  expect(prepareLocal(a)).toBe(a);
  expect(a).not.toBe(b);
});

test("trace information of up to 255 characters is taken (RFC 4505 §2)", async () => {
  expect(await begin(ctx, "ANONYMOUS", "ä".repeat(255))).toMatchObject({ kind: "success" });
  expect(await begin(ctx, "ANONYMOUS", "ä".repeat(256))).toMatchObject({ condition: "malformed-request" });
});

test("trace information that is no UTF-8 is malformed", async () => {
  expect(await begin(ctx, "ANONYMOUS", Buffer.from([0xff]))).toMatchObject({ condition: "malformed-request" });
});
