// Messages of one owner come to be read in the order of their ids, however many batches are written at once: who reads
// what follows the newest that he has misses none.
import { beforeAll, expect, test } from "vitest";
import { parseJid } from "../../core/jid.ts";
import type { Db } from "../../core/storage/db.ts";
import { MamStore } from "../../modules/mod_mam/store.ts";
import { onEachDatabase, type TestDatabase } from "./db_each.ts";

const FRIEND = parseJid("friend@localhost/pc");
const ROUNDS = 300;
/** Others that are written to with each message: enough for another batch. */
const OTHERS = 20;

onEachDatabase("an archive that is read while it is written", (database: TestDatabase) => {
  let db: Db;
  beforeAll(async () => {
    db = await database.open();
  });

  test.each([true, false])("gives every message to who follows it (batches: %s)", async (enabled) => {
    const silent = { flushed() {}, dropped() {}, unfit: () => expect.unreachable("it has room for all") };
    const async_writer = { enabled, batch_size: 5, flush_interval: 0, pool_size: 8 };
    const { sql } = new MamStore(db).sql({ cache_users: true, async_writer }, silent);
    const name = `followed-${enabled}`;
    let id = 0n;
    const keep = (local: string): Promise<void> =>
      sql.archive({
        id: ++id,
        owner: { local, domain: "localhost" },
        from: FRIEND,
        remote: FRIEND,
        direction: "in",
        stanza: "<message><body>x</body></message>",
        searchBody: "",
        originId: undefined,
        groupchat: false,
      });
    await Promise.all([name, ...Array.from({ length: OTHERS }, (_, i) => `other-${enabled}-${i}`)].map(keep));

    const sent: bigint[] = [1n];
    let going = true;
    const read: bigint[] = [];
    const follow = async (): Promise<void> => {
      for (let last = false; !last; ) {
        last = !going;
        const page = { dir: "after", max: 50, count: false, ...(read.length > 0 && { id: read.at(-1) }) } as const;
        const { messages, complete } = await sql.lookup({ local: name, domain: "localhost" }, {}, page);
        read.push(...messages.map((message) => message.id));
        last &&= complete;
      }
    };
    const following = follow();
    const writes: Promise<void>[] = [];
    for (let n = 0; n < ROUNDS; n++) {
      writes.push(keep(name));
      sent.push(id);
      // What is beside it in its batch makes the statement longer, now and then.
      for (let i = 0; i < (n % 3 === 0 ? OTHERS : 1); i++) writes.push(keep(`other-${enabled}-${(n + i) % OTHERS}`));
      await new Promise((resolve) => setImmediate(resolve));
      if (n % 16 === 0) await Promise.all(writes.splice(0));
    }
    await Promise.all(writes);
    going = false;
    await following;
    expect(read).toEqual(sent);
  });
});
