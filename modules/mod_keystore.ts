// Keys that other features use by name: read from files, or made at start and kept in memory only. No protocol.
import { readFile } from "node:fs/promises";
import { z } from "zod";
import { enumOf, filename, keyedList, nonEmpty, nonNegative, rule } from "../core/config/types.ts";
import { defineModule, type ModuleContext } from "../core/module.ts";

declare module "../core/hooks.ts" {
  interface FoldHooks {
    /** The secret key of a name, undefined when nobody has it. */
    get_key: { acc: Uint8Array | undefined; params: { name: string } };
  }
}

const config = z.strictObject({
  keys: keyedList(
    rule(
      z.strictObject({
        name: nonEmpty().describe("Name of the key"),
        type: enumOf("file", "ram").describe("Read from a file, or made at start"),
        path: filename().optional().describe("File with the key"),
      }),
      (key) => key.type !== "file" || key.path !== undefined,
      'type "file" needs it',
      "path",
    ),
    "name",
  )
    .default([])
    .describe("Keys that other modules use by name"),
  ram_key_size: nonNegative().default(2048).describe("Size of keys made at start, bytes"),
});
type Context = ModuleContext<z.output<typeof config>, undefined>;

/** The keys of a host type by name, as long as the feature runs there. */
const KEYS = new WeakMap<object, ReadonlyMap<string, Uint8Array>>();

export default defineModule({
  name: "mod_keystore",
  xeps: [],
  config,
  hooks: { get_key: (acc, { name }, ctx) => acc ?? KEYS.get(ctx)?.get(name) },
  async start(ctx: Context) {
    const keys = new Map<string, Uint8Array>();
    for (const { name, type, path } of ctx.config.keys) {
      const key = type === "file" ? await readFile(path!) : ctx.server.random(ctx.config.ram_key_size);
      // What is signed with nothing anybody can sign.
      if (key.length === 0) {
        const what = type === "file" ? `the file ${path} is empty` : "ram_key_size is 0";
        throw new Error(`Cannot make the key "${name}" of modules.mod_keystore: ${what}`);
      }
      keys.set(name, key);
    }
    KEYS.set(ctx, keys);
  },
});
