import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { parseBareJid } from "../../../../core/jid.ts";
import type { Node } from "../../../../core/node.ts";
import { personalOps } from "../../../../core/node-operations/personal-data.ts";

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), "personal-"));
  mkdirSync(join(dir, "state/tls"), { recursive: true });
  symlinkSync(join(dir, "state"), join(dir, "link"));
});
afterAll(() => rmSync(dir, { recursive: true }));

const node = {
  hosts: new Map(),
  unusedStores: () => [],
  hostOf: () => ({ auth: { personalData: async () => [] }, hooks: { foldWhole: async () => [] }, stores: new Map() }),
  log: { notice: () => undefined },
} as unknown as Node;

test.each(["state/restore.json", "state/tls/a.zip", "link/a.zip", "link/../state/a.zip"])(
  "nothing is exported to %s, which is the server's own",
  async (path) => {
    const ops = personalOps(node, { stateDir: join(dir, "state") });
    await expect(ops.writeZip(parseBareJid("alice@localhost"), `${dir}/${path}`)).rejects.toThrow("state directory");
    expect(existsSync(`${dir}/${path}`)).toBe(false);
  },
);

test("beside it is no matter", async () => {
  const ops = personalOps(node, { stateDir: join(dir, "state") });
  await ops.writeZip(parseBareJid("alice@localhost"), join(dir, "statement.zip"));
  expect(existsSync(join(dir, "statement.zip"))).toBe(true);
});
