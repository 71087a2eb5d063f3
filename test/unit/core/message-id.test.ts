import { describe, expect, test } from "vitest";
import { externalId, idsAt, MAX_MESSAGE_ID, microsOfId, parseExternalId } from "../../../core/message-id.ts";

describe("ids of messages", () => {
  test("are shown and read in base 32, as MongooseIM has them", () => {
    const id = (BigInt(Date.parse("2026-11-22T00:58:22.801Z") * 1000 + 147) << 8n) | 1n;
    expect(externalId(id)).toBe("CO6IV5AQ1UO1");
    expect(parseExternalId("CO6IV5AQ1UO1")).toBe(id);
    expect(parseExternalId("co6iv5aq1uo1")).toBe(id);
    expect(microsOfId(id)).toBe(Date.parse("2026-11-22T00:58:22.801Z") * 1000 + 147);
  });

  test.each(["", "W", "-1", "+1", " 1", "1 ", "1.0", "ß", "PURPLEFE965CC9", "80000000000000", "8000000000000", "０"])(
    "%j shows none",
    (text) => {
      expect(parseExternalId(text)).toBeUndefined();
    },
  );

  test("the highest is that of a signed column", () => {
    expect(parseExternalId("7VVVVVVVVVVVV")).toBe(MAX_MESSAGE_ID);
  });

  test("the ids of a time, and of times that have none", () => {
    expect(idsAt(1_000_000)).toEqual({ lowest: 256_000_000n, highest: 256_000_255n });
    expect(idsAt(-1)).toEqual({ lowest: 0n, highest: -1n });
    expect(idsAt(Date.parse("9999-12-31T23:59:59Z") * 1000)).toEqual({
      lowest: MAX_MESSAGE_ID,
      highest: MAX_MESSAGE_ID,
    });
  });
});
