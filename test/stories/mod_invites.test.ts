// Invitations: XEP-0379 (roster), XEP-0401 (ad-hoc commands), XEP-0445 (registration).
import { describe, expect } from "vitest";
import type { Client } from "../support/client.ts";
import { childOf, show } from "../support/match.ts";
import { type Scene, stage } from "../support/story.ts";

const NS_COMMANDS = "http://jabber.org/protocol/commands";
const NS_PARS = "urn:xmpp:pars:0";
const NS_REGISTER = "jabber:iq:register";
const NS_STANZAS = "urn:ietf:params:xml:ns:xmpp-stanzas";
const error = (condition: string): string => `<error><${condition} xmlns="${NS_STANZAS}"/></error>`;

/** Runs a command that needs no form, or sends one; gives the link. */
async function invites(c: Client, node = "invite", form?: string): Promise<string> {
  const head = `<command xmlns="${NS_COMMANDS}" node="urn:xmpp:invite#${node}"`;
  c.sends`<iq type="set" id="c" to="${c.domain}">${head} action="execute"/></iq>`;
  let answer = await c.receives`<iq type="result" id="c"/>`;
  if (form !== undefined) {
    const session = /sessionid="([^"]*)"/.exec(show(answer))?.[1];
    const x = `<x xmlns="jabber:x:data" type="submit">${form}</x>`;
    c.sends`<iq type="set" id="c2" to="${c.domain}">${head} sessionid="${session}">${x}</command></iq>`;
    answer = await c.receives`<iq type="result" id="c2"/>`;
  }
  const text = show(answer);
  expect(text).toContain("urn:xmpp:invite#invitation");
  expect(text).toMatch(/<value>\d{4}-\d\d-\d\dT[\d:.]+Z<\/value>/);
  return /<value>(xmpp:[^<]*)<\/value>/.exec(text)![1].replaceAll("&amp;", "&");
}

const tokenIn = (uri: string): string => /preauth=([0-9a-z]+)/i.exec(uri)![1];
const withToken = (token: string): string => `<preauth xmlns="${NS_PARS}" token="${token}"/>`;
const field = (name: string, value: string): string => `<field var="${name}"><value>${value}</value></field>`;

async function connects(c: Client, { server, door }: Pick<Scene, "server" | "door">): Promise<Client> {
  await c.connects(server.target(door));
  await c.opens();
  return c;
}

/** Shows the token and registers. */
async function registers(c: Client, token: string, expected = `<iq type="result" id="r"/>`): Promise<void> {
  c.says(`<iq type="set" id="pa" to="${c.domain}">${withToken(token)}</iq>`);
  await c.hears(`<iq type="result" id="pa" from="${c.domain}"/>`);
  c.says(account(c));
  await c.hears(expected);
}
const account = (c: Client, id = "r"): string =>
  `<iq type="set" id="${id}"><query xmlns="${NS_REGISTER}"><username>${c.local}</username><password>${c.account.password}</password></query></iq>`;

const INVITING = { mod_adhoc: {}, mod_invites: { account_access: "all" } };
const general = { registration_timeout: "infinity" };
const closed = { register: [{ acl: "all", value: "deny" }] };

