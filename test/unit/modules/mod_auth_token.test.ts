import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { parseBareJid } from "../../../core/jid.ts";
import type { TokenContext } from "../../../modules/mod_auth_token/config.ts";
import modAuthToken from "../../../modules/mod_auth_token/index.ts";
import { isAuthentic, parseToken, serialise, type Token } from "../../../modules/mod_auth_token/token.ts";
import { admit as admitBorn, newTokens } from "../../../modules/mod_auth_token/tokens.ts";
import modKeystore from "../../../modules/mod_keystore.ts";
import { FakeServer } from "../../support/fake-server.ts";

const dir = mkdtempSync(join(tmpdir(), "tokens-"));
afterAll(() => rmSync(dir, { recursive: true }));
const keyFile = (content: string): string => {
  const path = join(dir, `key${Math.random()}`);
  writeFileSync(path, content);
  return path;
};

const ROMEO = parseBareJid("romeo@localhost");
/** Nobody knows when the accounts of these tests were made. */
const admit = (ctx: TokenContext, text: string, domain: string) => admitBorn(ctx, text, domain, async () => undefined);
const NS = "erlang-solutions.com:xmpp:token-auth:0";
const DAY = 86_400_000;

describe("the format", () => {
  const key = Buffer.from("access_psk");
  const access: Token = { type: "access", owner: ROMEO, expires: Date.parse("2026-11-22T12:00:00Z") };

  test("is that of MongooseIM: gregorian seconds, NULs, a MAC in hexadecimal", () => {
    const fields = serialise(access, key).split("\0");
    expect(fields.slice(0, 3)).toEqual(["access", "romeo@localhost", "63962568000"]);
    expect(fields[3]).toMatch(/^[0-9a-f]{96}$/);
    expect(
      serialise({ ...access, type: "refresh", sequence: 7 }, key)
        .split("\0")
        .slice(0, 4),
    ).toEqual(["refresh", "romeo@localhost", "63962568000", "7"]);
  });

  test.each<Token>([
    access,
    { ...access, type: "refresh", sequence: 7 },
    { ...access, type: "provision", vcard: "<vCard xmlns='vcard-temp'><FN>Zażółć</FN></vCard>" },
  ])("is read as it was written (%#)", (token) => {
    const read = parseToken(serialise(token, key));
    expect(read).toMatchObject(token);
    expect(isAuthentic(read!, key)).toBe(true);
    expect(isAuthentic(read!, Buffer.from("another"))).toBe(false);
  });

  test("the JID may be a full one, as older servers wrote it", () => {
    expect(parseToken("access\0romeo@localhost/orchard\x0063962568000\0ab")?.owner.text).toBe("romeo@localhost");
  });

  test.each([
    "",
    "malformed",
    "access",
    "access\0romeo@localhost\0soon\0ab",
    "access\0@localhost\x0063962568000\0ab",
    "access\0localhost\x0063962568000\0ab",
    "access\0romeo@localhost\x0063962568000\x001\0ab",
    "refresh\0romeo@localhost\x0063962568000\0ab",
    "refresh\0romeo@localhost\x0063962568000\0one\0ab",
    "refresh\0romeo@localhost\x0063962568000\0-1\0ab",
    "provision\0romeo@localhost\x0063962568000\0ab",
    "password\0romeo@localhost\x0063962568000\0ab",
  ])("%j is no token", (text) => {
    expect(parseToken(text)).toBeUndefined();
  });

  test.each([
    ["shorter", (mac: string) => mac.slice(2)],
    ["longer", (mac: string) => `${mac}00`],
    ["empty", () => ""],
    ["no hexadecimal", (mac: string) => `${mac.slice(0, 94)}zz`],
    ["another", (mac: string) => (mac[0] === "0" ? "1" : "0") + mac.slice(1)],
  ])("a MAC that is %s does not hold", (_what, change) => {
    const text = serialise(access, key);
    const at = text.lastIndexOf("\0") + 1;
    expect(isAuthentic(parseToken(text.slice(0, at) + change(text.slice(at)))!, key)).toBe(false);
  });
});

async function verona(options: { domains?: string[] } = {}) {
  const server = new FakeServer({ users: ["romeo"], ...options });
  const keys = [
    { name: "token_secret", type: "ram" },
    { name: "provision_pre_shared", type: "file", path: keyFile("shared") },
  ];
  await server.startModule(modKeystore, { keys });
  const ctx = (await server.startModule(modAuthToken)) as TokenContext;
  const decode = (token: string): string => Buffer.from(token, "base64").toString();
  return { server, ctx, decode };
}

