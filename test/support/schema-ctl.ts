// `mongooseimctl schema` in this process, on a configuration with one pool.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { stringify } from "smol-toml";
import { runCtl } from "../../cmd/ctl/index.ts";
import { processIo } from "../../cmd/ctl/process-io.ts";
import { moduleSchemas } from "../../cmd/server.ts";

/**
 * Runs `schema` with these words; the pool and the embedded database are in a state directory that is there.
 * @returns the exit code, and all that was said
 */
export async function schemaCtl(dir: string, connection: object, ...words: string[]): Promise<[number, string]> {
  const configFile = join(dir, "mongooseim.toml");
  const general = { hosts: ["localhost"], default_server_domain: "localhost" };
  writeFileSync(configFile, stringify({ general, outgoing_pools: { rdbms: { default: { connection } } } }));
  let text = "";
  const say = (more: string): void => {
    text += more;
  };
  const io = {
    ...processIo({ moduleSchemas: async () => moduleSchemas(), foreground: async () => 1 }),
    out: say,
    err: say,
  };
  const code = await runCtl(["schema", ...words, "--config", configFile, "--state-dir", dir], io, { version: "1" });
  return [code, text];
}
