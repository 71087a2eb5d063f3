import { createHash } from "node:crypto";
import { describe, expect, test } from "vitest";
import { AuthConfigError, type AuthEvent } from "../../../../core/auth/index.ts";
import { accounts } from "./accounts.ts";

const PLAIN = { format: "plain" };
const BOTH = { methods: ["internal", "anonymous"], internal: {}, anonymous: { protocol: "both" }, password: PLAIN };

describe("creating", () => {
  test("gives ok once and exists afterwards", async () => {
    const { auth } = accounts();
    expect(await auth.create("juliet", "localhost", "x")).toBe("ok");
    expect(await auth.create("juliet", "localhost", "y")).toBe("exists");
  });

  test("two at the same time make one account", async () => {
    const { auth } = accounts();
    const results = await Promise.all([auth.create("a", "localhost", "x"), auth.create("a", "localhost", "x")]);
    expect(results.sort()).toEqual(["exists", "ok"]);
  });

  test("stops at max_users_per_domain, domain by domain", async () => {
    const { auth } = accounts({ internal: {}, password: PLAIN, max_users_per_domain: 1 });
    expect(await auth.create("a", "localhost", "x")).toBe("ok");
    expect(await auth.create("b", "localhost", "x")).toBe("limit");
    expect(await auth.create("b", "example.org", "x")).toBe("ok");
  });

  test.each(["", "bell\u0007"])("refuses the password %j", async (password) => {
    expect(await accounts().auth.create("juliet", "localhost", password)).toBe("bad_password");
  });

  test("is not allowed where no method can", async () => {
    expect(await accounts({ anonymous: {} }).auth.create("juliet", "localhost", "x")).toBe("not_allowed");
  });
});

describe("changing a password", () => {
  test("makes the new one work and the old one not", async () => {
    const { auth } = accounts();
    await auth.create("juliet", "localhost", "old");
    expect(await auth.setPassword("juliet", "localhost", "new")).toBe("ok");
    expect(await auth.checkPassword("juliet", "localhost", "new")).toBe(true);
    expect(await auth.checkPassword("juliet", "localhost", "old")).toBe(false);
  });

  test("of nobody is not allowed", async () => {
    expect(await accounts().auth.setPassword("nobody", "localhost", "x")).toBe("not_allowed");
  });

  test("to an empty one is refused", async () => {
    expect(await accounts().auth.setPassword("nobody", "localhost", "")).toBe("bad_password");
  });
});

describe("removing", () => {
  test("an account ends its log-ins", async () => {
    const { auth } = accounts();
    await auth.create("juliet", "localhost", "x");
    expect(await auth.remove("juliet", "localhost")).toBe("ok");
    expect(await auth.checkPassword("juliet", "localhost", "x")).toBe(false);
    expect(await auth.remove("juliet", "localhost")).toBe("user_does_not_exist");
  });

  test("a domain leaves the others alone", async () => {
    const { auth } = accounts({ internal: {}, password: PLAIN });
    for (const domain of ["localhost", "example.org"]) await auth.create("juliet", domain, "x");
    await auth.removeDomain("localhost");
    expect([await auth.count("localhost"), await auth.count("example.org")]).toEqual([0, 1]);
  });

  test("what no method can remove is not allowed", async () => {
    expect(await accounts({ pki: {} }).auth.remove("juliet", "localhost")).toBe("not_allowed");
  });
});

describe("several methods", () => {
  test("are asked in the configured order", async () => {
    const { auth } = accounts({ ...BOTH, dummy: {}, methods: ["dummy", "internal"] });
    expect(auth.methods).toEqual(["dummy", "internal"]);
    expect(await auth.authenticate("juliet", "localhost", "any")).toBe("dummy");
  });

  test("can be narrowed by the listener", async () => {
    const { auth } = accounts({ ...BOTH, dummy: {}, methods: ["dummy", "internal"] });
    expect(await auth.authenticate("juliet", "localhost", "any", ["internal"])).toBeUndefined();
  });

  test("when one is down the next is asked", async () => {
    const { auth, db } = accounts({ internal: {}, dummy: {}, methods: ["internal", "dummy"] });
    db.broken = new Error("disk on fire");
    expect(await auth.authenticate("juliet", "localhost", "x")).toBe("dummy");
  });

  test("when one is down and no other says yes, the error is told", async () => {
    const { auth, db } = accounts();
    db.broken = new Error("disk on fire");
    await expect(auth.checkPassword("juliet", "localhost", "x")).rejects.toThrow("disk on fire");
  });
});

