// The structured log: a line has a level, a snake_case `what` that names the event, and fields.
import type { Fields, Format } from "./format.ts";
import { json, logfmt } from "./format.ts";
import type { LineLevel, LogLevel } from "./level.ts";
import { LEVELS } from "./level.ts";
import type { LogSink } from "./sink.ts";

/** How a log is set up. */
export interface LogOptions {
  readonly level?: LogLevel;
  readonly format?: "logfmt" | "json";
  /** Puts `<N>` before each line, the priority that journald reads (sd-daemon(3)). */
  readonly journald?: boolean;
  readonly sink: LogSink;
  /** Milliseconds since 1970. */
  readonly now?: () => number;
}

interface Repeat {
  until: number;
  suppressed: number;
}

/** What a log and all its children share. */
class Shared {
  threshold: number;
  level: LogLevel;
  readonly format: Format;
  readonly journald: boolean;
  readonly sink: LogSink;
  readonly now: () => number;
  readonly repeats = new Map<string, Repeat>();

  constructor(options: LogOptions) {
    this.level = options.level ?? "warning";
    this.threshold = LEVELS[this.level];
    this.format = options.format === "json" ? json : logfmt;
    this.journald = options.journald ?? false;
    this.sink = options.sink;
    this.now = options.now ?? Date.now;
  }
}

const MOST_REPEATS = 1024;

/** Writes lines with its fields added. Never throws: a line that cannot be made is replaced by one that says so. */
export class Log {
  readonly #shared: Shared;
  readonly #fields: readonly Fields[];

  constructor(options: LogOptions | Log, fields: readonly Fields[] = []) {
    this.#shared = options instanceof Log ? options.#shared : new Shared(options);
    this.#fields = fields;
  }

  /** The level of this log, its parents and its children: they share one. */
  get level(): LogLevel {
    return this.#shared.level;
  }

  set level(level: LogLevel) {
    this.#shared.level = level;
    this.#shared.threshold = LEVELS[level];
  }

  /** Whether lines of this level are written: ask before making costly fields. */
  enabled(level: LineLevel): boolean {
    return LEVELS[level] <= this.#shared.threshold;
  }

  /** A log that adds these fields to every line. */
  child(fields: Fields): Log {
    return new Log(this, [...this.#fields, fields]);
  }

  /**
   * This log the first time it is asked for `key` and again after `seconds`; nothing in between, so that a line that
   * anyone can cause (`log.limited("tls_failed", 10)?.warning(...)`) cannot fill the disk. The next line that passes
   * carries how many were left out, as `suppressed`.
   */
  limited(key: string, seconds: number): Log | undefined {
    const { repeats, now } = this.#shared;
    const at = now();
    const repeat = repeats.get(key);
    if (repeat !== undefined && at < repeat.until) {
      repeat.suppressed++;
      return undefined;
    }
    repeats.delete(key);
    if (repeats.size >= MOST_REPEATS) repeats.delete(repeats.keys().next().value!);
    repeats.set(key, { until: at + seconds * 1000, suppressed: 0 });
    return repeat !== undefined && repeat.suppressed > 0 ? this.child({ suppressed: repeat.suppressed }) : this;
  }

  emergency(what: string, fields?: Fields): void {
    if (this.#shared.threshold >= LEVELS.emergency) this.#write("emergency", what, fields);
  }

  alert(what: string, fields?: Fields): void {
    if (this.#shared.threshold >= LEVELS.alert) this.#write("alert", what, fields);
  }

  critical(what: string, fields?: Fields): void {
    if (this.#shared.threshold >= LEVELS.critical) this.#write("critical", what, fields);
  }

  error(what: string, fields?: Fields): void {
    if (this.#shared.threshold >= LEVELS.error) this.#write("error", what, fields);
  }

  warning(what: string, fields?: Fields): void {
    if (this.#shared.threshold >= LEVELS.warning) this.#write("warning", what, fields);
  }

  notice(what: string, fields?: Fields): void {
    if (this.#shared.threshold >= LEVELS.notice) this.#write("notice", what, fields);
  }

  info(what: string, fields?: Fields): void {
    if (this.#shared.threshold >= LEVELS.info) this.#write("info", what, fields);
  }

  debug(what: string, fields?: Fields): void {
    if (this.#shared.threshold >= LEVELS.debug) this.#write("debug", what, fields);
  }

  /** Writes out held lines now: before the process ends on purpose. */
  flush(): void {
    this.#shared.sink.flush();
  }

  #write(level: LineLevel, what: string, fields: Fields | undefined): void {
    const shared = this.#shared;
    const prefix = shared.journald ? `<${LEVELS[level]}>` : "";
    let text: string;
    try {
      const all = fields === undefined ? this.#fields : [...this.#fields, fields];
      text = shared.format({ at: shared.now(), level, what, fields: all });
    } catch {
      text = shared.format({ at: 0, level: "error", what: "log_format_failed", fields: [{ event: String(what) }] });
    }
    try {
      shared.sink.write(`${prefix}${text}\n`);
      if (LEVELS[level] <= LEVELS.critical) shared.sink.flush();
    } catch {
      // A sink that fails must not take the server with it, and there is nowhere else to say so.
    }
  }
}
