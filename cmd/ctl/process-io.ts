// The command line's world as it is: this process, its terminal, its environment.

import { readFileSync } from "node:fs";
import { setPriority } from "node:os";
import { basename } from "node:path";
import type { CtlIo } from "./io.ts";

/** The words that run this program again: the executable, or Bun and the script when it is not compiled. */
function selfCommand(): readonly string[] {
  // Bun puts the files of a compiled executable under this path.
  return Bun.main.startsWith("/$bunfs/") ? [process.execPath] : [process.execPath, Bun.main];
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    // EPERM: it exists and is somebody else's.
    return error instanceof Error && "code" in error && error.code === "EPERM";
  }
  try {
    // In a container whose first process does not reap, an ended server stays as a zombie.
    return !/^\d+ \(.*\) Z/s.test(readFileSync(`/proc/${pid}/stat`, "latin1"));
  } catch {
    return true;
  }
}

function isServer(pid: number): boolean {
  try {
    const words = readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0");
    return words.some((word) => basename(word).startsWith("mongooseim"));
  } catch {
    return process.platform !== "linux";
  }
}

function lowPriority(): void {
  try {
    setPriority(10);
  } catch {
    // Not allowed here: this process takes its share like every other.
  }
}

/** The real world; what runs a server or knows modules is loaded by the functions given, when it is needed. */
export function processIo(heavy: Pick<CtlIo, "foreground" | "moduleSchemas">): CtlIo {
  return {
    ...heavy,
    out: (text) => void process.stdout.write(text),
    err: (text) => void process.stderr.write(text),
    env: process.env,
    uid: process.getuid?.() ?? 1,
    columns: process.stdout.columns || 80,
    self: selfCommand(),
    sleep: (ms) => Bun.sleep(ms),
    lowPriority,
    isAlive,
    isServer,
    signal: (pid, signal) => void process.kill(pid, signal),
  };
}
