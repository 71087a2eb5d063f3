import { expect, test } from "vitest";

test("runs on Bun", () => {
  expect(typeof Bun.listen).toBe("function");
});
