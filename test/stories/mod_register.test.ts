// XEP-0077: accounts that clients make, change and remove themselves.
import { describe, expect } from "vitest";
import { parseBareJid } from "../../core/jid.ts";
import type { Client } from "../support/client.ts";
import { plain } from "../support/client.ts";
import { childOf } from "../support/match.ts";
import { stage } from "../support/story.ts";

const NS = "jabber:iq:register";
const NS_STANZAS = "urn:ietf:params:xml:ns:xmpp-stanzas";
const NS_SASL = "urn:ietf:params:xml:ns:xmpp-sasl";
const error = (condition: string) => `<error><${condition} xmlns="${NS_STANZAS}"/></error>`;
const form = (fields: string, id = "r"): string =>
  `<iq type="set" id="${id}"><query xmlns="${NS}">${fields}</query></iq>`;
const account = (c: Client) => `<username>${c.account.local}</username><password>${c.account.password}</password>`;

describe("registration", () => {
  const { story } = stage({
    general: { registration_timeout: "infinity" },
    modules: {
      mod_register: {
        registration_watchers: ["watcher@localhost"],
        welcome_message: { subject: "Hi", body: "Welcome" },
      },
    },
  });

  story(
    "XEP-0077 §3.1: a client asks what is needed, makes an account and logs in with it",
    {},
    async ({ stranger, server, door }) => {
      const c = await stranger().connects(server.target(door));
      await c.opens();
      expect(childOf(c.features!, "register", "http://jabber.org/features/iq-register")).toBeDefined();
      c.says(`<iq type="get" id="f"><query xmlns="${NS}"/></iq>`);
      const answer = await c.hears(`<iq type="result" id="f"/>`);
      const query = childOf(answer, "query", NS)!;
      expect(childOf(query, "username") && childOf(query, "password")).toBeDefined();
      c.says(form(account(c)));
      await c.hears(`<iq type="result" id="r"/>`);
      await c.authenticates();
      await c.binds();
      c.sends`<presence/>`;
      await c.receives`<presence from="${c.full}"/><message from="localhost"><subject>Hi</subject><body>Welcome</body></message>`;
    },
    { covers: ["accounts_SUITE:register"] },
  );

  story(
    "the watchers of the configuration are told",
    {},
    async ({ stranger, server, door }) => {
      await server.addAccount("watcher", "localhost", "secret").catch(() => {});
      const watcher = stranger();
      Object.assign(watcher.account, { local: "watcher", password: "secret" });
      await watcher.logsIn(server.target(door));
      await watcher.comesOnline();
      const c = await stranger().connects(server.target(door));
      await c.opens();
      await watcher.settles();
      c.says(form(account(c)));
      await c.hears(`<iq type="result" id="r"/>`);
      const note = await watcher.receives`<message from="localhost"><body>{any}</body></message>`;
      expect(JSON.stringify(note)).toContain(`${c.local}@localhost`);
    },
    { covers: ["accounts_SUITE:admin_notify"] },
  );

  story(
    "XEP-0077 §3.1: a name that is taken is a conflict",
    { romeo: 1 },
    async ({ romeo, stranger, server, door }) => {
      const c = await stranger().connects(server.target(door));
      await c.opens();
      c.says(form(`<username>${romeo.local}</username><password>x</password>`));
      await c.hears(`<iq type="error" id="r">${error("conflict")}</iq>`);
    },
    { covers: ["accounts_SUITE:registration_conflict"] },
  );

  for (const [what, fields, condition] of [
    ["no password", "<username>somebody</username>", "not-acceptable"],
    ["an empty password", "<username>somebody</username><password/>", "not-acceptable"],
    ["an empty name", "<username/><password>x</password>", "not-acceptable"],
    ["no name", "<password>x</password>", "bad-request"],
    ["a name that is none", "<username>a@b</username><password>x</password>", "jid-malformed"],
  ]) {
    story(
      `XEP-0077 §3.1: ${what} is ${condition}`,
      {},
      async ({ stranger, server, door }) => {
        const c = await stranger().connects(server.target(door));
        await c.opens();
        c.says(form(fields));
        await c.hears(`<iq type="error" id="r">${error(condition)}</iq>`);
      },
      { covers: what === "no password" ? ["accounts_SUITE:null_password"] : [] },
    );
  }

  story(
    "XEP-0077 §3.1: who is logged in sees that he is registered",
    { romeo: 1 },
    async ({ romeo }) => {
      romeo.sends`<iq type="get" id="f" to="localhost"><query xmlns="${NS}"/></iq>`;
      const query = childOf(await romeo.receives`<iq type="result" id="f"/>`, "query", NS)!;
      expect(childOf(query, "registered")).toBeDefined();
      expect(childOf(query, "username")?.children).toEqual([romeo.local]);
    },
    { covers: ["accounts_SUITE:already_registered"] },
  );

  story(
    "XEP-0077 §3.3: a password is changed",
    { romeo: 1 },
    async ({ romeo, another, server, door }) => {
      romeo.says(form(`<username>${romeo.local}</username><password>new one</password>`));
      await romeo.hears(`<iq type="result" id="r"/>`);
      const old = await another(romeo).connects(server.target(door));
      await old.opens();
      old.sendsRaw(plain(romeo.local, romeo.account.password));
      await old.hears(`<failure xmlns="${NS_SASL}"><not-authorized/></failure>`);
      old.sendsRaw(plain(romeo.local, "new one"));
      await old.hears(`<success xmlns="${NS_SASL}"/>`);
    },
    { covers: ["accounts_SUITE:change_password"] },
  );

  story(
    "XEP-0077 §3.3: not to nothing",
    { romeo: 1 },
    async ({ romeo }) => {
      romeo.says(form(`<username>${romeo.local}</username><password/>`));
      await romeo.hears(`<iq type="error" id="r">${error("bad-request")}</iq>`);
    },
    { covers: ["accounts_SUITE:change_password_to_null"] },
  );

  story(
    "XEP-0077 §3.2: an account is removed with all its sessions, and cannot log in again",
    { romeo: 2 },
    async ({ romeo: [laptop, phone], another, server, door }) => {
      laptop.says(form("<remove/>"));
      await laptop.hears(`<iq type="result" id="r"/>`);
      for (const c of [laptop, phone]) {
        await c.skipsTo((e) => e.name === "error");
        await c.receivesEnd();
      }
      const c = await another(laptop).connects(server.target(door));
      await c.opens();
      c.sendsRaw(plain(c.local, c.account.password));
      await c.hears(`<failure xmlns="${NS_SASL}"><not-authorized/></failure>`);
    },
    { covers: ["accounts_SUITE:unregister", "accounts_SUITE:check_unregistered"] },
  );

  story(
    "XEP-0077 §3.2: what a removed account had is gone for who takes the name",
    { romeo: 1, juliet: 1 },
    async ({ romeo, juliet, another, server, door, befriend }) => {
      await befriend(romeo, juliet);
      romeo.sends`<iq type="set" id="p"><query xmlns="jabber:iq:private"><a xmlns="urn:a">secret</a></query></iq>`;
      await romeo.receives`<iq type="result" id="p"/>`;
      await server.node.removeUser(parseBareJid(romeo.bare));
      await romeo.skipsTo((e) => e.name === "error");
      await romeo.receivesEnd();
      await server.addAccount(romeo.local, "localhost", romeo.account.password);
      const c = await another(romeo).logsIn(server.target(door));
      c.sends`<iq type="get" id="r1"><query xmlns="jabber:iq:roster"/></iq>`;
      await c.receives`<iq type="result" id="r1"><query xmlns="jabber:iq:roster"/></iq>`;
      c.sends`<iq type="get" id="p"><query xmlns="jabber:iq:private"><a xmlns="urn:a"/></query></iq>`;
      await c.receives`<iq type="result" id="p"><query xmlns="jabber:iq:private"><a xmlns="urn:a"/></query></iq>`;
    },
  );

  story(
    "XEP-0077 §3.2: a removal with more than <remove/> is a bad-request",
    { romeo: 1 },
    async ({ romeo }) => {
      romeo.says(form("<remove/><username>x</username>"));
      await romeo.hears(`<iq type="error" id="r">${error("bad-request")}</iq>`);
    },
    { covers: ["accounts_SUITE:bad_request_registration_cancelation"] },
  );

  story("XEP-0077 §3.2: nobody removes an account without being logged in", {}, async ({ stranger, server, door }) => {
    const c = await stranger().connects(server.target(door));
    await c.opens();
    c.says(form("<remove/>"));
    await c.hears(`<iq type="error" id="r"/>`);
  });
});

