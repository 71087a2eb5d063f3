// Connections that are cut anywhere in what they carry, while much is written: what is said of each write is what became of it.
import { type AddressInfo, createConnection, createServer, type Socket } from "node:net";
import { describe, expect, test } from "vitest";
import { StorageError } from "../../core/storage/db.ts";
import { Random } from "../fuzz/random.ts";
import { onServer } from "./db_server.ts";

const CUTS = 60;
const WRITERS = 12;

/** A relay to a port that is cut after a number of bytes of its clients, within a packet mostly. */
async function cuttable(target: number, r: Random) {
  const open = new Set<Socket>();
  let left = Number.POSITIVE_INFINITY;
  const relay = createServer((near) => {
    const far = createConnection(target, "127.0.0.1");
    open.add(near);
    near.on("data", (bytes: Buffer) => {
      const last = bytes.length > left;
      far.write(last ? bytes.subarray(0, left) : bytes);
      left = last ? Number.POSITIVE_INFINITY : left - bytes.length;
      if (last) setTimeout(() => near.destroy(), r.below(3));
    });
    far.on("data", (bytes) => near.write(bytes));
    for (const [end, other] of [
      [near, far],
      [far, near],
    ]) {
      end.on("error", () => {});
      end.on("close", () => {
        open.delete(near);
        other.destroy();
      });
    }
  });
  await new Promise<void>((resolve) => relay.listen(0, "127.0.0.1", resolve));
  return {
    port: (relay.address() as AddressInfo).port,
    cutAfter: (bytes: number) => {
      left = bytes;
    },
    cut: (connections: number) => {
      for (const end of [...open].slice(0, connections)) end.destroy();
    },
    close: () => relay.close(),
  };
}

describe.each(["pgsql", "mysql"] as const)("%s", (dialect) => {
  onServer(dialect, (server) => {
    const { table } = server;
    const rows = Array.from({ length: WRITERS }, (_, i) => 100 + i);

    test("a write that is answered is done once, one that may be done once or not at all, any other not", async () => {
      await server.db.insertMany(
        table,
        ["id", "n"],
        rows.map((id) => [id, 0]),
      );
      const r = new Random(CUTS);
      const relay = await cuttable(server.port, r);
      const far = await server.open({ port: relay.port, poolSize: 4 });
      const done = new Map(rows.map((id) => [id, { least: 0, most: 0 }]));
      const others: unknown[] = [];
      let over = false;

      const writes = async (id: number, other: number): Promise<void> => {
        const add = (which: number, text: string, more = "") => ({
          sql: `UPDATE ${table} SET n = n + 1 WHERE id = ? AND ? <> ''${more}`,
          params: [which, text],
        });
        for (let i = 0; !over; i++) {
          await Bun.sleep(0);
          // Texts that are new to the connection, and ones that are longer than what a socket takes at once.
          const first = add(id, "x".repeat(i % 8 === 0 ? 100_000 : 10), i % 5 === 0 ? ` AND id <> ${1000 + i}` : "");
          const both = i % 3 === 0;
          const written = both ? [id, other].sort() : [id];
          const count = (key: "least" | "most") => {
            for (const which of written) {
              const sum = done.get(which);
              if (sum) sum[key]++;
            }
          };
          try {
            if (both) await far.transaction(id < other ? [first, add(other, "y")] : [add(other, "y"), first]);
            else await far.execute(first.sql, first.params);
            count("least");
            count("most");
          } catch (error) {
            if (error instanceof StorageError && error.maybeDone) count("most");
            else others.push(error);
          }
        }
      };
      const all = rows.map((id, i) => writes(id, rows[(i + 5) % WRITERS]));
      for (let i = 0; i < CUTS; i++) {
        await Bun.sleep(r.below(60));
        if (i % 2 === 0) relay.cutAfter(r.below(20_000));
        else relay.cut(1 + (i % 4));
      }
      over = true;
      relay.cutAfter(Number.POSITIVE_INFINITY);
      await Promise.all(all);
      // A server does what it has got whole, also after the connection has gone.
      await Bun.sleep(300);

      const now = await server.db.query<{ id: number; n: number }>(`SELECT id, n FROM ${table} WHERE id >= 100`);
      const wrong = now.filter(({ id, n }) => n < (done.get(id)?.least ?? 0) || n > (done.get(id)?.most ?? 0));
      expect([now.length, wrong]).toEqual([WRITERS, []]);
      // There was a server all the time: what was not done was done again.
      expect(others).toEqual([]);
      expect(far.stats().queued).toBe(0);
      await server.db.execute(`DELETE FROM ${table} WHERE id >= 100`);
      await far.close();
      relay.close();
    }, 60_000);
  });
});
