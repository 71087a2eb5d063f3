import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { unzipSync } from "fflate";
import { afterAll, beforeAll, expect, test } from "vitest";
import { ZipFile } from "../../../core/node-operations/zip-file.ts";

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), "zip-"));
});
afterAll(() => rmSync(dir, { recursive: true }));

async function* parts(...texts: string[]) {
  yield* texts;
}

test("files come out as they were put in, whatever the size of their parts", async () => {
  const path = join(dir, "one.zip");
  const zip = await ZipFile.create(path);
  const long = "0123456789é".repeat(50_000);
  await zip.add("a.csv", parts("x", "", "y", long));
  await zip.add("empty.csv", parts());
  await zip.finish();
  expect(statSync(path).mode & 0o777).toBe(0o600);
  const files = Object.entries(unzipSync(readFileSync(path))).map(([name, bytes]) => [
    name,
    new TextDecoder().decode(bytes),
  ]);
  expect(files).toEqual([
    ["a.csv", `xy${long}`],
    ["empty.csv", ""],
  ]);
});

test("what the format cannot hold is refused", async () => {
  const zip = await ZipFile.create(join(dir, "two.zip"), 100_000);
  await expect(zip.add("a.csv", parts("x".repeat(90_000), "x".repeat(90_000)))).rejects.toMatchObject({
    code: "file_write_error",
    message: 'Cannot write "a.csv": it would be larger than a zip file can be (4 GB)',
  });
  await zip.discard();
  expect(existsSync(zip.path)).toBe(false);
});

test("one that is given up is gone, and can be made again", async () => {
  const path = join(dir, "three.zip");
  const zip = await ZipFile.create(path);
  await zip.add("a.csv", parts("x"));
  await expect(ZipFile.create(path)).rejects.toMatchObject({ code: "file_exists_error" });
  await zip.discard();
  expect(existsSync(path)).toBe(false);
  await (await ZipFile.create(path)).finish();
  expect(unzipSync(readFileSync(path))).toEqual({});
});
