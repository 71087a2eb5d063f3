// One connection to MySQL or MariaDB: how it is opened, and what runs on it.
import { connect as connectTcp } from "node:net";
import type { SecureContextOptions } from "node:tls";
import mysql, { type Connection, type Field, type Header, type MysqlError, type Row } from "mysql2";
import { StorageError } from "../db.ts";
import { isFrequent, type ServerOptions, tooOld } from "../server.ts";
import { within } from "../turning.ts";
import type { WireStats } from "../wire.ts";
import { type Answer, toAnswer } from "./values.ts";

export interface MysqlOptions extends ServerOptions {
  /**
   * TLS: true verifies the server's certificate against the system's authorities; an object is `tls.connect`'s;
   * "prefer" verifies nothing, and goes on in clear text where the server has no TLS.
   */
  ssl?: boolean | "prefer" | Tls;
}

interface Tls extends SecureContextOptions {
  rejectUnauthorized?: boolean;
  /** The name that is asked for and that the certificate must be for. Default: `host`, then the server's address. */
  servername?: string;
  host?: string;
}

/** A statement whose values are ready to travel. */
export interface Ready {
  sql: string;
  values: readonly unknown[];
}

export const PORT = 3306;
const CONNECT_MS = 5000;
/** The server knows no prepared statement of that number. */
const UNKNOWN_STATEMENT = 1243;
/** Of the 16,382 that a server keeps for all its connections. */
const MAX_PREPARED = 200;
/** Seconds after which the system asks whether a silent peer is still there. */
const KEEP_ALIVE_S = 60;
/**
 * How statements are read: `||` joins texts, "names" in double quotes, a backslash is a character; what does not fit its
 * column is an error. Alike in the three databases.
 */
const SQL_MODE = [
  "ANSI_QUOTES",
  "PIPES_AS_CONCAT",
  "NO_BACKSLASH_ESCAPES",
  "STRICT_ALL_TABLES",
  "NO_ZERO_DATE",
  "NO_ZERO_IN_DATE",
  "ERROR_FOR_DIVISION_BY_ZERO",
  "NO_ENGINE_SUBSTITUTION",
];

export class MysqlConnection {
  readonly #client: Connection;
  #gone = false;
  /** Bytes of a statement with its values that the server takes; it ends the connection over one that is larger. */
  #most = Number.POSITIVE_INFINITY;

  private constructor(client: Connection) {
    this.#client = client;
    const lost = () => {
      this.#gone = true;
    };
    client.on("error", lost);
    client.on("end", lost);
    // With something under way the client tells its callback alone.
    client.stream.on("error", lost);
    client.stream.on("close", lost);
  }

  /** True when the connection is there no more, whoever ended it. */
  get gone(): boolean {
    return this.#gone;
  }

  /** Connects, logs in and sets the session up. */
  static async open(options: MysqlOptions, wire: WireStats): Promise<MysqlConnection> {
    const { ssl } = options;
    const tls = ssl === "prefer" ? { rejectUnauthorized: false } : ssl === true ? {} : ssl || undefined;
    try {
      return await MysqlConnection.#open(options, wire, tls);
    } catch (cause) {
      const hasNoTls = cause instanceof Error && "code" in cause && cause.code === "HANDSHAKE_NO_SSL_SUPPORT";
      if (ssl !== "prefer" || !hasNoTls) throw cause;
      return MysqlConnection.#open(options, wire, undefined);
    }
  }

  static async #open(options: MysqlOptions, wire: WireStats, tls: Tls | undefined): Promise<MysqlConnection> {
    const client = await connect(options, tls);
    wire.count(client.stream);
    const connection = new MysqlConnection(client);
    const { connectTimeoutMs = CONNECT_MS } = options;
    try {
      await within(connectTimeoutMs, `no connection within ${connectTimeoutMs} ms`, connection.#setUp(options));
      return connection;
    } catch (cause) {
      connection.destroy();
      throw cause;
    }
  }

