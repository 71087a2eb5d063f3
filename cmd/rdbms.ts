// From outgoing_pools.rdbms.default to an open database.

import { readFileSync } from "node:fs";
import { isAbsolute, join } from "node:path";
import type { Config } from "../core/config/index.ts";
import type { Log } from "../core/log/index.ts";
import type { Db } from "../core/storage/db.ts";
import { openStorage } from "../core/storage/index.ts";
import type { PgsqlOptions } from "../core/storage/pgsql.ts";
import { DAMAGE_ADVICE } from "../core/storage/sqlite/damage.ts";
import { readContextOptions } from "../core/tls/settings.ts";
import type { Elsewhere } from "../transports/control/paths.ts";

export const POOL = "outgoing_pools.rdbms.default";

type Connection = NonNullable<Config["outgoing_pools"]["rdbms"]>["default"]["connection"];

/**
 * Opens the database of the pool. Undefined when the embedded one serves: there is no pool, or its driver is "sqlite"
 * without a file of its own. Rejects with one line when the database cannot be used: to serve an empty one in its place
 * would look like the loss of all accounts.
 */
export async function openRdbms(config: Config, stateDir: string, log: Log): Promise<Db | undefined> {
  const pool = config.outgoing_pools.rdbms?.["default"];
  if (pool === undefined) return undefined;
  const { connection } = pool;
  switch (connection.driver) {
    case "sqlite": {
      const { database } = connection;
      if (database === undefined) return undefined;
      return openStorage({
        stateDir,
        file: isAbsolute(database) ? database : join(stateDir, database),
        sqlite: { damaged: onDamage(log, database) },
      });
    }
    case "pgsql":
      return openStorage({
        pgsql: {
          host: connection.host!,
          port: connection.port,
          database: connection.database!,
          username: connection.username!,
          password: connection.password,
          ssl: tlsOf(connection),
          poolSize: pool.workers,
          statementTimeoutMs: connection.query_timeout,
        },
      });
    case "mysql":
      return openStorage({
        mysql: {
          host: connection.host!,
          port: connection.port,
          database: connection.database!,
          username: connection.username!,
          password: connection.password,
          ssl: tlsOf(connection),
          poolSize: pool.workers,
          statementTimeoutMs: connection.query_timeout,
        },
      });
    default:
      throw new Error(
        `Cannot use driver "${connection.driver}" of ${POOL}.connection: it is not in this build; use "pgsql", or remove the pool to use the embedded database`,
      );
  }
}

/** Tells once a minute that requests find a file damaged; everything that is not touched is served on. */
export const onDamage = (log: Log, file: string) => (reason: string) =>
  log.limited(`damage ${file}`, 60)?.critical("database_damaged", { file, reason, advice: DAMAGE_ADVICE });

/** Databases that the server uses beside those in its state directory, which backups have. */
export function databasesElsewhere(config: Config): Elsewhere[] {
  const pool = config.outgoing_pools.rdbms?.["default"];
  if (pool === undefined) return [];
  const { driver, database } = pool.connection;
  if (driver === "sqlite" && (database === undefined || !isAbsolute(database))) return [];
  return [{ name: POOL, driver, ...(database === undefined ? {} : { database }) }];
}

/** Pools of databases that are configured and that nothing asks: only the global `default` one is used so far. */
export function unusedPools(config: Config): string[] {
  const tags = Object.keys(config.outgoing_pools.rdbms ?? {}).filter((tag) => tag !== "default");
  const found = tags.map((tag) => `outgoing_pools.rdbms.${tag}`);
  for (const [i, table] of config.host_config.entries()) {
    for (const tag of Object.keys(table.outgoing_pools?.rdbms ?? {})) {
      found.push(`host_config[${i}].outgoing_pools.rdbms.${tag}`);
    }
  }
  return found;
}

/**
 * TLS towards the database. MongooseIM goes on in clear text when it is not required and the server has none; so do we
 * when nothing is to be verified either, and refuse otherwise.
 */
function tlsOf({ driver, tls, host }: Connection): PgsqlOptions["ssl"] {
  if (tls === undefined) return false;
  // `required` is no option of MySQL, where a TLS table always means TLS.
  const optional = driver !== "mysql" && !tls.required;
  if (optional && tls.verify_mode === "none" && tls.certfile === undefined) return "prefer";
  const { options } = readContextOptions(tls, `${POOL}.connection.tls`);
  const own =
    tls.certfile === undefined || tls.keyfile === undefined
      ? {}
      : { cert: readFileSync(tls.certfile, "utf8"), key: readFileSync(tls.keyfile, "utf8"), passphrase: tls.password };
  const { enabled, host: name = host } = tls.server_name_indication;
  return {
    ...options,
    ...own,
    rejectUnauthorized: tls.verify_mode !== "none",
    ...(enabled ? { servername: name } : {}),
  };
}
