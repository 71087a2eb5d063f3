// A server that was given no configuration file: the embedded default, with a password of its own for administrators,
// and a few words on what to do next.

import { randomBytes } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { type Config, defaultConfig, type ModuleSchemas } from "../core/config/index.ts";
import type { CtlIo } from "./ctl/io.ts";
import { stateDirOf } from "./ctl/state-dir.ts";

/** The administrator of the GraphQL API in the embedded default. */
export const ADMIN = "admin";

export const adminPasswordPath = (stateDir: string): string => join(stateDir, "graphql-admin-password");

/**
 * The embedded default, in which the GraphQL API for administrators asks for the password of this installation.
 * @throws Error when the state directory cannot be used
 */
export function embeddedConfig(modules: ModuleSchemas, stateDir: string): Config {
  const config = defaultConfig(modules);
  const password = adminPassword(stateDir);
  const http = config.listen.http.map((listener) => ({
    ...listener,
    handlers: {
      ...listener.handlers,
      mongoose_graphql_handler: listener.handlers.mongoose_graphql_handler?.map((handler) =>
        handler.schema_endpoint === "admin" ? { ...handler, username: ADMIN, password } : handler,
      ),
    },
  }));
  return { ...config, listen: { ...config.listen, http } };
}

/** Made once; whoever may read the state directory may read it there. */
function adminPassword(stateDir: string): string {
  const file = adminPasswordPath(stateDir);
  mkdirSync(stateDir, { recursive: true, mode: 0o700 });
  try {
    writeFileSync(file, `${randomBytes(18).toString("base64url")}\n`, { mode: 0o600, flag: "wx" });
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "EEXIST")) throw error;
  }
  const password = readFileSync(file, "utf8").trim();
  if (password === "") throw new Error(`"${file}" is empty: remove it, and a new password is made`);
  return password;
}

/** How the user reaches this server from a shell: the words to put before a command. */
export function ctlCommand(argv0: string, stateDir: string, io: Pick<CtlIo, "env" | "uid">): string {
  // A link called mongooseim is the server; uncompiled, the name is Bun's.
  const program = basename(argv0) === "mongooseimctl" ? argv0 : "mongooseimctl";
  return stateDirOf(undefined, io) === stateDir ? program : `${program} --state-dir ${stateDir}`;
}

/**
 * What a newcomer wants to know when the server runs.
 * @param ctl see ctlCommand
 */
export function greeting(config: Config, stateDir: string, ctl: string): string {
  const [domain] = config.general.hosts;
  const ports = config.listen.c2s.map(({ port, tls }) => `${port} (${tls?.mode === "tls" ? "TLS" : "STARTTLS"})`);
  return `MongooseIM serves ${domain} with the embedded default; its data is in ${stateDir}
  clients connect to ports ${ports.join(" and ")}
  make an account:  ${ctl} account registerUser --domain ${domain} --username alice --password secret
  all commands:     ${ctl} --help
`;
}
