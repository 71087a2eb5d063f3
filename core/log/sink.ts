// Where lines go: a file descriptor, written once per turn of the event loop.
import { fstatSync, writeSync } from "node:fs";

/** Takes finished lines, each with its line end. */
export interface LogSink {
  write(line: string): void;
  /** Writes out what is still held; returns when it is written or given up. */
  flush(): void;
}

const RETRY_MS = 20;

/**
 * Collects the lines of a turn and writes them in one call. A reader that does not keep up is waited for without
 * blocking the process; past `limit` bytes lines are dropped, and how many is said when there is room again.
 */
export class FdSink implements LogSink {
  readonly #fd: number;
  readonly #limit: number;
  readonly #onExit = () => this.flush();
  #lines: string[] = [];
  #size = 0;
  #rest: Buffer | undefined;
  #dropped = 0;
  #armed = false;

  constructor(fd: number, limit = 1 << 20) {
    this.#fd = fd;
    this.#limit = limit;
    process.on("exit", this.#onExit);
  }

  write(line: string): void {
    if (this.#size > this.#limit) {
      this.#dropped++;
      return;
    }
    this.#lines.push(line);
    this.#size += line.length;
    if (!this.#armed) {
      this.#armed = true;
      setImmediate(() => {
        this.#armed = false;
        this.#drain();
      });
    }
  }

  flush(): void {
    // The reader gets a last chance: this runs at exit and after fatal lines, when there is no later.
    for (let tries = 0; tries < 5 && this.#size > 0; tries++) {
      if (tries > 0) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, RETRY_MS);
      this.#write();
    }
  }

  /** Flushes and stops listening for the end of the process. The descriptor stays open: it is the caller's. */
  close(): void {
    this.flush();
    process.off("exit", this.#onExit);
  }

  #drain(): void {
    this.#write();
    if (this.#size > 0 && !this.#armed) {
      this.#armed = true;
      setTimeout(() => {
        this.#armed = false;
        this.#drain();
      }, RETRY_MS).unref();
    }
  }

  #write(): void {
    if (this.#size === 0) return;
    if (this.#dropped > 0) {
      this.#lines.push(`level=error what=log_lines_dropped count=${this.#dropped}\n`);
      this.#dropped = 0;
    }
    const fresh = Buffer.from(this.#lines.join(""));
    const bytes = this.#rest === undefined ? fresh : Buffer.concat([this.#rest, fresh]);
    this.#lines = [];
    let done = 0;
    try {
      while (done < bytes.length) done += writeSync(this.#fd, bytes, done, bytes.length - done);
    } catch (error) {
      // A full pipe is tried again; a descriptor that is gone (EPIPE, EBADF, ENOSPC) has nobody to tell.
      if ((error as NodeJS.ErrnoException).code !== "EAGAIN") done = bytes.length;
    }
    this.#rest = done < bytes.length ? bytes.subarray(done) : undefined;
    this.#size = this.#rest?.length ?? 0;
  }
}

/** Keeps lines in memory: for tests and for showing the last lines to an administrator. */
export class MemorySink implements LogSink {
  readonly lines: string[] = [];
  readonly #keep: number;

  constructor(keep = Number.POSITIVE_INFINITY) {
    this.#keep = keep;
  }

  write(line: string): void {
    this.lines.push(line.slice(0, -1));
    if (this.lines.length > this.#keep) this.lines.shift();
  }

  flush(): void {}
}

/**
 * Whether the descriptor is systemd's journal: JOURNAL_STREAM holds its device and inode (systemd.exec(5)).
 * The variable alone is not enough, since a child whose output was redirected inherits it too.
 */
export function isJournal(fd: number, journalStream: string | undefined): boolean {
  if (!journalStream) return false;
  try {
    const stat = fstatSync(fd, { bigint: true });
    return journalStream === `${stat.dev}:${stat.ino}`;
  } catch {
    return false;
  }
}
