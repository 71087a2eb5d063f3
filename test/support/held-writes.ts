// A database that takes its time with what is written to one table: each write waits until the test lets it through, or
// has it fail.
import { type Db, StorageError } from "../../core/storage/db.ts";
import type { StoryServer } from "./story-server.ts";

interface Held {
  go(): void;
  fail(): void;
}

/** The database of a module's store. */
const databaseOf = (server: StoryServer, module: string, host: string): Db =>
  (server.node.hosts.get(host)!.modules.get(module)!.ctx.store as { db: Db }).db;

export class HeldWrites {
  private readonly waiting: Held[] = [];
  private arrived = Promise.withResolvers<void>();

  /** Holds what goes to the archive from now on. */
  static of(server: StoryServer, table = "mam_message", module = "mod_mam", host = "localhost"): HeldWrites {
    return new HeldWrites(databaseOf(server, module, host), table);
  }

  private constructor(
    private readonly db: Db,
    table: string,
  ) {
    const insertMany = db.insertMany.bind(db);
    db.insertMany = (into, columns, rows) =>
      into === table ? this.held().then(() => insertMany(into, columns, rows)) : insertMany(into, columns, rows);
  }

  private held(): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.waiting.push({ go: resolve, fail: () => reject(new StorageError("unavailable", "The test has it fail")) });
    this.arrived.resolve();
    return promise;
  }

  /** Resolves when a write waits. */
  next(): Promise<void> {
    return this.waiting.length > 0 ? Promise.resolve() : this.arrived.promise;
  }

  /** Writes that wait. */
  get count(): number {
    return this.waiting.length;
  }

  /** Lets the oldest through. */
  one(): void {
    this.taken().go();
  }

  /** Has the oldest fail. */
  fail(): void {
    this.taken().fail();
  }

  /** Lets everything through from now on. */
  open(): void {
    // The method of the class is seen again.
    Reflect.deleteProperty(this.db, "insertMany");
    for (const { go } of this.waiting.splice(0)) go();
  }

  private taken(): Held {
    const first = this.waiting.shift();
    if (first === undefined) throw new Error("Nothing is being written");
    if (this.waiting.length === 0) this.arrived = Promise.withResolvers<void>();
    return first;
  }
}