describe("anonymous accounts", () => {
  test("exist while their session lives", async () => {
    const { auth, online } = accounts(BOTH);
    expect(await auth.exists("guest", "localhost")).toBe(false);
    online.add("guest@localhost");
    expect(await auth.exists("guest", "localhost")).toBe(true);
    expect(await auth.exists("guest", "localhost", { storedOnly: true })).toBe(false);
  });

  test("cannot take a registered name", async () => {
    const { auth } = accounts(BOTH);
    await auth.create("juliet", "localhost", "r0m30");
    expect(await auth.authenticate("juliet", "localhost", "guess")).toBeUndefined();
    expect(await auth.authenticate("juliet", "localhost", "r0m30")).toBe("internal");
    expect(await auth.authenticate("guest", "localhost", "guess")).toBe("anonymous");
  });

  test.each([
    [false, undefined],
    [true, "anonymous"],
  ])("share a name only with allow_multiple_connections = %s", async (allow_multiple_connections, method) => {
    const { auth, online } = accounts({ anonymous: { protocol: "login_anon", allow_multiple_connections } });
    online.add("guest@localhost");
    expect(await auth.authenticate("guest", "localhost", "x")).toBe(method);
  });

  test("take no password with protocol sasl_anon", async () => {
    expect(await accounts({ anonymous: {} }).auth.authenticate("guest", "localhost", "x")).toBeUndefined();
  });
});

describe("dummy accounts", () => {
  test.each([
    [0, 51],
    [255, 500],
  ])("wait base_time and a part of variance (random byte %i: %i ms)", async (byte, waited) => {
    const slept: number[] = [];
    const { auth } = accounts(
      { dummy: { base_time: 50, variance: 450 } },
      {
        random: (n) => new Uint8Array(n).fill(byte),
        sleep: async (ms) => void slept.push(ms),
      },
    );
    expect(await auth.checkPassword("anyone", "localhost", "anything")).toBe(true);
    expect(slept).toEqual([waited]);
  });
});

describe("checkPasswordHash", () => {
  const digest = (name: string) => createHash(name).update("r0m30").digest("hex");
  const check = async (hash: string, method: string, format = "plain", local = "juliet") => {
    const { auth } = accounts({ internal: {}, password: { format } });
    await auth.create("juliet", "localhost", "r0m30");
    return auth.checkPasswordHash(local, "localhost", hash, method);
  };

  test.each([
    [digest("md5"), "md5", "ok"],
    [digest("sha1"), "sha", "ok"],
    [digest("sha1").toUpperCase(), "sha", "ok"],
    [digest("md5"), "sha", "incorrect"],
    [digest("sha256"), "sha256", "wrong_method"],
  ])("%s as %s: %s", async (hash, method, answer) => {
    expect(await check(hash, method)).toBe(answer);
  });

  test("takes the digests of MongooseIM's tools, which drop leading zeros", async () => {
    const short = (digest("sha1").match(/../g) ?? []).map((byte) => byte.replace(/^0/, "").toUpperCase()).join("");
    expect(await check(short, "sha")).toBe("ok");
  });

  test("knows no user with SCRAM keys or without an account", async () => {
    expect(await check(digest("md5"), "md5", "scram")).toBe("wrong_user");
    expect(await check(digest("md5"), "md5", "plain", "nobody")).toBe("wrong_user");
  });
});

test("personal data tells the row without the secret", async () => {
  const { auth } = accounts();
  await auth.create("juliet", "localhost", "r0m30");
  expect(await auth.personalData("juliet", "localhost")).toEqual([
    {
      method: "internal",
      username: "juliet",
      server: "localhost",
      password: "scram",
      created_at: expect.stringMatching(/^\d{4}-\d\d-\d\d/),
    },
  ]);
  expect(await auth.personalData("nobody", "localhost")).toEqual([]);
});

test("every call is told to the metrics under MongooseIM's names", async () => {
  const events: [AuthEvent, number][] = [];
  let clock = 0;
  const { auth } = accounts(
    { internal: {}, password: PLAIN },
    {
      observe: (event, microseconds) => events.push([event, microseconds]),
      now: () => clock++,
    },
  );
  await auth.create("juliet", "localhost", "x");
  await auth.authenticate("juliet", "localhost", "x");
  await auth.remove("juliet", "localhost");
  expect(events).toEqual([
    ["auth_does_user_exist", 1000],
    ["auth_register_user", 0],
    ["auth_try_register", 3000],
    ["auth_authorize", 1000],
    ["auth_does_user_exist", 1000],
    ["auth_unregister_user", 0],
  ]);
});

test("a method without its database is refused in one line", () => {
  expect(() => accounts({ internal: {} }, { internalDb: undefined })).toThrow(AuthConfigError);
  expect(() => accounts({ rdbms: {} }, { rdbms: undefined })).toThrow("add a section [outgoing_pools.rdbms.default]");
});

test("a method that is not built is refused in one line", () => {
  expect(() => accounts({ http: {} })).toThrow(
    "Cannot use [auth.http]: this server has the methods internal, rdbms, anonymous, dummy and pki so far",
  );
});