describe("registration_timeout", () => {
  const { story } = stage({ general: { registration_timeout: 600 } });
  story(
    "one address registers once in that time",
    {},
    async ({ stranger, server, door }) => {
      const c = await stranger().connects(server.target(door));
      await c.opens();
      c.says(form(account(c)));
      const first = await c.hears(`<iq id="r"/>`);
      const d = await stranger().connects(server.target(door));
      await d.opens();
      d.says(form(account(d)));
      await d.hears(`<iq type="error" id="r">${error("resource-constraint")}</iq>`);
      // The other door's story has used up the one registration.
      expect(["result", "error"]).toContain(first.attrs["type"]);
    },
    { covers: ["accounts_SUITE:registration_timeout"] },
  );
});

describe("registration_timeout, after a failure", () => {
  const { story } = stage({
    general: { registration_timeout: 600 },
    access: { register: [{ acl: "all", value: "deny" }] },
    modules: { mod_register: { access: "register" } },
  });
  story(
    "a registration that was refused uses the time up too",
    {},
    async ({ stranger, server, door }) => {
      const c = await stranger().connects(server.target(door));
      await c.opens();
      c.says(form(account(c)));
      await c.hears(`<iq type="error" id="r">${error("forbidden")}</iq>`);
      c.says(form(account(c), "again"));
      await c.hears(`<iq type="error" id="again">${error("resource-constraint")}</iq>`);
    },
    // The doors have one address, and one try between them.
    { door: "tcp", covers: ["accounts_SUITE:registration_failure_timeout"] },
  );
});

