import { beforeAll, expect, test } from "vitest";
import { HasherBusyError } from "../../../../core/auth/index.ts";
import { startMechanism } from "../../../../core/sasl/index.ts";
import { type Accounts, accounts } from "../auth/accounts.ts";
import { begin, stream } from "./stream.ts";

let world: Accounts;
beforeAll(async () => {
  world = accounts();
  await world.auth.create("juliet", "localhost", "r0m30");
  await world.auth.create("jörg", "localhost", "pässword");
});

const login = (message: string | Uint8Array) => begin(stream(world.auth), "PLAIN", message);

test("the right password logs in", async () => {
  expect(await login("\0juliet\0r0m30")).toEqual({ kind: "success", local: "juliet", method: "internal" });
});

test("names and passwords are prepared", async () => {
  expect(await login("\0JO\u0308RG\0pa\u0308ssword")).toMatchObject({ kind: "success", local: "jörg" });
});

test("one's own bare JID may be the authorization identity", async () => {
  expect(await login("juliet@localhost\0juliet\0r0m30")).toMatchObject({ kind: "success" });
});

test("a bare JID of this domain may be the name", async () => {
  expect(await login("\0juliet@LOCALHOST\0r0m30")).toMatchObject({ kind: "success", local: "juliet" });
});

test.each(["romeo@localhost", "juliet@example.org", "juliet", "juliet@localhost/balcony"])(
  "%s is no identity that Juliet may act for",
  async (authzid) => {
    expect(await login(`${authzid}\0juliet\0r0m30`)).toMatchObject({ condition: "invalid-authzid", local: "juliet" });
  },
);

test.each(["\0juliet\0wrong", "\0nobody\0r0m30", "\0juliet@example.org\0r0m30", "\0a b\0r0m30", "\0juliet\0\u0007"])(
  "%j is not authorized",
  async (message) => {
    expect(await login(message)).toMatchObject({ kind: "failure", condition: "not-authorized" });
  },
);

test.each([
  "",
  "juliet",
  "\0juliet",
  "\0juliet\0",
  "\0\0r0m30",
  "\0juliet\0r0m30\0",
  "\0\0\0",
  `\0j\0${"x".repeat(2000)}`,
])("%j is malformed", async (message) => {
  expect(await login(message)).toMatchObject({ condition: "malformed-request" });
});

test("bytes that are no UTF-8 are malformed", async () => {
  expect(await login(Buffer.from([0, 0x6a, 0, 0xff]))).toMatchObject({ condition: "malformed-request" });
});

test("without an initial response the server asks with an empty challenge", async () => {
  const exchange = startMechanism("PLAIN", stream(world.auth));
  expect(await exchange?.start(undefined)).toEqual({ kind: "challenge", data: new Uint8Array(0) });
  expect(await exchange?.next(Buffer.from("\0juliet\0r0m30"))).toMatchObject({ kind: "success" });
});

test("an unknown user costs as much hashing as a wrong password", async () => {
  let hashed = 0;
  const { auth } = accounts(
    { internal: {} },
    {
      random: (n) => {
        hashed++;
        return new Uint8Array(n);
      },
    },
  );
  await begin(stream(auth), "PLAIN", "\0nobody\0x");
  expect(hashed).toBe(1);
});

test("too many waiting hashes are a temporary failure", async () => {
  const { auth } = accounts();
  auth.authenticate = async () => {
    throw new HasherBusyError("Cannot hash a password now: 20000 are waiting");
  };
  expect(await begin(stream(auth), "PLAIN", "\0juliet\0r0m30")).toMatchObject({
    condition: "temporary-auth-failure",
    text: "Too many log-ins at once, try again later",
  });
});

test("the method that said yes is told", async () => {
  const { auth } = accounts({ methods: ["internal", "dummy"], internal: {}, dummy: {} });
  expect(await begin(stream(auth), "PLAIN", "\0anyone\0x")).toMatchObject({ kind: "success", method: "dummy" });
});

test("login_anon makes an account that ends with its session", async () => {
  const { auth } = accounts({ anonymous: { protocol: "login_anon" } });
  expect(await begin(stream(auth), "PLAIN", "\0guest\0x")).toEqual({
    kind: "success",
    local: "guest",
    method: "anonymous",
    anonymous: true,
  });
});
