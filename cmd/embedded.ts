// A server that was given no configuration file: the embedded default, with a password of its own for administrators,
// and a few words on what to do next.

import { randomBytes } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Config, defaultConfig, type ModuleSchemas } from "../core/config/index.ts";

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

/** What a newcomer wants to know when the server runs. */
export function greeting(config: Config, stateDir: string): string {
  const [domain] = config.general.hosts;
  const ports = config.listen.c2s.map(({ port, tls }) => `${port} (${tls?.mode === "tls" ? "TLS" : "STARTTLS"})`);
  return `MongooseIM serves ${domain} with the embedded default; its data is in ${stateDir}
  clients connect to ports ${ports.join(" and ")}
  make an account:  mongooseimctl account registerUser --domain ${domain} --username alice --password secret
  all commands:     mongooseimctl --help
`;
}
