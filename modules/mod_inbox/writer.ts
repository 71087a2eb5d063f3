// How messages get into inboxes: what comes while a write is under way is gathered, the updates of one entry become one,
// and what waits is one transaction, both ends of a message in the same; under a flood, one after the other. A lane writes
// one batch after the other, and a conversation has its lane, so that its order is kept.

import { BoundedMap } from "../../core/bounded-map.ts";
import type { BareJid } from "../../core/jid.ts";
import { type Db, queueIsFull, type Statement } from "../../core/storage/db.ts";
import { DIALECTS } from "../../core/storage/dialect.ts";
import { writeEach } from "../../core/storage/each.ts";
import { surely } from "../../core/storage/surely.ts";
import type { EntryKey } from "./entry.ts";
import { removeEntry, resetUpTo, shows, throwAway, type Update, Upserts, unarchive } from "./statements.ts";

/** Entries that are remembered not to be in the archive box. */
const KNOWN = 20_000;
/** Lanes of backend rdbms where connections work side by side. */
const LANES = 4;
/** Entries of one transaction: those who wait for the first of them wait for the last. */
const MOST = 1000;
/** Full batches of a lane that may wait, since they take memory; messages that come then are missing in inboxes, and logged. */
const MOST_BATCHES = 100;
/** A batch that has become so large is counted as written because many waited. */
const MANY = 100;
/** Entries of a transaction that are looked at when it is not known whether it was done. */
const LOOKS = 20;

/** What the writer tells. Unset: nobody listens. */
export interface WriterEvents {
  /** A message has brought an entry back from the archive box. */
  unarchived?(key: EntryKey): void;
  /** There may be a new entry in an inbox. */
  grown?(user: BareJid): void;
  /** A batch is on its way. */
  flushing?(many: boolean): void;
  /** Updates that could not be written are lost. */
  failed?(error: unknown, entries: number): void;
}

interface Batch {
  /** What is done before the updates are written. */
  readonly before: Statement[];
  readonly updates: Map<string, Update>;
  /** Resolves when the batch has been written or has failed. */
  readonly settled: Promise<void>;
  readonly settle: () => void;
}

/** What a batch is made of: a statement that comes before, or an update by its key. */
type Item = Statement | readonly [key: string, update: Update];

const keyOf = ({ user, remote }: EntryKey): string => `${user.text}\n${remote}`;

export class Writer {
  readonly #db: Db;
  readonly #upserts: Upserts;
  readonly #events: WriterEvents;
  readonly #known = new BoundedMap<string, true>(KNOWN, () => 1);
  #lanes: readonly Lane[];

  constructor(db: Db, events: WriterEvents) {
    this.#db = db;
    this.#events = events;
    this.#upserts = new Upserts(DIALECTS[db.dialect]);
    // The embedded store takes what one turn brings as one transaction, in order.
    this.#lanes = this.#make(db.dialect === "sqlite" ? 1 : LANES, db.dialect !== "sqlite");
  }

  /** Has so many writers gather what comes while they write. */
  gather(lanes: number): void {
    this.#lanes = this.#make(Math.max(1, lanes), true);
  }

