import { beforeEach, describe, expect, test } from "vitest";
import { parseBareJid } from "../../../core/jid.ts";
import modAdhoc from "../../../modules/mod_adhoc/index.ts";
import modInvites, { type InviteContext } from "../../../modules/mod_invites/index.ts";
import { makeInvite, uriOf } from "../../../modules/mod_invites/invite.ts";
import modRegister from "../../../modules/mod_register.ts";
import modRoster from "../../../modules/mod_roster/index.ts";
import { FakeServer } from "../../support/fake-server.ts";

const ROMEO = parseBareJid("romeo@localhost");
const DAY = 86_400_000;
const tokenIn = (uri: string): string => /preauth=(\w+)/.exec(uri)![1];

let server: FakeServer;
let ctx: InviteContext;
async function start(config: Record<string, unknown> = {}, roster: Record<string, unknown> = {}) {
  server = new FakeServer({ users: ["romeo", "juliet"] });
  await server.startModule(modRoster, roster);
  await server.startModule(modAdhoc);
  await server.startModule(modRegister);
  ctx = (await server.startModule(modInvites, config)) as InviteContext;
}
const invite = async (more: object = {}): Promise<string> => {
  const wish = { domain: "localhost", inviter: ROMEO, kind: "roster", mayRegister: false, subscribe: true } as const;
  return tokenIn((await makeInvite(ctx, { ...wish, ...more })).uri);
};
const asks = (from: string, token: string): string =>
  `<presence from='${from}' to='romeo@localhost' type='subscribe'><preauth xmlns='urn:xmpp:pars:0' token='${token}'/></presence>`;

describe("a contact of another server who comes with a token", () => {
  beforeEach(() => start());

  test("is accepted and asked in turn; the user is not", async () => {
    const romeo = server.connect("romeo@localhost/orchard");
    await romeo.sends("<iq type='get' id='r'><query xmlns='jabber:iq:roster'/></iq>");
    romeo.received();
    await server.receivesFrom(asks("juliet@capulet", await invite()));
    expect(server.remote).toEqual([
      "<presence from='romeo@localhost' to='juliet@capulet' type='subscribed'/>",
      "<presence from='romeo@localhost' to='juliet@capulet' type='subscribe'/>",
    ]);
    const heard = romeo.received().join();
    expect(heard).toContain("<item ask='subscribe' jid='juliet@capulet' subscription='from'/>");
    expect(heard).not.toContain("type='subscribe'");
    await server.receivesFrom("<presence from='juliet@capulet' to='romeo@localhost' type='subscribed'/>");
    expect(romeo.received().join()).toContain("jid='juliet@capulet' subscription='both'");
  });

  test("after the token has ended is left to the user", async () => {
    const token = await invite();
    server.clock.advance(7 * DAY);
    await server.receivesFrom(asks("juliet@capulet", token));
    expect(server.remote).toEqual([]);
    const sql = "SELECT ask FROM rosterusers WHERE username = 'romeo'";
    expect(await server.db.query(sql)).toEqual([{ ask: "I" }]);
  });

  test("and has the subscription already uses nothing up", async () => {
    const token = await invite();
    await server.receivesFrom(asks("juliet@capulet", token));
    const second = await invite();
    server.remote.splice(0);
    await server.receivesFrom(asks("juliet@capulet", second));
    expect(server.remote).toEqual(["<presence from='romeo@localhost' to='juliet@capulet' type='subscribed'/>"]);
    expect(await ctx.store.find("localhost", second, server.now())).toMatchObject({ uses: 1 });
  });
});

test("who finds the roster full is left to the user, and the token stays good", async () => {
  await start({}, { max_items: 1 });
  const romeo = server.connect("romeo@localhost/orchard");
  await romeo.sends("<iq type='set' id='r'><query xmlns='jabber:iq:roster'><item jid='nurse@x'/></query></iq>");
  const token = await invite();
  await server.receivesFrom(asks("juliet@capulet", token));
  expect(server.remote).toEqual([]);
  expect(await ctx.store.find("localhost", token, server.now())).toMatchObject({ uses: 1 });
  await romeo.sends(
    "<iq type='set' id='r'><query xmlns='jabber:iq:roster'><item jid='nurse@x' subscription='remove'/></query></iq>",
  );
  server.remote.splice(0);
  await server.receivesFrom(asks("juliet@capulet", token));
  expect(server.remote).toHaveLength(2);
});

test("nobody is invited by an anonymous user, or by one of another domain", async () => {
  await start({ account_access: "all" });
  const command = (node: string) =>
    `<iq type='set' id='c' to='localhost'><command xmlns='http://jabber.org/protocol/commands' node='urn:xmpp:invite#${node}'/></iq>`;
  const ghost = server.connect("ghost@localhost/x", { anonymous: true });
  await ghost.sends(command("invite"), command("create-account"));
  expect(ghost.received().filter((text) => text.includes("<forbidden"))).toHaveLength(2);
  await server.receivesFrom(command("invite").replace("<iq", "<iq from='tybalt@elsewhere/x'"));
  expect(server.remote.join()).toContain("<forbidden");
});

test("a bound on uses and days", async () => {
  await start();
  for (const more of [{ uses: 1001 }, { days: 366 }, { account: "paris", uses: 2 }]) {
    await expect(invite({ kind: "account", mayRegister: true, ...more })).rejects.toThrow("not-acceptable");
  }
  await expect(invite({ kind: "account", mayRegister: true, account: "juliet" })).rejects.toThrow("conflict");
  await invite({ kind: "account", mayRegister: true, account: "paris" });
  await expect(invite({ kind: "account", mayRegister: true, account: "paris" })).rejects.toThrow("conflict");
  server.clock.advance(7 * DAY);
  await invite({ kind: "account", mayRegister: true, account: "paris" });
});

test("no account where clients make none", async () => {
  await start();
  await server.stopModule("mod_register");
  await expect(invite({ kind: "account", mayRegister: true })).rejects.toThrow("not-allowed");
  const made = await makeInvite(ctx, {
    domain: "localhost",
    inviter: ROMEO,
    kind: "roster",
    mayRegister: true,
    subscribe: true,
  });
  expect(made.uri).not.toContain("ibr=y");
});

test("a link escapes what a URI cannot have (RFC 5122)", () => {
  const base = {
    id: "1",
    domain: "localhost",
    mayRegister: true,
    subscribe: true,
    uses: 1,
    createdAt: 0,
    expiresAt: 0,
  };
  expect(uriOf({ ...base, kind: "roster", inviter: "zoë?;x", account: "" }, "t")).toBe(
    "xmpp:zo%C3%AB%3F%3Bx@localhost?roster;preauth=t;ibr=y",
  );
  expect(uriOf({ ...base, kind: "account", inviter: "a", account: "b#c" }, "t")).toBe(
    "xmpp:b%23c@localhost?register;preauth=t",
  );
});
