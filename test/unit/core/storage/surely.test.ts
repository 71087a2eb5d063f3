// A write whose answer is lost: what is said when it cannot be found out whether it was done.
import { expect, test } from "vitest";
import { StorageError, type StorageErrorCode } from "../../../../core/storage/db.ts";
import { surely } from "../../../../core/storage/surely.ts";

const lost = new StorageError("unavailable", "the connection was given up", { maybeDone: true });

test.each<[StorageErrorCode, boolean]>([
  ["unavailable", true],
  ["timeout", true],
  ["conflict", true],
  ["locked", true],
  ["full", true],
  // About what was to be written: it is asked for again without that.
  ["constraint", false],
])("a look that fails with %s after it says that it may be done: %s", async (code, maybeDone) => {
  const write = surely(
    () => Promise.reject(lost),
    () => Promise.reject(new StorageError(code, "no")),
  );
  await expect(write(1)).rejects.toMatchObject({ maybeDone });
});

test("a write that fails at once is not done, and says so", async () => {
  const write = surely(
    () => Promise.reject(new StorageError("timeout", "slow")),
    () => Promise.reject(new Error("nobody looks")),
  );
  await expect(write(1)).rejects.toMatchObject({ code: "timeout", maybeDone: false });
});