  #make(lanes: number, serial: boolean): Lane[] {
    return Array.from({ length: lanes }, () => new Lane(serial, (batch) => this.#write(batch)));
  }

  /** Entries that are not written yet. */
  get waiting(): number {
    return this.#lanes.reduce((n, lane) => n + lane.waiting, 0);
  }

  /** A message: `update` becomes the writer's. Resolves when it is written or has failed. */
  put(update: Update): Promise<void> {
    const lane = this.#laneOf(update);
    if (lane.pending.length > MOST_BATCHES) {
      this.#events.failed?.(queueIsFull(lane.waiting), 1);
      return Promise.resolve();
    }
    const batch = lane.open(update);
    const key = keyOf(update);
    const last = batch.updates.get(key);
    if (last === undefined) batch.updates.set(key, update);
    else merge(last, update);
    return batch.settled;
  }

  /** The owner has read up to a message. */
  read(key: EntryKey, msgId: string): Promise<void> {
    const batch = this.#laneOf(key).open(key);
    const waiting = batch.updates.get(keyOf(key));
    if (waiting === undefined) batch.before.push(resetUpTo(this.#db.dialect, key, msgId));
    else if (waiting.msgId === msgId) {
      waiting.own = true;
      waiting.unread = 0;
    }
    return batch.settled;
  }

  /** The entry goes: for good, or into the bin. */
  remove(key: EntryKey, toBin: boolean): Promise<void> {
    const batch = this.#laneOf(key).open(key);
    const waiting = batch.updates.get(keyOf(key));
    if (toBin && waiting !== undefined) waiting.binned = true;
    else {
      batch.updates.delete(keyOf(key));
      this.changed(key);
      batch.before.push((toBin ? throwAway : removeEntry)(this.#db.dialect, key));
    }
    return batch.settled;
  }

  /**
   * Takes out what waits for the inboxes of some users; resolves when nothing of theirs is under way.
   * @param gone is given a user's bare JID
   */
  async forget(gone: (user: string) => boolean): Promise<void> {
    for (const { updates } of this.#lanes.flatMap(({ pending }) => pending)) {
      for (const [key, { user }] of updates) if (gone(user.text)) updates.delete(key);
    }
    await this.settled();
    this.#forgetKnown(gone);
  }

  #forgetKnown(gone: (user: string) => boolean): void {
    for (const [key] of this.#known) if (gone(key.slice(0, key.indexOf("\n")))) this.#known.delete(key);
  }

  /** The entry may be in the archive box from now on, or gone. */
  changed(key: EntryKey): void {
    this.#known.delete(keyOf(key));
  }

  /** Entries of a user may be gone. */
  changedOf({ text }: BareJid): void {
    this.#forgetKnown((user) => user === text);
  }

  /** Resolves when everything that has come so far is written or has failed; undefined when it is. */
  settled(): Promise<unknown> | undefined {
    const busy = this.#lanes.flatMap((lane) => lane.busy);
    return busy.length === 0 ? undefined : Promise.all(busy);
  }

  #laneOf({ user, remote }: EntryKey): Lane {
    const lanes = this.#lanes;
    return lanes.length === 1 ? lanes[0] : lanes[(hash(user.text) + hash(remote)) % lanes.length];
  }

  async #write(batch: Batch): Promise<void> {
    const { before, updates } = batch;
    this.#events.flushing?.(before.length + updates.size >= MANY);
    try {
      // One of several may have something about it that the database refuses: the others are not to suffer for it.
      const write = surely<readonly Item[]>(
        (items) => this.#transaction(items),
        (items) => this.#again(items),
      );
      const errors = await writeEach<Item>([...before, ...updates], write);
      const lost = new Map<unknown, number>();
      for (const error of errors.values()) lost.set(error, (lost.get(error) ?? 0) + 1);
      for (const [error, entries] of lost) this.#events.failed?.(error, entries);
    } finally {
      batch.settle();
    }
  }

  /** Writes what may have been written: a message must not be counted twice. What comes before may be done twice. */
  async #again(items: readonly Item[]): Promise<void> {
    const updates = items.flatMap((item) => ("sql" in item ? [] : [item[1]]));
    for (const update of updates.slice(0, LOOKS)) {
      const { sql, params } = shows(this.#db.dialect, update);
      if ((await this.#db.query(sql, params)).length === 0) continue;
      // All of it was done, or nothing.
      for (const { user } of updates) this.#events.grown?.(user);
      return;
    }
    await this.#transaction(items);
  }

  async #transaction(items: readonly Item[]): Promise<void> {
    const before: Statement[] = [];
    const updates: Update[] = [];
    const unknown: (readonly [string, Update])[] = [];
    for (const item of items) {
      if ("sql" in item) before.push(item);
      else {
        updates.push(item[1]);
        if (!this.#known.has(item[0])) unknown.push(item);
      }
    }
    const looked = unknown.map(([, update]) => unarchive(this.#db.dialect, update));
    const changed = await this.#db.transaction([...before, ...looked, ...this.#upserts.of(updates)]);
    for (const [i, [key, update]] of unknown.entries()) {
      if (!update.binned) {
        this.#known.set(key, true);
        if (changed[before.length + i] > 0) this.#events.unarchived?.(update);
      }
      this.#events.grown?.(update.user);
    }
  }
}

/** Batches that are written one after the other, or, where the database keeps the order, as they come. */
class Lane {
  /** What is not being written yet, in order. */
  readonly pending: Batch[] = [];
  readonly #flying = new Set<Batch>();
  readonly #serial: boolean;
  readonly #write: (batch: Batch) => Promise<void>;

  constructor(serial: boolean, write: (batch: Batch) => Promise<void>) {
    this.#serial = serial;
    this.#write = write;
  }

  get #batches(): Batch[] {
    return [...this.#flying, ...this.pending];
  }

  get waiting(): number {
    return this.#batches.reduce((n, { updates }) => n + updates.size, 0);
  }

  get busy(): Promise<void>[] {
    return this.#batches.map((batch) => batch.settled);
  }

  /** The batch that takes what comes now about an entry. */
  open(entry: EntryKey): Batch {
    const last = this.pending.at(-1);
    if (last !== undefined && (last.before.length + last.updates.size < MOST || last.updates.has(otherEnd(entry))))
      return last;
    const { promise, resolve } = Promise.withResolvers<void>();
    const batch = { before: [], updates: new Map(), settled: promise, settle: resolve };
    this.pending.push(batch);
    if (last === undefined) {
      if (!this.#serial) queueMicrotask(() => this.#flush());
      else if (this.#flying.size === 0) setImmediate(() => this.#flush());
    }
    return batch;
  }

  #flush(): void {
    while (!(this.#serial && this.#flying.size > 0)) {
      const batch = this.pending.shift();
      if (batch === undefined) return;
      this.#flying.add(batch);
      void this.#write(batch).finally(() => {
        this.#flying.delete(batch);
        if (this.#serial) this.#flush();
      });
    }
  }
}

/** The key of the entry that the other one of a conversation has. */
const otherEnd = ({ user, remote }: EntryKey): string => `${remote}\n${user.text}`;

/** Another message of the same conversation. One that was held up on its way may come late and is still counted. */
function merge(last: Update, next: Update): void {
  if (next.own) {
    if (next.timestamp < last.timestamp) return;
    last.own = true;
    last.unread = next.unread;
  } else last.unread += next.unread;
  last.binned ||= next.binned;
  if (next.timestamp < last.timestamp) return;
  last.msgId = next.msgId;
  last.content = next.content;
  last.timestamp = next.timestamp;
}

/** Not negative; the same for the two ends of a conversation when added up. */
function hash(text: string): number {
  let h = 0;
  for (let i = 0; i < text.length; i++) h = (h * 31 + text.charCodeAt(i)) & 0x3fffffff;
  return h;
}
