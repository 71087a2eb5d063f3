// Where a running server is to be found: names in its state directory, and what it says about itself. The client
// imports this file and nothing else of the server, so that it starts quickly.

import { join } from "node:path";

export const socketPath = (stateDir: string): string => join(stateDir, "control.sock");

/** MongooseIM's variable for the pid file is honoured. */
export const pidPath = (stateDir: string, env: Readonly<Record<string, string | undefined>>): string =>
  env["EJABBERD_PID_PATH"] || join(stateDir, "mongooseim.pid");

/** Where a server started as a daemon writes what would go to the terminal. */
export const daemonLogPath = (stateDir: string): string => join(stateDir, "mongooseim.log");

/** The state of the server, as `mongooseimctl status` shows it. */
export interface ServerStatus {
  readonly node: string;
  readonly pid: number;
  readonly state: "starting" | "started" | "stopping";
  readonly version: string;
  /** Seconds. */
  readonly uptime: number;
  /** Where the log goes: file names, or "stdout". */
  readonly logs: readonly string[];
}

/** A database that a server uses and that is not in its state directory. */
export interface Elsewhere {
  /** What names it in the configuration. */
  readonly name: string;
  readonly driver: string;
  readonly database?: string;
}
