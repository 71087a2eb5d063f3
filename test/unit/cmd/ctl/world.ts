// A command line in a world of its own: captured output, a clock that does not wait, a temporary state directory.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runCtl } from "../../../../cmd/ctl/index.ts";
import type { CtlIo } from "../../../../cmd/ctl/io.ts";
import { coreOperations } from "../../../../core/operations/index.ts";
import { buildSchema } from "../../../../core/operations/schema.ts";
import { defineOperation } from "../../../../core/operations.ts";
import { pidPath, type ServerStatus } from "../../../../transports/control/paths.ts";
import { openControlSocket } from "../../../../transports/control/server.ts";
import { type FakeNode, fakeNode } from "../../core/operations/fake-node.ts";

/** Operations with arguments of every format: the core has no input object. */
const addContacts = defineOperation({
  category: "roster",
  name: "addContacts",
  kind: "mutation",
  description: "Add contacts",
  args: { user: "JID!", contacts: "[ContactInput!]!", note: { type: 'String = "none"', description: "A note" } },
  result: "[String]",
  scope: "global",
  run: ({ contacts, note }) => [...contacts.map((c) => c.jid.text), note],
});
export const schema = buildSchema([...coreOperations, addContacts]);

export interface World {
  readonly stateDir: string;
  readonly node: FakeNode;
  /** What the server was asked to do. */
  readonly did: string[];
  status: ServerStatus;
  /** Opens the control socket of a server. */
  serve(): Promise<void>;
  /** Runs a command line; gives exit code, stdout, stderr. */
  run(...words: string[]): Promise<[number, string, string]>;
  close(): Promise<void>;
}

export function world(io: Partial<CtlIo> = {}): World {
  const stateDir = mkdtempSync(join(tmpdir(), "ctl-"));
  const node = fakeNode();
  const did: string[] = [];
  const closers: (() => Promise<void>)[] = [];
  const self: World = {
    stateDir,
    node,
    did,
    status: { node: "mim@here", pid: 1234, state: "started", version: "1.2.3", uptime: 93_784, logs: ["stdout"] },
    async serve() {
      const server = await openControlSocket({
        stateDir,
        pidFile: pidPath(stateDir, {}),
        schema,
        node,
        status: () => self.status,
        stop: () => void did.push("stop"),
        restart: () => void did.push("restart"),
        hold() {
          did.push("hold");
          const elsewhere = [{ name: "outgoing_pools.rdbms.default", driver: "pgsql", database: "xmpp" }];
          return { elsewhere, release: () => void did.push("release") };
        },
        onError: (error) => void did.push(String(error)),
      });
      closers.push(server.close);
    },
    async run(...words) {
      let out = "";
      let err = "";
      const code = await runCtl(
        words.includes("--state-dir") ? words : ["--state-dir", stateDir, ...words],
        {
          out(text) {
            out += text;
          },
          err(text) {
            err += text;
          },
          env: {},
          uid: 1000,
          columns: 100,
          self: ["/opt/mim/mongooseimctl"],
          lowPriority() {},
          async sleep(ms) {
            did.push(`sleep ${ms}`);
          },
          isAlive: () => false,
          isServer: () => true,
          signal: (pid, signal) => void did.push(`${signal} ${pid}`),
          async foreground(options) {
            did.push(`foreground ${JSON.stringify(options)}`);
            return 7;
          },
          moduleSchemas: async () => ({}),
          ...io,
        },
        { version: "1.2.3" },
      );
      return [code, out, err];
    },
    async close() {
      for (const close of closers) await close();
      rmSync(stateDir, { recursive: true });
    },
  };
  return self;
}
