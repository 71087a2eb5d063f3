// The clock of a process, set while it runs: libfaketime answers in the kernel's place what time it is. What only lasts,
// the monotonic clock and timers, stays as it is, as when somebody sets the clock of a machine.

import { existsSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** Debian's package of it. */
export const FAKETIME_PACKAGE = "libfaketime";

/** The library for processes with threads; undefined when it is not installed. */
export function faketimeLibrary(): string | undefined {
  const machine = process.arch === "arm64" ? "aarch64" : "x86_64";
  const places = [`/usr/lib/${machine}-linux-gnu`, "/usr/lib64", "/usr/lib"];
  return places.map((place) => join(place, "faketime/libfaketimeMT.so.1")).find((file) => existsSync(file));
}

/** What the processes that are given its environment take for the time. */
export class FakeClock {
  /** Seconds ahead of the machine's clock. */
  offset = 0;
  private readonly file: string;

  /** @param dir where the file is that the processes look at */
  constructor(
    private readonly library: string,
    dir: string,
  ) {
    this.file = join(dir, "clock");
    this.set(0);
  }

  get env(): Record<string, string> {
    return {
      LD_PRELOAD: this.library,
      FAKETIME_TIMESTAMP_FILE: this.file,
      // The file is looked at whenever somebody asks for the time.
      FAKETIME_NO_CACHE: "1",
      FAKETIME_DONT_FAKE_MONOTONIC: "1",
      NO_FAKE_STAT: "1",
    };
  }

  /** Sets the clock; it takes effect at once. */
  set(seconds: number): void {
    this.offset = seconds;
    // Never half written: the time is asked for all the time.
    writeFileSync(`${this.file}.new`, seconds < 0 ? `${seconds}\n` : `+${seconds}\n`);
    renameSync(`${this.file}.new`, this.file);
  }

  /** Removes the shared memory that a process has left. */
  forget(pid: number): void {
    for (const name of readdirSync("/dev/shm")) {
      if (name === `faketime_shm_${pid}` || name === `sem.faketime_sem_${pid}`) rmSync(join("/dev/shm", name));
    }
  }
}
