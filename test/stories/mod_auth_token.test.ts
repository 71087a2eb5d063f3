// Tokens in place of passwords (MongooseIM's token-reconnection extension), and SASL X-OAUTH.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect } from "vitest";
import { parseBareJid } from "../../core/jid.ts";
import { serialise, type Token } from "../../modules/mod_auth_token/token.ts";
import type { Client } from "../support/client.ts";
import { childOf, show, type XElement } from "../support/match.ts";
import { type Scene, stage } from "../support/story.ts";

const NS = "erlang-solutions.com:xmpp:token-auth:0";
const NS_SASL = "urn:ietf:params:xml:ns:xmpp-sasl";
const FAR = Date.parse("2055-10-27T10:54:22Z");
const FAILURE = `<failure xmlns="${NS_SASL}"><not-authorized/></failure>`;
const WITH_ACCESS = `<success xmlns="${NS_SASL}">{any}</success>`;

const dir = mkdtempSync(join(tmpdir(), "tokens-"));
afterAll(() => rmSync(dir, { recursive: true }));
const [SECRET, SHARED] = ["secret of the server", "shared with the shop"];
const file = (name: string, content: string) => {
  const path = join(dir, name);
  writeFileSync(path, content);
  return { name, type: "file", path };
};
const WITH_TOKENS = {
  modules: {
    mod_keystore: { keys: [file("token_secret", SECRET), file("provision_pre_shared", SHARED)] },
    mod_auth_token: { validity_period: { refresh: { value: 1, unit: "days" } } },
  },
};

const text = (e: XElement | undefined): string => /^<[^>]*>([^<]*)</.exec(show(e!))?.[1] ?? "";
const decoded = (base64: string): string => Buffer.from(base64, "base64").toString();

/** The tokens that a client asks for, Base64. */
async function tokensOf(client: Client): Promise<{ access: string; refresh: string }> {
  client.sends`<iq type="get" id="tok" to="${client.bare}"><query xmlns="${NS}"/></iq>`;
  const items = childOf(await client.receives`<iq type="result" id="tok" from="${client.bare}"/>`, "items", NS)!;
  return { access: text(childOf(items, "access_token", NS)), refresh: text(childOf(items, "refresh_token", NS)) };
}

/** A new connection of somebody sends a token, Base64. */
async function comesWith(c: Client, { server, door }: Pick<Scene, "server" | "door">, token: string): Promise<Client> {
  await c.connects(server.target(door));
  await c.opens();
  c.sendsRaw(`<auth xmlns='${NS_SASL}' mechanism='X-OAUTH'>${token}</auth>`);
  return c;
}

const made = (token: Token, key: string): string => Buffer.from(serialise(token, Buffer.from(key))).toString("base64");
const mechanisms = (c: Client): string => show(childOf(c.features!, "mechanisms", NS_SASL)!);

