import { expect, test } from "vitest";
import { Pace } from "../../../core/pace.ts";

test("the turn ends when much has been sent in it, and then counts anew", async () => {
  const pace = new Pace();
  const most = 128 * 1024;
  expect(pace.sent(most)).toBeUndefined();
  let turned = false;
  setImmediate(() => {
    turned = true;
  });
  await pace.sent(1);
  expect(turned).toBe(true);
  expect(pace.sent(most)).toBeUndefined();
  expect(pace.sent(1)).toBeInstanceOf(Promise);
});
