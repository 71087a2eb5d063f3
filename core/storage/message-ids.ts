// What the database knows about message ids: who has which node number, and up to where each has given out ids.
import type { Db } from "./db.ts";
import { DIALECTS } from "./dialect.ts";

/** A claim that was not renewed for so long is nobody's any more, in seconds; MongooseIM's rule for discovery_nodes. */
const STALE_S = 3600;
/** Node numbers are one byte; 0 is for nodes that have none. */
const MOST = 255;

/** A number that a node has for itself, with the time at which it was claimed or renewed (seconds, the database's clock). */
export interface Claim {
  readonly node: string;
  readonly number: number;
  readonly at: number;
}

export class MessageIdStore {
  readonly #db: Db;
  readonly #cluster: string;

  /** @param cluster keeps our rows of discovery_nodes apart from those of MongooseIM, whose nodes call each other by them */
  constructor(db: Db, cluster: string) {
    this.#db = db;
    this.#cluster = cluster;
  }

  /**
   * Claims the smallest free number, or the one that `node` had: of several that claim at the same moment each gets
   * another. Numbers of MongooseIM's own nodes in this database are not free either. Undefined when all are taken.
   */
  async claim(node: string): Promise<Claim | undefined> {
    for (;;) {
      const now = await this.#now();
      const rows = await this.#db.query<{ node_name: string; cluster_name: string; node_num: number; at: number }>(
        "SELECT node_name, cluster_name, node_num, updated_timestamp AS at FROM discovery_nodes",
      );
      const own = rows.find((row) => row.node_name === node && row.cluster_name === this.#cluster);
      if (own !== undefined) {
        // The number that it had before it was killed.
        const at = Math.max(now, own.at + 1);
        if (await this.#touch({ node, number: own.node_num, at: own.at }, at))
          return { node, number: own.node_num, at };
        continue;
      }
      await this.#db.execute("DELETE FROM discovery_nodes WHERE cluster_name = ? AND updated_timestamp < ?", [
        this.#cluster,
        now - STALE_S,
      ]);
      const taken = new Set(rows.filter(({ at }) => at >= now - STALE_S).map(({ node_num }) => node_num));
      const number = Array.from({ length: MOST }, (_, i) => i + 1).find((n) => !taken.has(n));
      if (number === undefined) return undefined;
      const row = { cluster_name: this.#cluster, node_name: node, node_num: number, updated_timestamp: now };
      if (await this.#db.insertNew("discovery_nodes", row)) return { node, number, at: now };
    }
  }

  /** Renews a claim; undefined when another has taken it over, or uses its name. */
  async renew(claim: Claim): Promise<Claim | undefined> {
    const at = Math.max(await this.#now(), claim.at + 1);
    return (await this.#touch(claim, at)) ? { ...claim, at } : undefined;
  }

  async giveBack({ node, at }: Claim): Promise<void> {
    await this.#db.execute("DELETE FROM discovery_nodes WHERE node_name = ? AND updated_timestamp = ?", [node, at]);
  }

  /** Up to where ids of a number may have been given out, in microseconds; 0 for none. */
  async mark(number: number): Promise<number> {
    const [row] = await this.#db.query<{ up_to: number }>(
      "SELECT up_to FROM mongooseim_message_ids WHERE node_num = ?",
      [number],
    );
    return row?.up_to ?? 0;
  }

  async setMark(number: number, upTo: number): Promise<void> {
    await this.#db.upsert("mongooseim_message_ids", { node_num: number }, { up_to: upTo });
  }

  async #now(): Promise<number> {
    const [{ now }] = await this.#db.query<{ now: number }>(`SELECT ${DIALECTS[this.#db.dialect].unixSeconds} AS now`);
    return Number(now);
  }

  /** Only whoever knows when the claim was renewed last has it: a second node with the same name is told apart so. */
  async #touch({ node, at: before }: Claim, at: number): Promise<boolean> {
    const changed = await this.#db.execute(
      "UPDATE discovery_nodes SET updated_timestamp = ? WHERE node_name = ? AND updated_timestamp = ?",
      [at, node, before],
    );
    return changed > 0;
  }
}
