// Ids of messages in archives and of XEP-0359: microseconds since 1970 above one byte for the node, as MongooseIM's.
import type { Log } from "./log/index.ts";
import type { Claim, MessageIdStore } from "./storage/message-ids.ts";

export interface MessageIdOptions {
  store: MessageIdStore;
  /** The database may have other servers: this one claims a number. Alone it is number 1. */
  shared: boolean;
  /** Names this installation among those that share the database; the same after a restart. */
  node: string;
  log: Log;
  /** Milliseconds since 1970. */
  now(): number;
  /** Text that nobody else has. */
  token(bytes: number): string;
  after(ms: number, run: () => void): () => void;
}

/** How far ahead of the last id the mark in the database is, in microseconds. */
const AHEAD_US = 10_000_000;
/** How often it is moved, while ids are given out. */
const RESERVE_MS = 4000;
/** How often a claim to a number is renewed. */
const RENEW_MS = 60_000;
const ALONE = 1;

/**
 * Gives out ids: unique over the nodes of a database and over restarts, and each larger than the one before, whatever the
 * clock does. To give one out is an addition. A mark in the database is kept ahead of what was given out, and no id after
 * a restart is below it: after a crash ids may so be up to ten seconds ahead of the clock, after an orderly end they are
 * not. A clock that was set back leaves them where they are until it has caught up. While the database is away the mark
 * stays where it is; what is given out then cannot be archived either.
 */
export class MessageIds {
  readonly #options: MessageIdOptions;
  #number = ALONE;
  #claim: Claim | undefined;
  /** Microseconds of the last id. */
  #last = 0;
  #upTo = 0;
  #lastReserved = 0;
  #reserving: Promise<void> | undefined;
  readonly #cancel: (() => void)[] = [];
  #stopped = false;

  constructor(options: MessageIdOptions) {
    this.#options = options;
  }

  /** The low byte of the ids. */
  get nodeNumber(): number {
    return this.#number;
  }

  /** Claims a number and takes up where it was left. Rejects with a StorageError. */
  async start(): Promise<void> {
    const { store, shared, node, now, log } = this.#options;
    if (shared) await this.#become(await store.claim(node));
    else this.#last = Math.max(this.#last, await store.mark(this.#number));
    const behind = Math.round(this.#last / 1000 - now());
    if (behind > (2 * AHEAD_US) / 1000) log.warning("clock_behind_message_ids", { behind_ms: behind });
    await this.#reserve();
    this.#every(RESERVE_MS, () => {
      if (this.#last > this.#lastReserved) void this.#reserve();
    });
    if (shared) this.#every(RENEW_MS, () => void this.#renew());
  }

  next(): bigint {
    return (BigInt(this.tick()) << 8n) | BigInt(this.#number);
  }

  /** The time of the next id, in microseconds since 1970, without an id: as ids, each is later than those before. */
  tick(): number {
    const clock = this.#options.now() * 1000;
    const at = clock > this.#last ? clock : this.#last + 1;
    this.#last = at;
    // After a quiet time: nothing was moved while nothing was given out.
    if (at > this.#upTo && this.#reserving === undefined) void this.#reserve();
    return at;
  }

  /** Leaves the mark at the last id, and gives the number back. */
  async stop(): Promise<void> {
    this.#stopped = true;
    for (const cancel of this.#cancel.splice(0)) cancel();
    try {
      await this.#reserving;
      await this.#options.store.setMark(this.#number, this.#last);
      if (this.#claim !== undefined) await this.#options.store.giveBack(this.#claim);
    } catch (error) {
      this.#options.log.warning("message_ids_not_closed", { error });
    }
  }

  #every(ms: number, run: () => void): void {
    const again = (): void => {
      if (this.#stopped) return;
      run();
      this.#cancel[at] = this.#options.after(ms, again);
    };
    const at = this.#cancel.push(this.#options.after(ms, again)) - 1;
  }

  #reserve(): Promise<void> {
    this.#reserving ??= this.#move().finally(() => {
      this.#reserving = undefined;
    });
    return this.#reserving;
  }

  async #move(): Promise<void> {
    const { store, now, log } = this.#options;
    const last = Math.max(this.#last, now() * 1000);
    try {
      await store.setMark(this.#number, last + AHEAD_US);
      this.#upTo = last + AHEAD_US;
      this.#lastReserved = last;
    } catch (error) {
      // The turn of the wheel tries again.
      log.limited("message_ids", 60)?.warning("message_ids_not_reserved", { error });
      this.#upTo = last + AHEAD_US;
    }
  }

  async #become(claim: Claim | undefined): Promise<void> {
    const { store, log } = this.#options;
    this.#claim = claim;
    if (claim === undefined) log.error("no_node_number_free", { used: 0 });
    const number = claim?.number ?? 0;
    this.#last = Math.max(this.#last, await store.mark(number));
    this.#number = number;
  }

  async #renew(): Promise<void> {
    const { store, node, token, log } = this.#options;
    try {
      const renewed = this.#claim && (await store.renew(this.#claim));
      if (renewed !== undefined) {
        this.#claim = renewed;
        return;
      }
      if (this.#claim !== undefined) log.warning("node_number_lost", { number: this.#claim.number });
      // Another with our name (a copy of the state directory) or one that took us for dead: it keeps the number.
      await this.#become(await store.claim(`${node}/${token(4)}`));
      await this.#reserve();
    } catch (error) {
      log.limited("node_number", 600)?.warning("node_number_not_renewed", { error });
    }
  }
}
