// A relay in front of a database server that, while it is told to, breaks connections in the middle of what they carry.
import { createConnection, createServer, type Server, type Socket } from "node:net";

/** A connection is cut when it has carried so many bytes, more or less. */
const LEAST = 15_000;
const SPREAD = 60_000;
/** How often a COMMIT goes through and its answer does not. */
const SILENT_COMMITS = 0.05;

export class CuttingRelay {
  cutting = false;
  cuts = 0;
  port = 0;
  private readonly server: Server;
  private readonly ends = new Set<Socket>();

  constructor(private readonly target: number) {
    this.server = createServer((near) => this.join(near));
  }

  async start(): Promise<this> {
    await new Promise<void>((resolve) => this.server.listen(0, "127.0.0.1", resolve));
    const address = this.server.address();
    if (address === null || typeof address === "string") throw new Error("the relay has no port");
    this.port = address.port;
    return this;
  }

  stop(): void {
    for (const end of this.ends) end.destroy();
    this.server.close();
  }

  private join(near: Socket): void {
    const far = createConnection(this.target, "127.0.0.1");
    let left = LEAST + Math.random() * SPREAD;
    const ends = [near, far];
    for (const end of ends) this.ends.add(end);
    const cut = (): void => {
      this.cuts++;
      for (const end of ends) end.removeAllListeners("data").resume();
      setTimeout(() => {
        for (const end of ends) end.destroy();
      }, 30 * Math.random());
    };
    for (const [end, other] of [
      [near, far],
      [far, near],
    ]) {
      end.on("data", (bytes: Buffer) => {
        const commits = this.cutting && end === near && bytes.includes("COMMIT");
        if (this.cutting) left -= bytes.length;
        if (commits && Math.random() < SILENT_COMMITS) {
          other.write(bytes);
          cut();
        } else if (left < 0) {
          other.write(bytes.subarray(0, Math.floor(Math.random() * bytes.length)));
          cut();
        } else other.write(bytes);
      });
      end.on("error", () => {});
      end.on("close", () => {
        this.ends.delete(end);
        other.destroy();
      });
    }
  }
}
