// References between tables hold on every database alike.
import { beforeAll, expect, test } from "vitest";
import type { Db } from "../../core/storage/db.ts";
import { onEachDatabase, type TestDatabase } from "./db_each.ts";

onEachDatabase("references between tables", (database: TestDatabase) => {
  let db: Db;
  const occupant = { room_id: 7, luser: "romeo", lserver: "localhost", aff: 1 };

  beforeAll(async () => {
    db = await database.open();
  });

  test("a row that refers to nothing is refused", async () => {
    await expect(db.insertNew("muc_light_occupants", occupant)).rejects.toMatchObject({ code: "constraint" });
    const rows = [Object.values(occupant)];
    await expect(db.insertMany("muc_light_occupants", Object.keys(occupant), rows)).rejects.toMatchObject({
      code: "constraint",
    });
  });

  test("a row that is referred to stays until those are gone", async () => {
    await db.insertNew("muc_light_rooms", { id: 7, luser: "room", lserver: "muc.localhost", version: "1-2-3" });
    await db.insertNew("muc_light_occupants", occupant);
    const room = "DELETE FROM muc_light_rooms WHERE id = 7";
    await expect(db.execute(room)).rejects.toMatchObject({ code: "constraint" });
    const occupants = "DELETE FROM muc_light_occupants WHERE room_id = 7";
    expect(await db.transaction([{ sql: occupants }, { sql: room }])).toEqual([1, 1]);
  });

  test("the items of a privacy list go with it, where MongooseIM's tables say so", async () => {
    await db.insertNew("privacy_list", { server: "localhost", username: "romeo", name: "blocking" });
    const [{ id }] = await db.query<{ id: number }>("SELECT id FROM privacy_list");
    const match = { match_all: 1, match_iq: 0, match_message: 0, match_presence_in: 0, match_presence_out: 0 };
    await db.insertNew("privacy_list_data", { id, t: "n", value: "", action: "d", ord: 1, ...match });
    await db.execute("DELETE FROM privacy_list WHERE id = ?", [id]);
    const left = await db.query("SELECT ord FROM privacy_list_data");
    expect(left).toEqual(database.dialect === "mysql" ? [{ ord: 1 }] : []);
  });
});
