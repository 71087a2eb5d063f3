import { expect, test } from "vitest";
import { StorageError } from "../../../../core/storage/db.ts";
import { ServerDb } from "../../../../core/storage/server.ts";

const lost = () => new StorageError("unavailable", "lost");
const full = () => Object.assign(new Error("no room"), { code: "FULL" });

/** A store whose connections are names, and whose server does what `says` does. */
class Fake extends ServerDb<string> {
  constructor(says: { probe?: () => void; ask?: () => void }, keepAliveMs?: number) {
    let opened = 0;
    super(
      { host: "db.example", database: "d", username: "u", keepAliveMs },
      {
        dialect: "pgsql",
        name: "Fake",
        port: 7,
        depth: 1,
        full: new Set(["FULL"]),
        open: () => `connection ${++opened}`,
        close: async () => {},
        ask: async () => says.ask?.(),
        probe: async () => says.probe?.(),
        errorOf: (cause) => (cause instanceof StorageError ? cause : new StorageError("unavailable", String(cause))),
      },
    );
  }
  query = async () => [];
  insertMany = async () => {};
  begin = async () => [];
  execute = (sql: string): Promise<number> =>
    this.patience.run(1, () =>
      this.workers.run(async () => {
        if (sql === "lose") throw lost();
        return 1;
      }),
    );
}

test("a server that refuses even the first connection is not reached, and the store is closed", async () => {
  const db = new Fake({
    probe: () => {
      throw full();
    },
  });
  await expect(db.reached()).rejects.toMatchObject({
    code: "unavailable",
    message: 'Cannot reach Fake at "db.example:7": Error: no room',
  });
  await expect(db.execute("")).rejects.toThrow("the database is closed");
});

test.each([
  ["refuses only more connections is not lost", full, true],
  ["does not answer is", lost, false],
])("a server that was there and %s", async (_, answer, up) => {
  let probes = 0;
  const db = new Fake({
    probe: () => {
      if (probes++ > 0) throw answer();
    },
  });
  await db.reached();
  await expect(db.execute("lose")).rejects.toThrow("lost");
  await expect.poll(() => probes).toBeGreaterThan(1);
  expect(db.stats().up).toBe(up);
  await db.close();
});

test("a connection that breaks while it is kept alive has the server looked for", async () => {
  let probes = 0;
  const says = {
    probe: () => void probes++,
    ask: () => {
      throw lost();
    },
  };
  const db = new Fake(says, 5);
  await db.execute("");
  await expect.poll(() => probes).toBeGreaterThan(0);
  expect(db.stats().up).toBe(true);
  await db.close();
});
