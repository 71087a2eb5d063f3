import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { stateDirOf } from "../../../../cmd/ctl/state-dir.ts";

const dir = mkdtempSync(join(tmpdir(), "ctl-"));
afterAll(() => rmSync(dir, { recursive: true }));

describe("the state directory", () => {
  const HOME = { HOME: "/home/a" };

  test.each([
    ["is the one given", "given", { MONGOOSEIM_STATE_DIR: "/env" }, 0, resolve("given")],
    ["else that of the environment", undefined, { MONGOOSEIM_STATE_DIR: "/env" }, 0, "/env"],
    ["else the system's for root", undefined, HOME, 0, join(dir, "var")],
    ["else one in the user's home", undefined, HOME, 1000, "/home/a/.local/state/mongooseim"],
    ["which XDG may move", undefined, { ...HOME, XDG_STATE_HOME: "/xdg" }, 1000, "/xdg/mongooseim"],
  ])("%s", (_title, given, env, uid, expected) => {
    expect(stateDirOf(given, { env, uid }, join(dir, "var"))).toBe(expected);
  });

  test("is in root's home when the system's cannot be made", () => {
    expect(stateDirOf(undefined, { env: { HOME: "/root" }, uid: 0 }, "/dev/null/x")).toBe(
      "/root/.local/state/mongooseim",
    );
  });
});