describe("where registration is closed", () => {
  const { story } = stage({
    general,
    access: closed,
    modules: {
      ...INVITING,
      mod_register: { access: "register", ip_access: [{ address: "0.0.0.0/0", policy: "deny" }] },
    },
  });

  story("XEP-0401 §3: the commands are named", { romeo: 1 }, async ({ romeo }) => {
    romeo.sends`<iq type="get" id="d" to="localhost"><query xmlns="http://jabber.org/protocol/disco#items" node="${NS_COMMANDS}"/></iq>`;
    const items = show(await romeo.receives`<iq type="result" id="d"/>`);
    expect(items).toContain("urn:xmpp:invite#invite");
    expect(items).toContain("urn:xmpp:invite#create-account");
  });

  story(
    "XEP-0379 §3.5: who subscribes with a token is a contact at once",
    { romeo: 1, juliet: 1 },
    async ({ romeo, juliet }) => {
      const uri = await invites(romeo);
      expect(uri).toMatch(new RegExp(`^xmpp:${romeo.bare}\\?roster;preauth=[0-9a-f]{32};ibr=y$`));
      for (const c of [romeo, juliet]) {
        c.sends`<iq type="get" id="ro"><query xmlns="jabber:iq:roster"/></iq>`;
        await c.receives`<iq type="result" id="ro"/>`;
      }
      juliet.says(`<presence to="${romeo.bare}" type="subscribe">${withToken(tokenIn(uri))}</presence>`);
      // Romeo is not asked; both see each other.
      const seen = (await both(romeo, juliet)).map((all) => all.map((e) => show(e)).join("\n"));
      expect(seen[0]).not.toContain('type="subscribe"');
      expect(seen[0]).toContain(`jid="${juliet.bare}" subscription="both"`);
      expect(seen[0]).toMatch(new RegExp(`<presence[^>]*from="${juliet.full}"`));
      expect(seen[1]).toContain(`jid="${romeo.bare}" subscription="both"`);
      expect(seen[1]).toMatch(new RegExp(`<presence[^>]*from="${romeo.full}"`));
    },
  );

  story(
    "XEP-0379 §4.1: a token that is none, used up, or another's leaves it to the user",
    { romeo: 1, juliet: 1, nurse: 1 },
    async ({ romeo, juliet, nurse }) => {
      const uri = await invites(nurse);
      const asks = async (c: Client, token: string) => {
        c.says(`<presence to="${romeo.bare}" type="subscribe">${withToken(token)}</presence>`);
        await romeo.receives`<presence type="subscribe" from="${c.bare}"/>`;
        c.sends`<presence to="${romeo.bare}" type="unsubscribe"/>`;
        await c.settles();
        await romeo.settles();
      };
      await asks(juliet, "unknown");
      await asks(juliet, tokenIn(uri));
      const own = tokenIn(await invites(romeo));
      nurse.says(`<presence to="${romeo.bare}" type="subscribe">${withToken(own)}</presence>`);
      await both(romeo, nurse);
      await asks(juliet, own);
      // The nurse's token was of no use to anybody else, and is good still.
      juliet.says(`<presence to="${nurse.bare}" type="subscribe">${withToken(tokenIn(uri))}</presence>`);
      const [seen] = await both(nurse, juliet);
      expect(seen.map((e) => show(e)).join()).toContain('subscription="both"');
    },
  );

  story(
    "XEP-0445: an invited one registers although nobody else may, and becomes a contact",
    { romeo: 1 },
    async ({ romeo, stranger, ...scene }) => {
      const token = tokenIn(await invites(romeo));
      romeo.sends`<iq type="get" id="ro"><query xmlns="jabber:iq:roster"/></iq>`;
      await romeo.receives`<iq type="result" id="ro"/>`;
      const c = await connects(stranger("juliet"), scene);
      expect(childOf(c.features!, "register", "urn:xmpp:ibr-token:0")).toBeDefined();
      c.says(account(c));
      await c.hears(`<iq type="error" id="r">${error("forbidden")}</iq>`);
      await registers(c, token);
      await romeo.receives`<iq type="set"><query xmlns="jabber:iq:roster"><item jid="${c.bare}" subscription="both"/></query></iq>`;
      await c.authenticates();
      await c.binds();
      c.sends`<iq type="get" id="ro"><query xmlns="jabber:iq:roster"/></iq>`;
      await c.receives`<iq type="result" id="ro"><query xmlns="jabber:iq:roster"><item jid="${romeo.bare}" subscription="both"/></query></iq>`;
      // One use, on another stream too.
      const d = await connects(stranger("paris"), scene);
      d.says(`<iq type="set" id="pa" to="localhost">${withToken(token)}</iq>`);
      await d.hears(`<iq type="error" id="pa">${error("item-not-found")}</iq>`);
      d.says(account(d));
      await d.hears(`<iq type="error" id="r">${error("forbidden")}</iq>`);
    },
  );

  story(
    "XEP-0445 §4: a registration that fails uses nothing up",
    { romeo: 1 },
    async ({ romeo, stranger, ...scene }) => {
      const token = tokenIn(await invites(romeo));
      const c = await connects(stranger("juliet"), scene);
      c.says(`<iq type="set" id="pa" to="localhost">${withToken(token)}</iq>`);
      await c.hears(`<iq type="result" id="pa"/>`);
      c.says(account(c).replace(c.local, romeo.local));
      await c.hears(`<iq type="error" id="r">${error("conflict")}</iq>`);
      c.says(account(c, "again"));
      await c.hears(`<iq type="result" id="again"/>`);
    },
  );

  story("of two that show the same token one registers", { romeo: 1 }, async ({ romeo, stranger, ...scene }) => {
    const token = tokenIn(await invites(romeo));
    const c = await connects(stranger("juliet"), scene);
    const d = await connects(stranger("paris"), scene);
    for (const x of [c, d]) {
      x.says(`<iq type="set" id="pa" to="localhost">${withToken(token)}</iq>`);
      await x.hears(`<iq type="result" id="pa"/>`);
    }
    c.says(account(c));
    await c.hears(`<iq type="result" id="r"/>`);
    d.says(account(d));
    await d.hears(`<iq type="error" id="r">${error("item-not-found")}</iq>`);
  });

  story("XEP-0401 §5.4: a user name is kept for the invited", { romeo: 1 }, async ({ romeo, stranger, ...scene }) => {
    const earlier = tokenIn(await invites(romeo));
    const c = stranger("juliet");
    const uri = await invites(
      romeo,
      "create-account",
      field("username", c.local) + field("roster-subscription", "true"),
    );
    expect(uri).toMatch(new RegExp(`^xmpp:${c.bare}\\?register;preauth=[0-9a-f]{32}$`));
    const later = tokenIn(await invites(romeo));
    for (const token of [earlier, later]) {
      const thief = await connects(stranger("thief"), scene);
      Object.assign(thief.account, { local: c.local });
      await registers(thief, token, `<iq type="error" id="r">${error("conflict")}</iq>`);
    }
    await connects(c, scene);
    await registers(c, tokenIn(uri));
    await c.authenticates();
    await c.binds();
    c.sends`<iq type="get" id="ro"><query xmlns="jabber:iq:roster"/></iq>`;
    await c.receives`<iq type="result" id="ro"><query xmlns="jabber:iq:roster"><item jid="${romeo.bare}" subscription="both"/></query></iq>`;
  });

  story(
    "a token for one user name makes no account with another",
    { romeo: 1 },
    async ({ romeo, stranger, ...scene }) => {
      const uri = await invites(romeo, "create-account", field("username", stranger("juliet").local));
      const c = await connects(stranger("paris"), scene);
      await registers(c, tokenIn(uri), `<iq type="error" id="r">${error("forbidden")}</iq>`);
    },
  );

  story(
    "without a user name any will do, and without the wish nobody becomes a contact",
    { romeo: 1 },
    async ({ romeo, stranger, ...scene }) => {
      const uri = await invites(romeo, "create-account", "");
      expect(uri).toMatch(/^xmpp:localhost\?register;preauth=/);
      const c = await connects(stranger("juliet"), scene);
      await registers(c, tokenIn(uri));
      await c.authenticates();
      await c.binds();
      c.sends`<iq type="get" id="ro"><query xmlns="jabber:iq:roster"/></iq>`;
      await c.hears(`<iq type="result" id="ro"><query xmlns="jabber:iq:roster"/></iq>`);
    },
  );

  story("a user name that is taken is a conflict", { romeo: 1 }, async ({ romeo }) => {
    const head = `<command xmlns="${NS_COMMANDS}" node="urn:xmpp:invite#create-account"`;
    romeo.sends`<iq type="set" id="c" to="localhost">${head}/></iq>`;
    const session = /sessionid="([^"]*)"/.exec(show(await romeo.receives`<iq type="result" id="c"/>`))?.[1];
    const x = `<x xmlns="jabber:x:data" type="submit">${field("username", romeo.local)}</x>`;
    romeo.sends`<iq type="set" id="c2" to="localhost">${head} sessionid="${session}">${x}</command></iq>`;
    await romeo.hears(`<iq type="error" id="c2">${error("conflict")}</iq>`);
  });

  story("who guesses tokens is sent away", {}, async ({ stranger, ...scene }) => {
    const c = await connects(stranger(), scene);
    for (let i = 0; i < 5; i++) {
      c.says(`<iq type="set" id="pa" to="localhost">${withToken(`guess${i}`)}</iq>`);
      await c.hears(`<iq type="error" id="pa">${error("item-not-found")}</iq>`);
    }
    await c.receivesStreamError("policy-violation");
  });

  story("an administrator invites, lists and revokes", { romeo: 0 }, async ({ graphql, romeo, stranger, ...scene }) => {
    const domain = "localhost";
    const made = (await graphql.ctl.calls("invite.createInvite", { domain, inviter: romeo.local, uses: 2 })).value as {
      id: string;
      uri: string;
    };
    expect(made.uri).toMatch(/^xmpp:localhost\?register;preauth=/);
    const list = async () => (await graphql.admin.calls("invite.listInvites", { domain, inviter: romeo.local })).value;
    const row = { id: made.id, kind: "ACCOUNT", inviter: romeo.bare, register: true, subscribe: true, username: null };
    expect(await list()).toMatchObject([{ ...row, uses: 2 }]);
    await registers(await connects(stranger("juliet"), scene), tokenIn(made.uri));
    expect(await list()).toMatchObject([{ ...row, uses: 1 }]);
    (await graphql.admin.calls("invite.revokeInvite", { domain, id: made.id })).gives("Invitation revoked");
    (await graphql.admin.calls("invite.revokeInvite", { domain, id: made.id })).fails("invite_not_found");
    const c = await connects(stranger("paris"), scene);
    c.says(`<iq type="set" id="pa" to="localhost">${withToken(tokenIn(made.uri))}</iq>`);
    await c.hears(`<iq type="error" id="pa">${error("item-not-found")}</iq>`);
    const bad = { domain, inviter: "nobody" };
    (await graphql.admin.calls("invite.createInvite", bad)).fails("user_not_found");
    (await graphql.admin.calls("invite.createInvite", { domain, username: romeo.local })).fails("conflict");
    (await graphql.admin.calls("invite.createInvite", { domain, username: "new", uses: 2 })).fails("not_acceptable");
    (await graphql.admin.calls("invite.createInvite", { domain: "elsewhere" })).fails("domain_not_found");
  });

  story(
    "users see and revoke their own invitations alone",
    { romeo: 0, juliet: 0 },
    async ({ graphql, romeo, juliet }) => {
      const [his, hers] = [graphql.user(romeo), graphql.user(juliet)];
      const made = (await his.calls("invite.createInvite")).value as { id: string; uri: string };
      expect(made.uri).toContain(`xmpp:${romeo.bare}?roster;preauth=`);
      (await hers.calls("invite.listInvites")).gives([]);
      (await hers.calls("invite.revokeInvite", { id: made.id })).fails("invite_not_found");
      (await his.calls("invite.listInvites")).includes([{ id: made.id, kind: "ROSTER" }]);
      (await his.calls("invite.revokeInvite", { id: made.id })).gives("Invitation revoked");
      (await his.calls("invite.listInvites")).gives([]);
    },
    { door: "tcp" },
  );
});

