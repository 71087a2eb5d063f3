// Which state directory a command is about.

import { accessSync, constants, mkdirSync } from "node:fs";
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import type { CtlIo } from "./io.ts";

const SYSTEM_DIR = "/var/lib/mongooseim";

/**
 * The directory given with --state-dir, else $MONGOOSEIM_STATE_DIR, else /var/lib/mongooseim for root (when it can be
 * used), else $XDG_STATE_HOME/mongooseim or ~/.local/state/mongooseim.
 */
export function stateDirOf(given: string | undefined, io: Pick<CtlIo, "env" | "uid">, systemDir = SYSTEM_DIR): string {
  const chosen = given || io.env["MONGOOSEIM_STATE_DIR"];
  if (chosen) return resolve(chosen);
  if (io.uid === 0 && usable(systemDir)) return systemDir;
  const base = io.env["XDG_STATE_HOME"] || join(io.env["HOME"] || homedir(), ".local", "state");
  return join(base, "mongooseim");
}

function usable(dir: string): boolean {
  try {
    mkdirSync(dir, { recursive: true, mode: 0o700 });
    accessSync(dir, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}
