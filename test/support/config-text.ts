// Parts of configuration files for servers of tests: the domain "localhost" on 127.0.0.1.

/** The domain, and what is logged. `more`: other options of the section. */
export const general = (more: readonly string[] = [], loglevel = "warning"): string => `
[general]
  hosts = ["localhost"]
  default_server_domain = "localhost"
  loglevel = "${loglevel}"
  ${more.join("\n  ")}
`;

/** Accounts are made as fast as a test wants. */
export const MANY_REGISTRATIONS = 'registration_timeout = "infinity"';

/** A listener for clients; without options one in clear text. */
export const c2s = (port: number, options: readonly string[] = []): string => `
[[listen.c2s]]
  port = ${port}
  ip_address = "127.0.0.1"
  ${options.join("\n  ")}
`;

/** TLS of a listener with the certificate that the server makes for itself. */
export const tls = (mode: "tls" | "starttls" | "starttls_required"): string[] => [
  `tls.mode = "${mode}"`,
  'tls.verify_mode = "none"',
];

/** A listener for WebSocket at /ws-xmpp. */
export const webSocket = (port: number, options: readonly string[] = []): string => `
[[listen.http]]
  port = ${port}
  ip_address = "127.0.0.1"
  ${options.join("\n  ")}

  [[listen.http.handlers.mongoose_websocket_handler]]
    host = "_"
    path = "/ws-xmpp"
`;

/** Accounts of a method. `plain`: the cost of hashed passwords is not what the test is about. */
export const auth = (method: "internal" | "rdbms", { plain = false } = {}): string => `
[auth]
  methods = ["${method}"]
  ${plain ? 'password.format = "plain"' : ""}
  [auth.${method}]
`;

/** A database for everything that is not in the embedded store. */
export interface PoolText {
  readonly driver: "pgsql" | "mysql";
  readonly host: string;
  readonly port: number;
  readonly database: string;
  readonly username: string;
  readonly password: string;
  readonly workers?: number;
  /** Other options of the connection. */
  readonly more?: readonly string[];
}

export const pool = ({
  driver,
  host,
  port,
  database,
  username,
  password,
  workers = 5,
  more = [],
}: PoolText): string => `
[outgoing_pools.rdbms.default]
  workers = ${workers}
  [outgoing_pools.rdbms.default.connection]
    driver = "${driver}"
    host = "${host}"
    port = ${port}
    database = "${database}"
    username = "${username}"
    password = "${password}"
    ${more.join("\n    ")}
`;
