// What is logged of requests while their database is away.

import type { Log } from "../log/index.ts";
import { isAway } from "./db.ts";

/**
 * Where an error is logged that a request of somebody has met. That the database is away is told when it is found out
 * (`database_lost`); then every request meets it, and whoever sends many must not fill the disk: one line a minute.
 * @param key the name of the line
 */
export const logOf = (log: Log, key: string, error: unknown): Log | undefined =>
  isAway(error) ? log.limited(`${key} database_away`, 60) : log;
