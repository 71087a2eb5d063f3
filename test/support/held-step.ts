// Databases that stop somebody in the middle of something: the n-th request from now on waits until the test lets it
// through.
import type { Db } from "../../core/storage/db.ts";

const METHODS = ["query", "execute", "transaction", "upsert", "insertNew", "insertMany"] as const;
type Method = (...args: unknown[]) => Promise<unknown>;

export class HeldStep {
  /** Resolves when the request has come. */
  readonly come: Promise<void>;
  /** Requests that are not answered. */
  private open = 0;
  /** Requests so far. */
  private count = 0;
  private readonly arrived = Promise.withResolvers<void>();
  private readonly gate = Promise.withResolvers<void>();

  private readonly dbs: readonly Db[];

  /** @param which 0 is the next request */
  constructor(
    db: Db | Iterable<Db>,
    private readonly which: number,
  ) {
    this.come = this.arrived.promise;
    this.dbs = Symbol.iterator in db ? [...db] : [db];
    for (const db of this.dbs) {
      for (const method of METHODS) {
        const through = (db[method] as Method).bind(db);
        const value = (...args: unknown[]): Promise<unknown> => this.request(() => through(...args));
        Object.defineProperty(db, method, { value, configurable: true, writable: true });
      }
    }
  }

  private async request(run: () => Promise<unknown>): Promise<unknown> {
    this.open++;
    try {
      if (this.count++ !== this.which) return await run();
      this.arrived.resolve();
      await this.gate.promise;
      return await run();
    } finally {
      this.open--;
    }
  }

  /** Lets the request through. */
  go(): void {
    this.gate.resolve();
  }

  /** Resolves when nothing has been asked for a while and everything is answered. */
  async quiet(ms = 10): Promise<void> {
    let before: number;
    do {
      before = this.count;
      await Bun.sleep(ms);
    } while (before !== this.count || this.open > 0);
  }

  /** The methods of the class are seen again. */
  end(): void {
    this.go();
    for (const db of this.dbs) for (const method of METHODS) Reflect.deleteProperty(db, method);
  }
}
