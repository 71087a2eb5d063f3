// The network between a client and the server: a relay that can lose what it carries, be cut and be mended, so that
// clients need not be asked to break their own connections.

import { createConnection, createServer, type Server, type Socket } from "node:net";

export class Cable {
  private readonly ends = new Set<Socket>();
  private isCut = false;
  private isLosing = false;

  private constructor(
    private readonly server: Server,
    readonly port: number,
  ) {}

  /** A cable from a free port of this machine to `port`. */
  static async to(port: number): Promise<Cable> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const address = server.address();
    if (address === null || typeof address === "string") throw new Error("the relay has no port");
    const cable = new Cable(server, address.port);
    server.on("connection", (near) => cable.join(near, port));
    return cable;
  }

  private join(near: Socket, port: number): void {
    if (this.isCut) {
      near.destroy();
      return;
    }
    const far = createConnection(port, "127.0.0.1");
    for (const [end, other] of [
      [near, far],
      [far, near],
    ]) {
      this.ends.add(end);
      end.on("data", (bytes) => {
        if (!this.isLosing) other.write(bytes);
      });
      end.on("error", () => {});
      end.on("close", () => {
        this.ends.delete(end);
        other.destroy();
      });
    }
  }

  /** From now on carries nothing, while both ends still believe in their connection. */
  lose(): void {
    this.isLosing = true;
  }

  /** Breaks every connection, without a goodbye, and lets none through. */
  cut(): void {
    this.isCut = true;
    for (const end of this.ends) end.destroy();
  }

  mend(): void {
    this.isCut = false;
    this.isLosing = false;
  }

  close(): void {
    this.cut();
    this.server.close();
  }
}
