// What the command line does to the world, so that tests can stand in for it.

import type { ModuleSchemas } from "../../core/config/schema.ts";

/** Exit codes of MongooseIM's scripts. */
export const OK = 0;
export const ERROR = 1;
export const USAGE = 2;
export const UNREACHABLE = 3;
/** Ours: `schema check` found a database that the server would change. */
export const NOT_UP_TO_DATE = 4;

export interface CtlIo {
  out(text: string): void;
  err(text: string): void;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly uid: number;
  /** Width of the terminal. */
  readonly columns: number;
  /** The words that run this program again, for `start`. */
  readonly self: readonly string[];
  sleep(ms: number): Promise<void>;
  /** From now on the server has the processor first. */
  lowPriority(): void;
  /** Whether a process exists (a zombie does not). */
  isAlive(pid: number): boolean;
  /** Whether a process is a server of ours: pid files outlive their processes, and pids are used again. */
  isServer(pid: number): boolean;
  signal(pid: number, signal: "SIGTERM" | "SIGKILL"): void;
  /** Runs the server in this process until it ends; resolves with the exit code. */
  foreground(options: { readonly configFile?: string; readonly stateDir: string }): Promise<number>;
  /** Schemas of the modules in this build, for `config check`. */
  moduleSchemas(): Promise<ModuleSchemas>;
}

/** An error to print as one line and end with. */
export class CtlError extends Error {
  override readonly name = "CtlError";
  constructor(
    message: string,
    readonly exitCode: number = ERROR,
  ) {
    super(message);
  }
}
