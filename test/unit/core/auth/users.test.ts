import { describe, expect, test } from "vitest";
import { accounts } from "./accounts.ts";

interface Row {
  password: string;
  pass_details: string | null;
}

const rowOf = async ({ db }: ReturnType<typeof accounts>, local = "juliet") =>
  (await db.query<Row>("SELECT password, pass_details FROM users WHERE username = ?", [local]))[0];

const PLAIN = { internal: {}, password: { format: "plain" } };

describe("storing", () => {
  test("SCRAM keys leave the password empty and take all configured hash functions", async () => {
    const world = accounts();
    await world.auth.create("juliet", "localhost", "r0m30");
    const row = await rowOf(world);
    expect(row.password).toBe("");
    expect(row.pass_details).toMatch(
      /^==MULTI_SCRAM==,64,===SHA1===.+,==SHA224==.+,==SHA256==.+,==SHA384==.+,==SHA512==/,
    );
  });

  test("each hash function has its own salt", async () => {
    const { auth } = accounts();
    await auth.create("juliet", "localhost", "r0m30");
    const { scram } = (await auth.credentials("juliet", "localhost")) ?? {};
    const salts = Object.values(scram ?? {}).map((keys) => keys.salt.toHex());
    expect(new Set(salts).size).toBe(5);
    expect(salts[0]).toHaveLength(32);
  });

  test("only the configured hash functions are kept", async () => {
    const { auth } = accounts({ internal: {}, password: { hash: ["sha512"] } });
    await auth.create("juliet", "localhost", "r0m30");
    expect(Object.keys((await auth.credentials("juliet", "localhost"))?.scram ?? {})).toEqual(["sha512"]);
  });

  test("a plain password is stored as it came", async () => {
    const world = accounts(PLAIN);
    await world.auth.create("juliet", "localhost", "r\u00f6m\u00e9o \u2168");
    expect(await rowOf(world)).toEqual({ password: "r\u00f6m\u00e9o \u2168", pass_details: null });
  });

  test("a new plain password takes old SCRAM keys away", async () => {
    const world = accounts(PLAIN);
    await world.db.insertNew("users", { server: "localhost", username: "juliet", password: "", pass_details: "old" });
    expect(await world.auth.setPassword("juliet", "localhost", "new")).toBe("ok");
    expect(await rowOf(world)).toEqual({ password: "new", pass_details: null });
  });
});

describe("checking", () => {
  test.each([["scram"], ["plain"]])("format %s tells right from wrong", async (format) => {
    const { auth } = accounts({ internal: {}, password: { format } });
    await auth.create("juliet", "localhost", "r0m30");
    expect(await auth.checkPassword("juliet", "localhost", "r0m30")).toBe(true);
    expect(await auth.checkPassword("juliet", "localhost", "R0M30")).toBe(false);
    expect(await auth.checkPassword("juliet", "localhost", "")).toBe(false);
    expect(await auth.checkPassword("juliet", "example.org", "r0m30")).toBe(false);
  });

  test("a row of MongooseIM's with SHA-1 keys is served", async () => {
    const { auth, db } = accounts();
    // RFC 5802 §5: user "user", password "pencil".
    const pass_details =
      "==MULTI_SCRAM==,4096,===SHA1===QSXCR+Q6sek8bf92|6dlGYMOdZcOPutkcNY8U2g7vK9Y=|D+CSWLOshSulAsxiupA+qs2/fTE=";
    await db.insertNew("users", { server: "localhost", username: "user", password: "", pass_details });
    expect(await auth.checkPassword("user", "localhost", "pencil")).toBe(true);
    expect(await auth.checkPassword("user", "localhost", "pen")).toBe(false);
  });

  test("a row with an empty plain password lets nobody in", async () => {
    const { auth, db } = accounts(PLAIN);
    await db.insertNew("users", { server: "localhost", username: "juliet", password: "" });
    expect(await auth.checkPassword("juliet", "localhost", "")).toBe(false);
  });

  test("a compatibility character equals its plain form, as for SASLprep clients", async () => {
    const { auth } = accounts();
    await auth.create("juliet", "localhost", "\u2168");
    expect(await auth.checkPassword("juliet", "localhost", "IX")).toBe(true);
  });

  test("a damaged row lets nobody in and is reported", async () => {
    const reports: string[] = [];
    const { auth, db } = accounts({ internal: {} }, { report: (error) => reports.push(error.message) });
    await db.insertNew("users", { server: "localhost", username: "juliet", password: "", pass_details: "rubbish" });
    expect(await auth.checkPassword("juliet", "localhost", "rubbish")).toBe(false);
    expect(reports).toEqual([
      'Cannot read users.pass_details of "juliet@localhost": neither ==MULTI_SCRAM== nor ==SCRAM==; set a new password',
    ]);
  });
});

describe("listing", () => {
  const filled = async () => {
    const world = accounts(PLAIN);
    for (const name of ["romeo", "juliet", "a_b", "axb", "nurse"]) await world.auth.create(name, "localhost", "x");
    await world.auth.create("romeo", "example.org", "x");
    return world.auth;
  };

  test("names are in order and of one domain", async () => {
    expect(await (await filled()).list("localhost")).toEqual(["a_b", "axb", "juliet", "nurse", "romeo"]);
  });

  test("pages are cut by limit and offset", async () => {
    const auth = await filled();
    expect(await auth.list("localhost", { limit: 2, offset: 1 })).toEqual(["axb", "juliet"]);
    expect(await auth.list("localhost", { offset: 3 })).toEqual(["nurse", "romeo"]);
  });

  test("a prefix is text, not a pattern", async () => {
    const auth = await filled();
    expect(await auth.list("localhost", { prefix: "a_" })).toEqual(["a_b"]);
    expect(await auth.count("localhost", "a")).toBe(2);
  });

  test("accounts are counted per domain", async () => {
    const auth = await filled();
    expect([await auth.count("localhost"), await auth.count("example.org"), await auth.count("none")]).toEqual([
      5, 1, 0,
    ]);
  });

  test("an estimate falls back to counting where the database has none", async () => {
    const { auth } = accounts({ rdbms: { users_number_estimate: true }, password: { format: "plain" } });
    await auth.create("juliet", "localhost", "x");
    expect(await auth.count("localhost")).toBe(1);
  });
});