  /**
   * READ COMMITTED, PostgreSQL's level: a statement sees what was committed before it, and InnoDB locks only the rows that
   * it changes, where REPEATABLE READ locks the gaps between them, in which inserts of others then wait and deadlock.
   */
  async #setUp({ statementTimeoutMs: ms = 5000 }: MysqlOptions): Promise<void> {
    const [{ version, most }] = (await this.#query("SELECT VERSION() AS version, @@max_allowed_packet AS most")).rows;
    this.#most = Number(most);
    const isMariaDb = String(version).includes("MariaDB");
    if (isOlder(String(version), isMariaDb ? [10, 2] : [8, 0]))
      throw tooOld(`${isMariaDb ? "" : "MySQL "}${version}`, "MySQL 8.0 or MariaDB 10.2");
    await this.#query(
      [
        `SET SESSION sql_mode = '${SQL_MODE.join()}'`,
        "time_zone = '+00:00'",
        // MySQL limits SELECT only; what other statements wait for are locks. They are tried again after half of the time.
        isMariaDb ? `max_statement_time = ${ms / 1000}` : `max_execution_time = ${ms}`,
        // MySQL would tell for a day how many rows a table had when somebody asked.
        ...(isMariaDb ? [] : ["information_schema_stats_expiry = 0"]),
        ...(ms === 0 ? [] : [`innodb_lock_wait_timeout = ${Math.max(1, Math.floor(ms / 2000))}`]),
      ].join(", "),
    );
    await this.#query("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED");
  }

  /** @param sending called when it goes, with its values; what it throws keeps it here */
  run({ sql, values }: Ready, sending?: () => void): Promise<Answer> {
    const bytes = bytesOf(values);
    if (bytes > this.#most) {
      const words = `${bytes} bytes are more than the server takes (max_allowed_packet is ${this.#most})`;
      return Promise.reject(new StorageError("constraint", words));
    }
    if (isFrequent(sql) || values.length > 0) return this.#execute(sql, values, sending);
    sending?.();
    return this.#query(sql);
  }

  /**
   * Runs all or none; `committing` is called before it is too late to tell which. After definitions the connection is not
   * used again: they may have changed the session.
   */
  async transaction(statements: readonly Ready[], committing: () => void): Promise<Answer[]> {
    const answers: Answer[] = [];
    const hasDefinitions = !statements.every(({ sql }) => isFrequent(sql));
    try {
      await this.#query("START TRANSACTION");
      // Each commits what was before it.
      if (hasDefinitions) committing();
      for (const statement of statements) answers.push(await this.run(statement));
      committing();
      await this.#query("COMMIT");
      if (hasDefinitions) this.end();
      return answers;
    } catch (cause) {
      if (hasDefinitions) this.destroy();
      else await this.#query("ROLLBACK").catch(() => this.destroy());
      throw cause;
    }
  }

  /** Tells the server that nothing more comes, when what runs is done. */
  end(): void {
    if (!this.#gone) this.#client.end();
    this.#gone = true;
  }

  /** Ends it without a word. What runs is never answered then: the pool fails it. */
  destroy(): void {
    this.#gone = true;
    this.#client.destroy();
    this.#client.stream.destroy();
  }

  #execute(sql: string, values: readonly unknown[], sending?: () => void): Promise<Answer> {
    const { promise, answered, failed } = expectAnswer(sql);
    this.#client.prepare(sql, (error, statement) => {
      if (error) return failed(error);
      if (statement.parameters.length !== values.length) {
        const words = `${statement.parameters.length} values belong to "${sql}", not ${values.length}`;
        return failed(new StorageError("syntax", words));
      }
      try {
        sending?.();
      } catch (cause) {
        return failed(cause);
      }
      statement.execute(values, (cause, ...rest) => {
        // Behind a proxy there may be another server now, which has prepared nothing.
        if (cause?.errno === UNKNOWN_STATEMENT) this.end();
        answered(cause, ...rest);
      });
    });
    return promise;
  }

  #query(sql: string): Promise<Answer> {
    const { promise, answered } = expectAnswer(sql);
    this.#client.query(sql, answered);
    return promise;
  }
}

/** MariaDB may say "5.5.5-10.11.2-MariaDB", for clients that know of no more. */
function isOlder(version: string, [major, minor]: readonly [number, number]): boolean {
  const found = /^(?:5\.5\.5-)?(\d+)\.(\d+)/.exec(version);
  if (found === null) return false;
  const [is, point] = [Number(found[1]), Number(found[2])];
  return is < major || (is === major && point < minor);
}

/** Bytes of the values that may be large. */
function bytesOf(values: readonly unknown[]): number {
  let bytes = 0;
  for (const value of values) {
    if (typeof value === "string") bytes += value.length > 10_000 ? Buffer.byteLength(value) : value.length;
    else if (value instanceof Uint8Array) bytes += value.length;
  }
  return bytes;
}

function expectAnswer(sql: string) {
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  const answered = (error: MysqlError | null, result: readonly Row[] | Header, fields?: readonly Field[]) => {
    if (error) return reject(error);
    try {
      resolve(toAnswer(sql, result, fields));
    } catch (cause) {
      reject(cause);
    }
  };
  return { promise, answered, failed: reject };
}

function connect(
  { host, port = PORT, username, password = "", database, connectTimeoutMs = CONNECT_MS }: MysqlOptions,
  tls: Tls | undefined,
): Promise<Connection> {
  const { promise, resolve, reject } = Promise.withResolvers<Connection>();
  const client = mysql.createConnection({
    // The name that is asked for and verified; where to is the stream's business.
    host: tls?.servername || tls?.host || host,
    stream: () =>
      connectTcp({ host, port, noDelay: true, keepAlive: true, keepAliveInitialDelay: KEEP_ALIVE_S * 1000 }),
    user: username,
    password,
    database,
    charset: "UTF8MB4_BIN",
    flags: ["-FOUND_ROWS"],
    ssl: tls && { ...tls, verifyIdentity: tls.rejectUnauthorized !== false },
    connectTimeout: connectTimeoutMs,
    supportBigNumbers: true,
    dateStrings: true,
    jsonStrings: true,
    maxPreparedStatements: MAX_PREPARED,
    connectAttributes: { program_name: "mongooseim" },
  });
  client.once("connect", () => resolve(client));
  // Not only once: an error that comes after the first is nobody's, and must not end the process.
  client.on("error", (cause: Error) => {
    client.destroy();
    reject(cause);
  });
  return promise;
}
