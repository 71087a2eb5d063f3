// A relay in front of a database server that can be stopped as a server is, and frozen as a machine is.
import { createConnection, createServer, type Server, type Socket } from "node:net";

export class ServerRelay {
  private readonly ends = new Set<Socket>();
  private server: Server | undefined;
  private frozen = false;
  port = 0;

  constructor(private readonly target: { host: string; port: number }) {}

  /** Takes connections; after a `stop`, on the same port again. */
  async start(): Promise<this> {
    const server = createServer((near) => this.join(near));
    this.server = server;
    await new Promise<void>((resolve) => server.listen(this.port, "127.0.0.1", resolve));
    const address = server.address();
    if (address === null || typeof address === "string") throw new Error("the relay has no port");
    this.port = address.port;
    return this;
  }

  /** Breaks every connection and refuses others. */
  async stop(): Promise<void> {
    const { server } = this;
    this.server = undefined;
    for (const end of this.ends) end.destroy();
    if (server) await new Promise<void>((resolve) => server.close(() => resolve()));
  }

  /** Nothing is carried, and nobody is told: connections are there and silent, new ones too. */
  freeze(): void {
    this.frozen = true;
    for (const end of this.ends) end.pause();
  }

  /** Everything that was held back goes on its way. */
  thaw(): void {
    this.frozen = false;
    for (const end of this.ends) end.resume();
  }

  private join(near: Socket): void {
    const far = createConnection(this.target.port, this.target.host);
    for (const [end, other] of [
      [near, far],
      [far, near],
    ]) {
      this.ends.add(end);
      end.on("data", (bytes) => other.write(bytes));
      end.on("error", () => {});
      end.on("close", () => {
        this.ends.delete(end);
        other.destroy();
      });
      if (this.frozen) end.pause();
    }
  }
}
