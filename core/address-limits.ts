// How often an address may connect, and how often a log-in from it may fail, in a minute: one count for all listeners
// of a node.

import { networkOf } from "./network.ts";

const MINUTE_MS = 60_000;
/** Addresses that are counted at a time, so that counting has a bound; who comes from more is not stopped by counts. */
const MOST_ADDRESSES = 100_000;

/** This machine, where a proxy may be through which many users come; and an address that is not known. */
const isOwn = (address: string): boolean =>
  address === "" || address.startsWith("127.") || address === "::1" || address.startsWith("::ffff:127.");

/** Events of one kind by address, in the minute that is running. */
class Count {
  private readonly counts = new Map<string, number>();

  add(address: string): number {
    const network = networkOf(address);
    const n = (this.counts.get(network) ?? 0) + 1;
    if (n > 1 || this.counts.size < MOST_ADDRESSES) this.counts.set(network, n);
    return n;
  }

  of(address: string): number {
    return this.counts.size === 0 ? 0 : (this.counts.get(networkOf(address)) ?? 0);
  }

  clear(): void {
    this.counts.clear();
  }
}

export class AddressLimits {
  private minute = 0;
  private readonly connections = new Count();
  private readonly failures = new Count();

  /** @param now milliseconds since 1970 */
  constructor(private readonly now: () => number) {}

  /** Counts a connection; false when it is one more than `most` in this minute. */
  connects(address: string, most: number): boolean {
    if (most === Number.POSITIVE_INFINITY || isOwn(address)) return true;
    this.turn();
    return this.connections.add(address) <= most;
  }

  /** Counts a log-in that failed. */
  fails(address: string): void {
    if (isOwn(address)) return;
    this.turn();
    this.failures.add(address);
  }

  /** Whether `most` log-ins from the address have failed in this minute. */
  isBarred(address: string, most: number): boolean {
    this.turn();
    return this.failures.of(address) >= most;
  }

  private turn(): void {
    const minute = Math.floor(this.now() / MINUTE_MS);
    if (minute === this.minute) return;
    this.minute = minute;
    this.connections.clear();
    this.failures.clear();
  }
}
