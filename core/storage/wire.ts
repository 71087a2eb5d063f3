// What goes over the sockets of a pool, in numbers: MongooseIM's wpool_rdbms_stats, which are those of Erlang's sockets.
import type { Socket } from "node:net";

/** The sockets of one pool. */
export class WireStats {
  /** Bytes received, reads that gave some, and the most that one gave. */
  readonly received = { bytes: 0, count: 0, max: 0 };
  /** The same of what was sent. */
  readonly sent = { bytes: 0, count: 0, max: 0 };
  readonly #open = new Set<Socket>();

  /** Connections that are open. */
  get connections(): number {
    return this.#open.size;
  }

  /** Bytes that were given to sockets and not yet to the network. */
  get pending(): number {
    let bytes = 0;
    for (const socket of this.#open) bytes += socket.writableLength;
    return bytes;
  }

  /** Counts what a socket carries from now on. */
  count(socket: Socket): void {
    this.#open.add(socket);
    socket.once("close", () => this.#open.delete(socket));
    const emit = socket.emit.bind(socket);
    // A listener of its own would set the stream flowing before anybody reads.
    socket.emit = (event: string | symbol, ...values: unknown[]): boolean => {
      if (event === "data") add(this.received, values[0]);
      return emit(event as string, ...values);
    };
    const write = socket.write.bind(socket) as (...values: unknown[]) => boolean;
    socket.write = (...values: unknown[]): boolean => {
      add(this.sent, values[0]);
      return write(...values);
    };
  }
}

function add(tally: { bytes: number; count: number; max: number }, chunk: unknown): void {
  if (!(chunk instanceof Uint8Array)) return;
  tally.bytes += chunk.length;
  tally.count++;
  if (chunk.length > tally.max) tally.max = chunk.length;
}
