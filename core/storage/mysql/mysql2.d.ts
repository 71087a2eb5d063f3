// What we use of the package mysql2, typed as strictly as our own code: its typings leave most values open.
declare module "mysql2" {
  import type { EventEmitter } from "node:events";
  import type { Socket } from "node:net";

  export interface Field {
    readonly name: string;
    /** Number of a wire type, one of `Types`. */
    readonly columnType: number;
    /** 63 is binary. */
    readonly characterSet: number;
  }

  /** What a statement without rows answers. */
  export interface Header {
    readonly affectedRows: number;
    /** The server's words about it, such as "Rows matched: 1  Changed: 0  Warnings: 0". */
    readonly info: string;
  }

  export type Row = Record<string, unknown>;
  /** An error of the server has `errno` and `sqlState`; one of the connection is `fatal`. */
  export interface MysqlError extends Error {
    readonly code?: string;
    readonly errno?: number;
    readonly sqlState?: string;
    readonly fatal?: boolean;
  }
  type Answered = (error: MysqlError | null, result: readonly Row[] | Header, fields?: readonly Field[]) => void;

  export interface Prepared {
    readonly parameters: readonly unknown[];
    execute(values: readonly unknown[], answered: Answered): void;
  }

  export interface Connection extends EventEmitter {
    /** What the server calls the connection in KILL. */
    readonly threadId: number | null;
    readonly stream: Socket;
    /** The statement of this text, prepared before or now. */
    prepare(sql: string, prepared: (error: MysqlError | null, statement: Prepared) => void): void;
    query(sql: string, answered: Answered): void;
    end(ended?: (error?: Error) => void): void;
    destroy(): void;
  }

  export interface ConnectionOptions {
    /** Of the server; with TLS also the name that its certificate must have. */
    host: string;
    stream: () => Socket;
    user: string;
    password: string;
    database: string;
    charset: string;
    /** Of the client: `-NAME` switches one off. */
    flags: readonly string[];
    ssl?: object;
    connectTimeout: number;
    supportBigNumbers: boolean;
    dateStrings: boolean;
    jsonStrings: boolean;
    maxPreparedStatements: number;
    connectAttributes: Readonly<Record<string, string>>;
  }

  interface Factory {
    (value: number | bigint): object;
    unsigned(value: number | bigint): object;
  }

  const mysql: {
    createConnection(options: ConnectionOptions): Connection;
    readonly Types: Readonly<Record<string, number>>;
    /** Makes values that travel as the type of that name. */
    readonly TypedParameter: { readonly LONGLONG: Factory; readonly TINY: Factory };
  };
  export default mysql;
}
