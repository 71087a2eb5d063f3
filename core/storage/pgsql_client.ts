// A connection to PostgreSQL: a client of the library, postgres, with one connection in its life. What of the library does
// harm is kept from happening here.
import type { Socket } from "node:net";
import postgres from "postgres";
import { StorageError } from "./db.ts";
import { dial, type PgsqlTls } from "./pgsql_socket.ts";
import { TYPES } from "./pgsql_types.ts";
import type { ServerOptions } from "./server.ts";
import type { WireStats } from "./wire.ts";

export interface PgsqlOptions extends ServerOptions {
  /**
   * TLS: true verifies the server's certificate against the system's authorities; an object says it all; "prefer" verifies nothing, and goes on in clear text where the server has no TLS.
   */
  ssl?: boolean | "prefer" | PgsqlTls;
  /** More settings of a session. */
  session?: Readonly<Record<string, string>>;
}

/** What the library keeps in a request; its typings do not say. */
interface Query {
  /** Set when it goes to the connection. */
  state: object | null;
  /** Its statement is there, its values are not: they go when the server has said of which types they are. */
  describeFirst: unknown;
  cancelled: unknown;
  reject(error: unknown): void;
}

export const PORT = 5432;

/** No such statement, and one whose plan must not change the types of its answer. */
const FORGOTTEN = new Set(["26000", "0A000"]);

/** Clients whose connection has ended, or is to end at once. */
const GONE = new WeakSet<postgres.Sql>();
const SOCKETS = new WeakMap<postgres.Sql, Socket>();

export const isGone = (sql: postgres.Sql): boolean => GONE.has(sql);

/** Ends it when what it does is done, or at once: nothing goes to the server then that has not gone. */
export function end(sql: postgres.Sql, atOnce: boolean): Promise<void> {
  if (!atOnce) return sql.end();
  GONE.add(sql);
  // The library says goodbye, for which a server that is away would have to be there.
  SOCKETS.get(sql)?.destroy();
  return sql.end({ timeout: 0 });
}

/** Whether a request has gone to the server whole: in a client, or without its values, it is not done. */
export function wasSent(request: object): boolean {
  const { state, describeFirst } = request as Query;
  return state !== null && !describeFirst;
}

/**
 * A client that connects when it is first used. The library would make another connection in place of one that ended, and
 * send there what it had not sent yet: the rest of a transaction, each statement for itself.
 */
export function connect(options: PgsqlOptions, wire: WireStats): postgres.Sql {
  const { host, port = PORT, statementTimeoutMs = 5000, connectTimeoutMs = 5000 } = options;
  let dialled = false;
  const socket = async () => {
    if (dialled) throw new StorageError("unavailable", "the connection has ended");
    dialled = true;
    const made = await dial({ host, port, tls: tlsOf(options.ssl), timeoutMs: connectTimeoutMs, wire });
    if (!isGone(sql)) {
      SOCKETS.set(sql, made);
      return made;
    }
    // The library would log in with it, and keep it.
    made.on("error", () => {});
    made.destroy();
    throw new StorageError("unavailable", "the connection was given up");
  };
  const own = {
    host,
    port,
    // TLS is ours, and so is the time that all of it may take.
    ssl: false,
    socket,
    onclose: () => void GONE.add(sql),
    connect_timeout: connectTimeoutMs / 1000,
    database: options.database,
    username: options.username,
    password: options.password ?? "",
    max: 1,
    // It is replaced when it breaks; to end one that works serves nobody.
    max_lifetime: null,
    fetch_types: false,
    onnotice: () => {},
    types: TYPES,
    connection: {
      application_name: "mongooseim",
      statement_timeout: statementTimeoutMs,
      TimeZone: "UTC",
      DateStyle: "ISO",
      ...options.session,
    },
  };
  const sql = postgres(own) as unknown as postgres.Sql;
  sendNothingAgain(Object.getPrototypeOf(sql.unsafe("")));
  return sql;
}

/**
 * Where the server has forgotten a prepared statement, or would answer it with other types now, the library notes `retried` in
 * the request and sends it once more: bytes then as the text that was made of them, and in between others, which get its
 * answer while it gets theirs. Here it is a conflict instead: nothing was done, and all of it is done again.
 */
function sendNothingAgain(requests: object): void {
  Object.defineProperty(requests, "retried", {
    configurable: true,
    get: () => undefined,
    set(this: Query, cause: Error) {
      this.cancelled = true;
      this.reject(new StorageError("conflict", cause.message, { cause }));
    },
  });
}

/** Whether an error is such a conflict: what is prepared may be forgotten time after time, by a pooler that knows nothing of it. */
export const isForgotten = (error: unknown): boolean =>
  error instanceof StorageError && error.cause instanceof postgres.PostgresError && FORGOTTEN.has(error.cause.code);

function tlsOf(ssl: PgsqlOptions["ssl"]): PgsqlTls | undefined {
  if (ssl === undefined || ssl === false) return undefined;
  if (ssl === true) return { optional: false, options: {} };
  return ssl === "prefer" ? { optional: true, options: { rejectUnauthorized: false } } : ssl;
}
