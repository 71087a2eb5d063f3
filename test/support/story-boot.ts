// Until cmd/server.ts compiles: the engine and its doors, wired by hand.
import { existsSync } from "node:fs";
import { Listeners } from "../../cmd/listeners.ts";
import type { Config } from "../../core/config/index.ts";
import type { Log } from "../../core/log/index.ts";
import type { AnyModule } from "../../core/module.ts";
import { Node } from "../../core/node.ts";
import { openStorage } from "../../core/storage/index.ts";
import { CertificateStore } from "../../core/tls/index.ts";
import { MODULES } from "../../modules/index.ts";

const all: AnyModule[] = [...MODULES];
const presence = new URL("../../modules/mod_presence/index.ts", import.meta.url).pathname;
if (!all.some((m) => m.name === "mod_presence") && existsSync(presence)) all.push((await import(presence)).default);

export const moduleSchemas = (): Record<string, AnyModule["config"]> =>
  Object.fromEntries(all.map((m) => [m.name, m.config]));

export interface RunningServer {
  readonly node: Node;
  readonly listeners: Listeners;
  close(): Promise<void>;
}

export async function startServer(config: Config, { stateDir }: { stateDir: string }, log: Log): Promise<RunningServer> {
  const embedded = await openStorage({ stateDir });
  const node = new Node({
    config,
    modules: new Map(all.map((m) => [m.name, m])),
    embedded,
    log,
    version: "0.1.0",
    saltSecret: new Uint8Array(32),
  });
  const certificates = new CertificateStore({ stateDir, log, now: Date.now });
  certificates.ensureSelfSigned(["localhost"]);
  const listeners = new Listeners({ node, config, certificates, stateDir, log, handlers: () => [] });
  await node.start();
  listeners.start();
  return {
    node,
    listeners,
    async close() {
      await listeners.stop();
      await node.stop();
      await embedded.close();
    },
  };
}