describe("access that denies", () => {
  const { story } = stage({
    general: { registration_timeout: "infinity" },
    access: { register: [{ acl: "all", value: "deny" }] },
    modules: { mod_register: { access: "register" } },
  });
  story("registration is forbidden", {}, async ({ stranger, server, door }) => {
    const c = await stranger().connects(server.target(door));
    await c.opens();
    c.says(form(account(c)));
    await c.hears(`<iq type="error" id="r">${error("forbidden")}</iq>`);
  });
  story(
    "so is removing oneself",
    { romeo: 1 },
    async ({ romeo }) => {
      romeo.says(form("<remove/>"));
      await romeo.hears(`<iq type="error" id="r">${error("not-allowed")}</iq>`);
    },
    { covers: ["accounts_SUITE:not_allowed_registration_cancelation"] },
  );
});

describe("ip_access that denies", () => {
  const { story } = stage({
    general: { registration_timeout: "infinity" },
    modules: { mod_register: { ip_access: [{ address: "127.0.0.0/8", policy: "deny" }] } },
  });
  story("registration from here is forbidden", {}, async ({ stranger, server, door }) => {
    const c = await stranger().connects(server.target(door));
    await c.opens();
    c.says(form(account(c)));
    await c.hears(`<iq type="error" id="r">${error("forbidden")}</iq>`);
  });
});

describe("without mod_register", () => {
  const { story } = stage({ modules: { mod_register: null } });
  story("RFC 6120 §4.9.3.12: asking is not-authorized", {}, async ({ stranger, server, door }) => {
    const c = await stranger().connects(server.target(door));
    await c.opens();
    expect(childOf(c.features!, "register")).toBeUndefined();
    c.says(`<iq type="get" id="f"><query xmlns="${NS}"/></iq>`);
    await c.receivesStreamError("not-authorized");
  });
});