describe("with mod_auth_token", () => {
  const { story } = stage(WITH_TOKENS);

  story(
    "the server says that it gives tokens",
    { romeo: 1 },
    async ({ romeo }) => {
      romeo.sends`<iq type="get" id="d" to="localhost"><query xmlns="http://jabber.org/protocol/disco#info"/></iq>`;
      expect(show(await romeo.receives`<iq type="result" id="d"/>`)).toContain(NS);
    },
    { covers: ["oauth_SUITE:disco_test"] },
  );

  story(
    "X-OAUTH is offered",
    {},
    async ({ stranger, server, door }) => {
      const c = await stranger().connects(server.target(door));
      await c.opens();
      expect(mechanisms(c)).toContain("X-OAUTH");
      c.tally.assertions++;
    },
    { covers: ["oauth_SUITE:check_for_oauth_with_mod_auth_token_loaded"] },
  );

  story(
    "who is logged in gets tokens, and an access token logs in",
    { romeo: 1 },
    async ({ romeo, another, ...scene }) => {
      const { access, refresh } = await tokensOf(romeo);
      expect(decoded(access).split("\0").slice(0, 2)).toEqual(["access", romeo.bare]);
      expect(decoded(refresh).split("\0").slice(0, 2)).toEqual(["refresh", romeo.bare]);
      const c = await comesWith(another(romeo), scene, access);
      expect(text(await c.receives`<success xmlns="${NS_SASL}"/>`)).toBe("");
      await c.opens();
      await c.binds();
      await c.comesOnline();
    },
    { covers: ["oauth_SUITE:request_tokens_test", "oauth_SUITE:login_access_token_test"] },
  );

  story(
    "a refresh token logs in and brings an access token, which logs in too",
    { romeo: 1 },
    async ({ romeo, another, ...scene }) => {
      const { refresh } = await tokensOf(romeo);
      const c = await comesWith(another(romeo), scene, refresh);
      const access = text(await c.hears(WITH_ACCESS));
      expect(decoded(access)).toMatch(/^access\0/);
      await c.opens();
      await c.binds();
      const d = await comesWith(another(romeo), scene, access);
      await d.receives`<success xmlns="${NS_SASL}"/>`;
    },
    { covers: ["oauth_SUITE:login_refresh_token_test"] },
  );

  story(
    "who comes with another's token is the other",
    { romeo: 1, juliet: 0 },
    async ({ romeo, juliet, another, ...scene }) => {
      const { access } = await tokensOf(romeo);
      const c = await comesWith(another(juliet), scene, access);
      await c.receives`<success xmlns="${NS_SASL}"/>`;
      await c.opens();
      await c.binds();
      expect(c.full).toMatch(new RegExp(`^${romeo.bare}/`));
    },
    { covers: ["oauth_SUITE:login_with_other_users_token"] },
  );

  for (const [what, token] of [
    ["that is none", Buffer.from(`malformed ${"x".repeat(64)}`).toString("base64")],
    ["that is no text", Buffer.alloc(80, 0xff).toString("base64")],
    [
      "of an account that does not exist",
      made({ type: "access", owner: parseBareJid("ghost@localhost"), expires: FAR }, SECRET),
    ],
    ["of another domain", made({ type: "access", owner: parseBareJid("romeo@elsewhere"), expires: FAR }, SECRET)],
  ]) {
    story(
      `a token ${what} is not-authorized`,
      { romeo: 0 },
      async ({ romeo, another, ...scene }) => {
        const c = await comesWith(another(romeo), scene, token);
        await c.hears(FAILURE);
      },
      { covers: what === "that is none" ? ["oauth_SUITE:login_with_malformed_token"] : [] },
    );
  }

  story(
    "a refresh token with an old number does not log in",
    { romeo: 1 },
    async ({ romeo, another, ...scene }) => {
      const { refresh } = await tokensOf(romeo);
      const sequence = Number(decoded(refresh).split("\0")[3]);
      const token = (n: number): string =>
        made({ type: "refresh", owner: parseBareJid(romeo.bare), expires: FAR, sequence: n }, SECRET);
      await (await comesWith(another(romeo), scene, token(sequence - 1))).hears(FAILURE);
      await (await comesWith(another(romeo), scene, token(sequence))).hears(WITH_ACCESS);
    },
    { covers: ["oauth_SUITE:login_with_revoked_token_test"] },
  );

  story(
    "a revoked token does not log in, a new one does",
    { romeo: 1 },
    async ({ romeo, another, graphql, ...scene }) => {
      const { refresh } = await tokensOf(romeo);
      (await graphql.admin.calls("token.revokeToken", { user: romeo.bare })).gives("Revoked");
      await (await comesWith(another(romeo), scene, refresh)).hears(FAILURE);
      const next = await tokensOf(romeo);
      await (await comesWith(another(romeo), scene, next.refresh)).hears(WITH_ACCESS);
    },
    { covers: ["oauth_SUITE:token_revocation_test"] },
  );

  for (const who of ["that exists", "that does not"]) {
    story(
      `a provision token logs in to an account ${who}, with a vCard`,
      { romeo: 0 },
      async ({ romeo, another, stranger, ...scene }) => {
        const c = who === "that exists" ? another(romeo) : stranger("newcomer");
        const vcard = `<vCard xmlns="vcard-temp"><FN>Full Name</FN><NICKNAME>${c.local}</NICKNAME></vCard>`;
        const token: Token = { type: "provision", owner: parseBareJid(c.bare), expires: FAR, vcard };
        await comesWith(c, scene, made(token, SHARED));
        await c.receives`<success xmlns="${NS_SASL}"/>`;
        await c.opens();
        await c.binds();
        c.sends`<iq type="get" id="v"><vCard xmlns="vcard-temp"/></iq>`;
        await c.hears(`<iq type="result" id="v">${vcard}</iq>`);
      },
      { covers: who === "that exists" ? ["oauth_SUITE:provision_token_login"] : [] },
    );
  }

  story("a provision token of somebody without the key makes no account", {}, async ({ stranger, ...scene }) => {
    const c = stranger("thief");
    const token: Token = { type: "provision", owner: parseBareJid(c.bare), expires: FAR, vcard: "" };
    await comesWith(c, scene, made(token, SECRET));
    await c.hears(FAILURE);
    expect(await scene.server.node.hostOf("localhost")!.auth.exists(c.local, "localhost")).toBe(false);
  });

  story(
    "who removes the account leaves no token, and takes none over from who had the name",
    { romeo: 1 },
    async ({ romeo, another, server, door }) => {
      const { access, refresh } = await tokensOf(romeo);
      const rows = () => server.node.db("rdbms").query("SELECT 1 FROM auth_token WHERE owner = ?", [romeo.bare]);
      expect(await rows()).toHaveLength(1);
      romeo.sends`<iq type="set" id="u"><query xmlns="jabber:iq:register"><remove/></query></iq>`;
      await romeo.receives`<iq type="result" id="u"/>`;
      await romeo.skipsTo((e) => e.name === "error");
      await romeo.receivesEnd();
      await expect.poll(rows).toEqual([]);
      for (const token of [access, refresh]) {
        await (await comesWith(another(romeo), { server, door }, token)).hears(FAILURE);
      }
      // The name is free when everything of the account is gone.
      const { auth } = server.node.hostOf("localhost")!;
      await expect.poll(() => auth.create(romeo.local, "localhost", "another")).toBe("ok");
      await (await comesWith(another(romeo), { server, door }, refresh)).hears(FAILURE);
    },
    { covers: ["oauth_SUITE:token_removed_on_user_removal"] },
  );

  story("nobody gets another's tokens", { romeo: 1, juliet: 0 }, async ({ romeo, juliet }) => {
    romeo.sends`<iq type="get" id="t" to="${juliet.bare}"><query xmlns="${NS}"/></iq>`;
    await romeo.receives`<iq type="error" id="t"><error><forbidden xmlns="urn:ietf:params:xml:ns:xmpp-stanzas"/></error></iq>`;
  });
});

describe("without mod_auth_token", () => {
  const { story } = stage();
  story(
    "X-OAUTH is not offered, and not known",
    {},
    async ({ stranger, server, door }) => {
      const c = await stranger().connects(server.target(door));
      await c.opens();
      expect(mechanisms(c)).not.toContain("X-OAUTH");
      c.sendsRaw(`<auth xmlns='${NS_SASL}' mechanism='X-OAUTH'>YQ==</auth>`);
      await c.receives`<failure xmlns="${NS_SASL}"><invalid-mechanism/></failure>`;
    },
    { covers: ["oauth_SUITE:check_for_oauth_with_mod_auth_token_not_loaded"] },
  );
});

describe("a new password", () => {
  const { story } = stage(WITH_TOKENS);

  story("makes refresh tokens worthless", { romeo: 1 }, async ({ romeo, another, ...scene }) => {
    const { refresh } = await tokensOf(romeo);
    const auth = scene.server.node.hostOf(romeo.domain)!.auth;
    expect(await auth.setPassword(romeo.local, romeo.domain, "a new one")).toBe("ok");
    const again = await comesWith(another(romeo), scene, refresh);
    await again.hears(FAILURE);
  });
});
