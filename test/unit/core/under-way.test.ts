import { expect, test } from "vitest";
import { UnderWay } from "../../../core/under-way.ts";

test("waits for what was begun before, however it ends, and not for what is begun after", async () => {
  const works = new UnderWay();
  const [good, bad, later] = [0, 1, 2].map(() => Promise.withResolvers<number>());
  const begun = [works.add(good.promise), works.add(bad.promise)];
  let settled = false;
  const all = works.settled().then(() => {
    settled = true;
  });
  void works.add(later.promise);
  good.resolve(1);
  expect(await begun[0]).toBe(1);
  await Bun.sleep(1);
  expect(settled).toBe(false);
  bad.reject(new Error("lost"));
  await all;
  await expect(begun[1]).rejects.toThrow("lost");
  later.resolve(2);
  await works.settled();
});

test("waits for nothing when nothing is being done", async () => {
  await new UnderWay().settled();
  expect(await new UnderWay().add(Promise.resolve("x"))).toBe("x");
});
