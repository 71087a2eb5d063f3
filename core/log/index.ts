// The structured log.
export type { Fields } from "./format.ts";
export type { LineLevel, LogLevel } from "./level.ts";
export { isLogLevel, LEVEL_NAMES, LEVELS } from "./level.ts";
export type { LogOptions } from "./log.ts";
export { Log } from "./log.ts";
export type { LogSink } from "./sink.ts";
export { FdSink, isJournal, MemorySink } from "./sink.ts";