describe("with the options as they are", () => {
  const { story } = stage({ general, modules: { mod_adhoc: {}, mod_invites: { max_per_user: 2 } } });

  story("users invite contacts, without an account, and so many at a time", { romeo: 1 }, async ({ romeo }) => {
    expect(await invites(romeo)).not.toContain("ibr=y");
    await invites(romeo);
    romeo.sends`<iq type="set" id="c" to="localhost"><command xmlns="${NS_COMMANDS}" node="urn:xmpp:invite#invite"/></iq>`;
    await romeo.hears(`<iq type="error" id="c">${error("policy-violation")}</iq>`);
    romeo.sends`<iq type="set" id="c" to="localhost"><command xmlns="${NS_COMMANDS}" node="urn:xmpp:invite#create-account"/></iq>`;
    await romeo.hears(`<iq type="error" id="c">${error("forbidden")}</iq>`);
  });

  story("a contact's token lets nobody register", { romeo: 1 }, async ({ romeo, stranger, ...scene }) => {
    const token = tokenIn(await invites(romeo));
    const c = await connects(stranger("juliet"), scene);
    c.says(`<iq type="set" id="pa" to="localhost">${withToken(token)}</iq>`);
    await c.hears(`<iq type="error" id="pa">${error("item-not-found")}</iq>`);
    // Registration is open here.
    c.says(account(c));
    await c.hears(`<iq type="result" id="r"/>`);
  });
});

/** What two clients receive until the server has done all that either caused. */
async function both(a: Client, b: Client) {
  const seen: Awaited<ReturnType<Client["settles"]>>[] = [[], []];
  for (let i = 0; i < 3; i++) {
    seen[0].push(...(await a.settles()));
    seen[1].push(...(await b.settles()));
  }
  return seen;
}
