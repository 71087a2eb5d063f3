// A database that takes its time with one request: the next call of a method waits until the test lets it through.
import { type Db, StorageError } from "../../core/storage/db.ts";

type Method = "query" | "execute" | "transaction" | "upsert" | "insertNew" | "insertMany";

export interface HeldCall {
  /** Resolves when the call has come. */
  readonly come: Promise<void>;
  go(): void;
  fail(): void;
}

export function holdNext(db: Db, method: Method): HeldCall {
  const come = Promise.withResolvers<void>();
  const gate = Promise.withResolvers<void>();
  const through = db[method] as (...args: unknown[]) => Promise<unknown>;
  const held = (...args: unknown[]): Promise<unknown> => {
    // The method of the class is seen again.
    Reflect.deleteProperty(db, method);
    come.resolve();
    return gate.promise.then(() => through.apply(db, args));
  };
  Object.defineProperty(db, method, { value: held, configurable: true, writable: true });
  return {
    come: come.promise,
    go: gate.resolve,
    fail: () => gate.reject(new StorageError("unavailable", "The test has it fail")),
  };
}
