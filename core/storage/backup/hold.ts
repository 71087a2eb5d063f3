// While somebody copies a database, its write-ahead log grows: a reader keeps the moment at which he began. What has
// gathered by the end would be moved to the database by the next commit, and whoever waits for that commit with it. So
// no commit does that until the copier has done it himself.

import type { Log } from "../../log/index.ts";
import type { Db } from "../db.ts";

interface Held {
  holders: number;
  /** Pages after which a commit moves the log when nobody holds it. */
  readonly usual: Promise<number>;
}

const held = new WeakMap<Db, Held>();

/** Makes commits leave the write-ahead logs alone. Returns what ends that; to be called once. */
export function holdCheckpoints(databases: readonly Db[], log: Log): () => void {
  const embedded = databases.filter(({ dialect }) => dialect === "sqlite");
  const failed = (error: unknown): void => log.error("checkpoints_not_held", { error });
  for (const db of embedded) {
    const known = held.get(db);
    if (known !== undefined) known.holders++;
    else {
      const usual = threshold(db);
      held.set(db, { holders: 1, usual });
      usual.then(() => setThreshold(db, 0)).catch(failed);
    }
  }
  return () => {
    for (const db of embedded) {
      const known = held.get(db);
      if (known === undefined || --known.holders > 0) continue;
      held.delete(db);
      known.usual.then((pages) => setThreshold(db, pages)).catch(failed);
    }
  };
}

async function threshold(db: Db): Promise<number> {
  const [{ wal_autocheckpoint }] = await db.query<{ wal_autocheckpoint: number }>("PRAGMA wal_autocheckpoint");
  return wal_autocheckpoint;
}

const setThreshold = (db: Db, pages: number) => db.query(`PRAGMA wal_autocheckpoint = ${pages}`);