describe("a token lets in", () => {
  test("its owner, until it ends; a refresh token brings a new access token", async () => {
    const { server, ctx } = await verona();
    const { access, refresh } = await newTokens(ctx, ROMEO);
    expect(await admit(ctx, access, "localhost")).toEqual({ local: "romeo" });
    const again = await admit(ctx, refresh, "localhost");
    expect(await admit(ctx, again!.access!, "localhost")).toEqual({ local: "romeo" });
    server.clock.advance(3_600_000);
    expect(await admit(ctx, access, "localhost")).toBeUndefined();
    expect(await admit(ctx, refresh, "localhost")).toMatchObject({ local: "romeo" });
    server.clock.advance(25 * DAY);
    expect(await admit(ctx, refresh, "localhost")).toBeUndefined();
  });

  test("nobody once it is revoked; access tokens stay valid", async () => {
    const { ctx } = await verona();
    const { access, refresh } = await newTokens(ctx, ROMEO);
    expect(await ctx.store.revoke(ROMEO)).toBe(true);
    expect(await admit(ctx, refresh, "localhost")).toBeUndefined();
    expect(await admit(ctx, access, "localhost")).toEqual({ local: "romeo" });
    const { refresh: next } = await newTokens(ctx, ROMEO);
    expect(await admit(ctx, next, "localhost")).toMatchObject({ local: "romeo" });
  });

  test("nobody to another domain, and nobody with another's name in it", async () => {
    const { ctx } = await verona({ domains: ["localhost", "second"] });
    const { access, refresh } = await newTokens(ctx, ROMEO);
    for (const token of [access, refresh]) expect(await admit(ctx, token, "second")).toBeUndefined();
    const forged = access.replace("romeo", "julia");
    expect(await admit(ctx, forged, "localhost")).toBeUndefined();
  });

  test("nobody when the account is gone, nor who takes the name after", async () => {
    const { server, ctx } = await verona();
    const { refresh, access } = await newTokens(ctx, ROMEO);
    await server.removeUser(ROMEO);
    for (const token of [refresh, access]) expect(await admit(ctx, token, "localhost")).toBeUndefined();
    server.clock.advance(1000);
    await server.accounts.create("romeo", "localhost", "new");
    expect(await admit(ctx, refresh, "localhost")).toBeUndefined();
    const { refresh: own } = await newTokens(ctx, ROMEO);
    expect(await admit(ctx, refresh, "localhost")).toBeUndefined();
    expect(await admit(ctx, own, "localhost")).toMatchObject({ local: "romeo" });
  });

  test("nobody with an access token that is older than the account", async () => {
    const { server, ctx } = await verona();
    const { access } = await newTokens(ctx, ROMEO);
    const born = (ms: number) => admitBorn(ctx, access, "localhost", async () => server.now() + ms);
    expect(await born(-1000)).toEqual({ local: "romeo" });
    expect(await born(60_000)).toEqual({ local: "romeo" });
    expect(await born(61_000)).toBeUndefined();
  });

  test("nobody without a key, and that is no wrong password", async () => {
    const server = new FakeServer({ users: ["romeo"] });
    await server.startModule(modKeystore);
    const ctx = (await server.startModule(modAuthToken)) as TokenContext;
    await expect(newTokens(ctx, ROMEO)).rejects.toThrow('needs the key "token_secret"');
  });
});

