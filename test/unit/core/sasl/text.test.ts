import fc from "fast-check";
import { expect, test } from "vitest";
import { decodeBase64 } from "../../../../core/sasl/index.ts";

test("= means present but empty (RFC 6120 §6.4.2)", () => {
  expect(decodeBase64("=")).toEqual(new Uint8Array(0));
});

test.each(["!!!notbase64", "AA=", "A", "AB==", "AAB=", "AA==AA==", " AA==", "AA==\n", "A A=", "====", "==", "AA-_"])(
  "%j is not canonical Base64",
  (text) => {
    expect(decodeBase64(text)).toBeUndefined();
  },
);

test("whatever was encoded is decoded", () => {
  fc.assert(
    fc.property(fc.uint8Array(), (bytes) => {
      expect(decodeBase64(Buffer.from(bytes).toString("base64"))).toEqual(bytes);
    }),
  );
});

test("what is decoded encodes to the same text", () => {
  fc.assert(
    fc.property(fc.string({ maxLength: 8 }), (text) => {
      const bytes = decodeBase64(text);
      if (bytes && text !== "=") expect(Buffer.from(bytes).toString("base64")).toBe(text);
    }),
  );
});
