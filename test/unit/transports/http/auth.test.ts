import { describe, expect, test } from "vitest";
import { parseBasic, sameSecret } from "../../../../transports/http/auth.ts";

const b64 = (text: string): string => Buffer.from(text).toString("base64");

describe("parseBasic", () => {
  test.each([
    [undefined, "none"],
    ["Bearer abc", "none"],
    [`Basic ${b64("alice:se:cret")}`, { username: "alice", password: "se:cret" }],
    [`basic ${b64("ålice:pässword")}`, { username: "ålice", password: "pässword" }],
    [`Basic ${b64(":")}`, { username: "", password: "" }],
    ["Basic", "malformed"],
    ["Basic !!!", "malformed"],
    [`Basic ${b64("nocolon")}`, "malformed"],
    [`Basic ${Buffer.from([0xff, 0x3a]).toString("base64")}`, "malformed"],
  ])("%s", (header, result) => expect(parseBasic(header)).toEqual(result));
});

test("sameSecret compares texts of any length", () => {
  expect([sameSecret("a", "a"), sameSecret("a", "b"), sameSecret("a", "aa"), sameSecret("", "")]).toEqual([
    true,
    false,
    false,
    true,
  ]);
});
