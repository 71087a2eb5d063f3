// A MariaDB of a test's own, or the MySQL whose program TEST_MYSQLD names (see test/mysql9.sh): it can be killed and
// started again, and it speaks TLS.
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openMysql } from "../../core/storage/mysql/client.ts";
import { selfSigned } from "../../core/tls/selfsigned.ts";

const MYSQLD = process.env["TEST_MYSQLD"];
const PATH = `${process.env["PATH"]}:/usr/sbin:/sbin`;

/** Options of the server, as `--name=value`. */
const OPTIONS = [
  "--bind-address=127.0.0.1",
  "--skip-name-resolve",
  // Written to the log file at each commit: what was committed is there after a kill of the process.
  "--innodb-flush-log-at-trx-commit=2",
  "--innodb-buffer-pool-size=32M",
  "--performance-schema=OFF",
  // Its second door, which is on a port of its own by default.
  ...(MYSQLD === undefined ? [] : ["--mysqlx=OFF"]),
];

export class MysqlProcess {
  /** One of Oracle's, and not MariaDB. */
  readonly isOracle = MYSQLD !== undefined;
  readonly password = "secret";
  readonly dir = mkdtempSync(join(tmpdir(), "mongooseim-mariadb-"));
  /** Authority of the server's certificate, which is for "localhost". */
  readonly ca: string;
  port = 0;
  #child: ChildProcess | undefined;

  constructor() {
    const { certificate, key } = selfSigned(["localhost"], Date.now());
    this.ca = certificate;
    writeFileSync(join(this.dir, "cert.pem"), certificate);
    writeFileSync(join(this.dir, "key.pem"), key);
    writeFileSync(
      join(this.dir, "init.sql"),
      `CREATE USER IF NOT EXISTS test@'%' IDENTIFIED BY '${this.password}';
       GRANT ALL PRIVILEGES ON *.* TO test@'%';
       CREATE USER IF NOT EXISTS tls@'%' IDENTIFIED BY '${this.password}' REQUIRE SSL;
       GRANT ALL PRIVILEGES ON *.* TO tls@'%';
       CREATE DATABASE IF NOT EXISTS test CHARACTER SET utf8mb4;\n`,
    );
    if (MYSQLD !== undefined) this.#run(MYSQLD, ["--initialize-insecure"]);
    else
      this.#run("mariadb-install-db", [
        "--auth-root-authentication-method=normal",
        "--skip-test-db",
        "--innodb-flush-method=nosync",
      ]);
  }

  /** Resolves when it takes connections; the port stays the same. */
  async start(): Promise<void> {
    this.port ||= await freePort();
    const more = [
      `--port=${this.port}`,
      `--socket=${join(this.dir, "socket")}`,
      `--pid-file=${join(this.dir, "pid")}`,
      `--init-file=${join(this.dir, "init.sql")}`,
      // A server that starts deletes the temporary tables of others in its directory.
      `--tmpdir=${this.dir}`,
      `--ssl-cert=${join(this.dir, "cert.pem")}`,
      `--ssl-key=${join(this.dir, "key.pem")}`,
    ];
    const child = spawn(MYSQLD ?? "mariadbd", this.#words([...OPTIONS, ...more]), { env: { PATH }, stdio: "ignore" });
    this.#child = child;
    const until = Date.now() + 30_000;
    while (!(await this.#answers())) {
      if (child.exitCode !== null || Date.now() > until) throw new Error(`${MYSQLD ?? "MariaDB"} does not start`);
      await Bun.sleep(50);
    }
  }

  async #answers(): Promise<boolean> {
    const login = { username: "test", password: this.password, database: "test" };
    try {
      await (await openMysql({ host: "127.0.0.1", port: this.port, ...login, poolSize: 1 })).close();
      return true;
    } catch {
      return false;
    }
  }

  /** kill -9; resolves when it is gone. */
  async kill(): Promise<void> {
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGKILL");
    await gone;
  }

  async remove(): Promise<void> {
    await this.kill();
    rmSync(this.dir, { recursive: true, force: true });
  }

  #words(more: readonly string[]): string[] {
    const user = process.getuid?.() === 0 ? ["--user=root"] : [];
    return ["--no-defaults", `--datadir=${join(this.dir, "data")}`, ...user, ...more];
  }

  #run(command: string, more: readonly string[]): void {
    const { status, stderr } = spawnSync(command, this.#words(more), { env: { PATH } });
    if (status !== 0 || !existsSync(join(this.dir, "data"))) throw new Error(`${command}: ${stderr}`);
  }
}

function freePort(): Promise<number> {
  const server = createServer();
  return new Promise((resolve, reject) => {
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      const port = address !== null && typeof address === "object" ? address.port : 0;
      server.close((error) => (error ? reject(error) : resolve(port)));
    });
  });
}
