// The levels of the log: MongooseIM's names, with syslog's numbers (RFC 5424 §6.2.1) for the eight that syslog has.

/** Level name to number; a line is written when its number is at most the log's. */
export const LEVELS = {
  none: -1,
  emergency: 0,
  alert: 1,
  critical: 2,
  error: 3,
  warning: 4,
  notice: 5,
  info: 6,
  debug: 7,
  all: 8,
} as const;

/** A level that a log can be set to. */
export type LogLevel = keyof typeof LEVELS;

/** A level that a line can have. */
export type LineLevel = Exclude<LogLevel, "none" | "all">;

/** The level names in the order of their numbers, `none` first. */
export const LEVEL_NAMES = Object.keys(LEVELS) as readonly LogLevel[];

/** Whether `name` names a level of the log. */
export function isLogLevel(name: string): name is LogLevel {
  return Object.hasOwn(LEVELS, name);
}