describe("a provision token", () => {
  const vcard = "<vCard xmlns='vcard-temp'><FN>Romeo</FN></vCard>";
  const make = (jid: string, card: string, key = "shared"): string =>
    serialise(
      { type: "provision", owner: parseBareJid(jid), expires: Date.parse("2055-10-27T10:54:22Z"), vcard: card },
      Buffer.from(key),
    );

  test("makes the account and stores its vCard", async () => {
    const { server, ctx } = await verona();
    const told: string[] = [];
    server.hook({
      set_vcard: (_acc, { jid, vcard: card }) => {
        told.push(`${jid.text} ${card.getChildText("FN")}`);
        return true;
      },
      register_user: ({ jid }) => void told.push(`new ${jid.text}`),
    });
    expect(await admit(ctx, make("juliet@localhost", vcard), "localhost")).toEqual({ local: "juliet" });
    expect(await admit(ctx, make("romeo@localhost", vcard), "localhost")).toEqual({ local: "romeo" });
    expect(told).toEqual(["new juliet@localhost", "juliet@localhost Romeo", "romeo@localhost Romeo"]);
    expect(server.accounts.passwords.get("juliet@localhost")).toHaveLength(64);
    expect(server.accounts.passwords.get("romeo@localhost")).toBe("secret");
  });

  test("may have no vCard, and one that nobody stores does no harm", async () => {
    const { server, ctx } = await verona();
    expect(await admit(ctx, make("juliet@localhost", ""), "localhost")).toEqual({ local: "juliet" });
    expect(server.logged).toEqual([]);
    expect(await admit(ctx, make("tybalt@localhost", vcard), "localhost")).toEqual({ local: "tybalt" });
    expect(server.logged.join()).toContain("provision_vcard_not_stored");
  });

  test.each([
    ["is no XML", "<vCard xmlns='vcard-temp'>"],
    ["is not one element", `${vcard}${vcard}`],
    ["is something else", "<vCard xmlns='other'/>"],
  ])("makes no account when its vCard %s", async (_what, card) => {
    const { server, ctx } = await verona();
    expect(await admit(ctx, make("juliet@localhost", card), "localhost")).toBeUndefined();
    expect(server.accounts.exists("juliet", "localhost")).toBe(false);
  });

  test("signed with another key makes no account", async () => {
    const { server, ctx } = await verona();
    expect(await admit(ctx, make("juliet@localhost", vcard, "guess"), "localhost")).toBeUndefined();
    expect(server.accounts.exists("juliet", "localhost")).toBe(false);
  });
});

describe("the request", () => {
  test("gives the owner tokens", async () => {
    const { server, ctx, decode } = await verona();
    const romeo = server.connect("romeo@localhost/orchard");
    await romeo.sends(`<iq type='get' id='t' to='romeo@localhost'><query xmlns='${NS}'/></iq>`);
    const [answer] = romeo.received();
    const [, access, refresh] = /<access_token>(.*)<\/access_token><refresh_token>(.*)<\/refresh_token>/.exec(answer)!;
    expect(await admit(ctx, decode(access), "localhost")).toEqual({ local: "romeo" });
    expect(await admit(ctx, decode(refresh), "localhost")).toMatchObject({ local: "romeo" });
  });

  test("of another is forbidden", async () => {
    const { server } = await verona();
    const juliet = server.connect("juliet@localhost/balcony");
    await juliet.sends(`<iq type='get' id='t' to='romeo@localhost'><query xmlns='${NS}'/></iq>`);
    const answer = juliet.received().join();
    expect(answer).toContain("<forbidden");
    expect(answer).not.toContain("access_token");
  });

  test("of an anonymous user is not allowed", async () => {
    const { server } = await verona();
    const ghost = server.connect("ghost@localhost/x", { anonymous: true });
    await ghost.sends(`<iq type='get' id='t'><query xmlns='${NS}'/></iq>`);
    expect(ghost.received().join()).toContain("<not-allowed");
  });
});

describe("mod_keystore", () => {
  const get = (server: FakeServer, name: string) => server.host.hooks.fold("get_key", undefined, { name });

  test("gives the keys of files as they are, and those of memory with the size asked for", async () => {
    const server = new FakeServer();
    const keys = [
      { name: "a", type: "file", path: keyFile("content\n") },
      { name: "b", type: "ram" },
    ];
    await server.startModule(modKeystore, { keys, ram_key_size: 100 });
    expect(Buffer.from((await get(server, "a"))!).toString()).toBe("content\n");
    expect(await get(server, "b")).toHaveLength(100);
    expect(await get(server, "c")).toBeUndefined();
    await server.stopModule("mod_keystore");
    expect(await get(server, "a")).toBeUndefined();
  });

  test.each([
    [{ keys: [{ name: "a", type: "ram" }], ram_key_size: 0 }, "ram_key_size is 0"],
    [{ keys: [{ name: "a", type: "file", path: keyFile("") }] }, "is empty"],
  ])("does not start with a key of no bytes (%#)", async (config, problem) => {
    await expect(new FakeServer().startModule(modKeystore, config)).rejects.toThrow(problem);
  });
});
