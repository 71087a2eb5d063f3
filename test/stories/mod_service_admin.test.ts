// XEP-0133: administrators work on a domain with commands; everybody else is told nothing of them.
import { describe, expect } from "vitest";
import type { Client } from "../support/client.ts";
import { childOf, childrenOf, find, textOf, type XElement } from "../support/match.ts";
import { stage } from "../support/story.ts";

const NS = "http://jabber.org/protocol/commands";
const ADMIN = "http://jabber.org/protocol/admin";
const NS_STANZAS = "urn:ietf:params:xml:ns:xmpp-stanzas";
const ITEMS = "http://jabber.org/protocol/disco#items";

const acl = { admin: [{ user_glob: "bard*" }], boss: [{ user_glob: "bardolph*" }] };
const configure = [{ acl: "admin", value: "allow" }];
const { story } = stage({
  acl,
  access: { configure, all_of_it: [{ acl: "boss", value: "allow" }] },
  modules: { mod_adhoc: {}, mod_blocklist: {}, mod_service_admin: { service_access: "all_of_it" } },
});

type Fields = Readonly<Record<string, string | readonly string[]>>;

const form = (fields: Fields) =>
  `<x xmlns="jabber:x:data" type="submit">${Object.entries({ FORM_TYPE: ADMIN, ...fields })
    .map(
      ([name, value]) =>
        `<field var="${name}">${[value]
          .flat()
          .map((v) => `<value>${v}</value>`)
          .join("")}</field>`,
    )
    .join("")}</x>`;

/** Sends <command/> and takes the answer. */
async function sends(c: Client, name: string, rest = "", inner = "", to = "localhost"): Promise<XElement> {
  c.says(
    `<iq type="set" id="c" to="${to}"><command xmlns="${NS}" node="${ADMIN}#${name}"${rest}>${inner}</command></iq>`,
  );
  const answer = await c.skipsTo((e) => e.attrs["id"] === "c");
  c.tally.assertions++;
  return answer;
}
const commandOf = (answer: XElement): XElement => {
  const command = childOf(answer, "command", NS);
  if (answer.attrs["type"] !== "result" || command === undefined) {
    throw new Error(`no command was answered but ${JSON.stringify(answer)}`);
  }
  return command;
};
const valuesOf = (command: XElement): Record<string, string[]> => {
  const x = childOf(command, "x", "jabber:x:data")!;
  const fields = childrenOf(x).filter((e) => e.name === "field" && e.attrs["var"] !== "FORM_TYPE");
  return Object.fromEntries(
    fields.map((f) => [
      f.attrs["var"],
      childrenOf(f)
        .filter((v) => v.name === "value")
        .map(textOf),
    ]),
  );
};
const conditionOf = (answer: XElement): string => {
  expect(answer.attrs["type"]).toBe("error");
  return childrenOf(childOf(answer, "error")!)[0].name;
};

/** Opens a command that has a form; returns what submits it. */
async function opens(c: Client, name: string) {
  const first = commandOf(await sends(c, name));
  expect(first.attrs["status"]).toBe("executing");
  const id = first.attrs["sessionid"];
  return { first, submit: (fields: Fields) => sends(c, name, ` sessionid="${id}"`, form(fields)) };
}
/** Runs a command with a form to its end. */
async function runs(c: Client, name: string, fields: Fields): Promise<XElement> {
  const done = commandOf(await (await opens(c, name)).submit(fields));
  expect(done.attrs["status"]).toBe("completed");
  return done;
}
/** Runs a command without a form. */
async function asks(c: Client, name: string): Promise<XElement> {
  const done = commandOf(await sends(c, name));
  expect(done.attrs["status"]).toBe("completed");
  return done;
}
async function listed(c: Client): Promise<string[]> {
  c.says(`<iq type="get" id="d" to="localhost"><query xmlns="${ITEMS}" node="${NS}"/></iq>`);
  const query = find(await c.skipsTo((e) => e.attrs["id"] === "d"), "query")!;
  return childrenOf(query).map((i) => i.attrs["node"].replace(`${ADMIN}#`, ""));
}

describe("who may", () => {
  story(
    "administrators see the commands, others do not and are refused",
    { bard: 1, romeo: 1 },
    async ({ bard, romeo }) => {
      const all = await listed(bard);
      expect(all).toEqual([
        "add-user",
        "delete-user",
        "disable-user",
        "reenable-user",
        "end-user-session",
        "change-user-password",
        "get-user-roster",
        "get-user-lastlogin",
        "user-stats",
        "get-registered-users-num",
        "get-disabled-users-num",
        "get-online-users-num",
        "get-active-users-num",
        "get-idle-users-num",
        "get-registered-users-list",
        "get-disabled-users-list",
        "get-online-users-list",
        "get-active-users-list",
        "get-idle-users-list",
        "announce",
        "set-motd",
        "edit-motd",
        "delete-motd",
        "set-welcome",
        "delete-welcome",
        "ping",
      ]);
      expect(await listed(romeo)).toEqual(["ping"]);
      for (const name of [...all.filter((name) => name !== "ping"), "restart", "shutdown"]) {
        expect(conditionOf(await sends(romeo, name)), name).toBe("forbidden");
      }
      for (const name of ["restart", "shutdown"]) expect(conditionOf(await sends(bard, name))).toBe("forbidden");
      for (const name of ["get-user-password", "edit-admin", "edit-blacklist", "edit-whitelist"]) {
        expect(conditionOf(await sends(bard, name))).toBe("item-not-found");
      }
    },
  );

  story("a right that is taken away ends what was begun", { bard: 1, romeo: 0 }, async ({ bard, romeo, server }) => {
    const { submit } = await opens(bard, "delete-user");
    const host = server.node.hostOf("localhost")!;
    const match = host.access.match;
    host.access.match = () => "deny";
    try {
      expect(conditionOf(await submit({ accountjids: romeo.bare }))).toBe("forbidden");
    } finally {
      host.access.match = match;
    }
    expect(await host.auth.exists(romeo.local, "localhost")).toBe(true);
  });

  story("an administrator's session is nobody else's", { bard: 1, bardess: 1 }, async ({ bard, bardess }) => {
    const { first } = await opens(bard, "set-motd");
    const answer = await sends(bardess, "set-motd", ` sessionid="${first.attrs["sessionid"]}"`, form({ motd: "mine" }));
    expect(conditionOf(answer)).toBe("bad-request");
  });
});

describe("accounts", () => {
  story("§4.1: a user is added, with a vCard", { bard: 1, romeo: 0 }, async ({ bard, romeo, server }) => {
    const { submit } = await opens(bard, "add-user");
    const account = { accountjid: `new${romeo.bare}`, password: "R0m30", "password-verify": "R0m30" };
    expect(conditionOf(await submit({ ...account, "password-verify": "other" }))).toBe("bad-request");
    expect(conditionOf(await submit({ ...account, accountjid: "x@elsewhere" }))).toBe("bad-request");
    expect(conditionOf(await submit({ ...account, password: "", "password-verify": "" }))).toBe("bad-request");
    const person = { given_name: "Juliet", surname: "Capulet", email: "juliet@capulet.com" };
    expect(commandOf(await submit({ ...account, ...person })).attrs["status"]).toBe("completed");
    const { auth } = server.node.hostOf("localhost")!;
    expect(await auth.checkPassword(`new${romeo.local}`, "localhost", "R0m30")).toBe(true);
    bard.says(`<iq type="get" id="v" to="new${romeo.bare}"><vCard xmlns="vcard-temp"/></iq>`);
    await bard.hears(
      `<iq type="result" id="v"><vCard xmlns="vcard-temp"><FN>Juliet Capulet</FN><N><FAMILY>Capulet</FAMILY><GIVEN>Juliet</GIVEN></N><EMAIL><USERID>juliet@capulet.com</USERID></EMAIL></vCard></iq>`,
    );
    const odd = { ...account, accountjid: `odd${romeo.bare}`, surname: "\u{FFFFE}" };
    const warned = await runs(bard, "add-user", odd);
    expect(find(warned, "note")?.attrs["type"]).toBe("warn");
    expect(await auth.exists(`odd${romeo.local}`, "localhost")).toBe(true);
    const again = await opens(bard, "add-user");
    expect(conditionOf(await again.submit({ ...account, accountjid: romeo.bare }))).toBe("conflict");
    const logged = server.logged.filter((line) => JSON.stringify(line).includes("adhoc.add-user"));
    expect(logged.length).toBeGreaterThan(0);
    expect(JSON.stringify(logged)).not.toContain("R0m30");
  });

  story(
    "§4.2: users are deleted, or none when one is not there",
    { bard: 1, romeo: 1, juliet: 0 },
    async ({ bard, romeo, juliet, server }) => {
      const { auth } = server.node.hostOf("localhost")!;
      const { submit } = await opens(bard, "delete-user");
      expect(conditionOf(await submit({ accountjids: [juliet.bare, "nobody@localhost"] }))).toBe("item-not-found");
      expect(await auth.exists(juliet.local, "localhost")).toBe(true);
      await runs(bard, "delete-user", { accountjids: [juliet.bare, romeo.bare] });
      await romeo.receivesStreamError("conflict");
      for (const { local } of [juliet, romeo.account]) expect(await auth.exists(local, "localhost")).toBe(false);
    },
  );

  story(
    "§4.3, §4.4: a disabled user is out until he is enabled",
    { bard: 1, romeo: 1 },
    async ({ bard, romeo, another, server, door }) => {
      await runs(bard, "disable-user", { accountjids: romeo.bare });
      await romeo.receivesStreamError("conflict");
      const list = valuesOf(await runs(bard, "get-disabled-users-list", { max_items: "25" }));
      expect(list["disableduserjids"]).toContain(romeo.bare);
      expect(Number(valuesOf(await asks(bard, "get-disabled-users-num"))["disabledusersnum"][0])).toBeGreaterThan(0);
      await expect(another(romeo).logsIn(server.target(door))).rejects.toThrow();
      await runs(bard, "reenable-user", { accountjids: romeo.bare });
      await another(romeo).logsIn(server.target(door));
    },
  );

  story("§4.5: one session is ended, or all of a user's", { bard: 1, romeo: 3 }, async ({ bard, romeo: [a, b, c] }) => {
    await runs(bard, "end-user-session", { accountjids: a.full });
    await a.skipsTo((e) => e.name === "error");
    await b.skipsTo((e) => e.name === "presence" && e.attrs["type"] === "unavailable");
    await runs(bard, "end-user-session", { accountjids: b.bare });
    for (const session of [b, c]) await session.skipsTo((e) => e.name === "error");
  });

  story("§4.7: a password is changed", { bard: 1, romeo: 0 }, async ({ bard, romeo, server }) => {
    await runs(bard, "change-user-password", { accountjid: romeo.bare, password: "V3r0n4" });
    const { auth } = server.node.hostOf("localhost")!;
    expect(await auth.checkPassword(romeo.local, "localhost", "V3r0n4")).toBe(true);
    const { submit } = await opens(bard, "change-user-password");
    expect(conditionOf(await submit({ accountjid: "nobody@localhost", password: "x" }))).toBe("item-not-found");
    expect(JSON.stringify(server.logged)).not.toContain("V3r0n4");
  });
});

describe("users", () => {
  story("§4.8: a roster is shown", { bard: 1, romeo: 1, juliet: 1 }, async ({ bard, romeo, juliet, befriend }) => {
    await befriend(romeo, juliet);
    const shown = await runs(bard, "get-user-roster", { accountjids: romeo.bare });
    const x = childOf(shown, "x", "jabber:x:data")!;
    expect(childrenOf(childOf(x, "query", "jabber:iq:roster")!)).toMatchObject([
      { name: "item", attrs: { jid: juliet.bare, subscription: "both" } },
    ]);
    expect(valuesOf(shown)).toEqual({ accountjids: [romeo.bare] });
  });

  story("§4.9: when a user logged in last", { bard: 1, romeo: 1, juliet: 0 }, async ({ bard, romeo, juliet }) => {
    const last = async (jid: string) =>
      valuesOf(await runs(bard, "get-user-lastlogin", { accountjids: jid }))["lastlogin"];
    const [time] = await last(romeo.bare);
    expect(time).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
    expect(Math.abs(Date.now() - Date.parse(time))).toBeLessThan(60_000);
    expect(await last(juliet.bare)).toEqual([]);
    await romeo.leaves();
    await bard.settled();
    expect(Math.abs(Date.now() - Date.parse((await last(romeo.bare))[0]))).toBeLessThan(60_000);
  });

  story("§4.10: what is known of a user", { bard: 1, romeo: 2 }, async ({ bard, romeo: [laptop, phone] }) => {
    const stats = valuesOf(await runs(bard, "user-stats", { accountjid: laptop.bare }));
    expect(stats).toEqual({
      accountjid: [laptop.bare],
      ipaddresses: ["127.0.0.1"],
      rostersize: ["0"],
      onlineresources: [laptop, phone].map((c) => c.full.split("/")[1]),
    });
    const { submit } = await opens(bard, "user-stats");
    expect(conditionOf(await submit({ accountjid: "nobody@localhost" }))).toBe("item-not-found");
  });

  story(
    "§4.13 to §4.22: how many users there are, and which",
    { bard: 1, romeo: 2, juliet: 1, iago: 0 },
    async ({ bard, romeo: [laptop, phone], juliet, iago }) => {
      laptop.sends`<presence><show>away</show></presence>`;
      phone.sends`<presence><show>xa</show></presence>`;
      await laptop.settles();
      await phone.settles();
      const number = async (of: string) =>
        Number(valuesOf(await asks(bard, `get-${of}-users-num`))[`${of}usersnum`][0]);
      const list = async (of: string, max = "200") =>
        valuesOf(await runs(bard, `get-${of}-users-list`, { max_items: max }))[`${of}userjids`];
      expect(await list("online")).toEqual([bard.bare, juliet.bare, laptop.bare].sort());
      expect(await list("active")).toEqual([bard.bare, juliet.bare].sort());
      expect(await list("idle")).toEqual([laptop.bare]);
      expect([await number("online"), await number("active"), await number("idle")]).toEqual([3, 2, 1]);
      const registered = await list("registered", "none");
      expect(registered).toContain(iago.bare);
      expect(await number("registered")).toBe(registered.length);
      expect(await number("disabled")).toBe((await list("disabled")).length);
      const { submit } = await opens(bard, "get-registered-users-list");
      expect(conditionOf(await submit({ max_items: "7" }))).toBe("bad-request");
    },
  );
});

describe("announcements", () => {
  story(
    "§4.23: an announcement goes to every session",
    { bard: 1, romeo: 2, juliet: 0 },
    async ({ bard, romeo: [laptop, phone], juliet }) => {
      await runs(bard, "announce", { announcement: ["Attention!", "The play begins."] });
      for (const c of [laptop, phone]) {
        await c.hears(
          `<message from="localhost" to="${c.full}" type="headline"><body>Attention!\nThe play begins.</body></message>`,
        );
      }
      const late = await juliet.comes();
      await late.comesOnline();
      await late.receivesNothing();
    },
  );

  const headline = (c: Client, text: string) =>
    `<message from="localhost" to="${c.full}" type="headline"><body>${text}</body></message>`;
  /** Sends initial presence and gets these messages, and no others. */
  const arrives = async (c: Client, ...messages: string[]): Promise<Client> => {
    c.sends`<presence/>`;
    await c.hears(`<presence from="${c.full}"/>${messages.join("")}`);
    await c.receivesNothing();
    return c;
  };

  story(
    "§4.24 to §4.26: everybody gets the message of the day, once",
    { bard: 1, romeo: 1, juliet: 0, iago: 0 },
    async ({ bard, romeo, juliet, iago, another, server, door }) => {
      const again = (c: Client) => another(c).logsIn(server.target(door));
      await runs(bard, "set-motd", { motd: "Hamlet tonight" });
      await romeo.hears(headline(romeo, "Hamlet tonight"));
      const first = await juliet.comes("first");
      await arrives(first, headline(first, "Hamlet tonight"));
      const second = await again(first);
      second.sends`<presence/>`;
      await second.settled();
      expect(second.waiting.filter((e) => e.name === "message")).toEqual([]);
      const { first: asked, submit } = await opens(bard, "edit-motd");
      expect(valuesOf(asked)).toEqual({ motd: ["Hamlet tonight"] });
      commandOf(await submit({ motd: "Hamlet is ill" }));
      const third = await again(romeo);
      third.sends`<presence/>`;
      await third.settled();
      expect(third.waiting.filter((e) => e.name === "message")).toEqual([]);
      await runs(bard, "set-motd", { motd: "Macbeth tonight" });
      await first.skipsTo((e) => e.name === "message");
      await asks(bard, "delete-motd");
      await arrives(await iago.comes());
    },
  );

  story(
    "§4.27, §4.28: a new user is welcomed when he comes for the first time",
    { bard: 1 },
    async ({ bard, another, server, door }) => {
      const comes = async (local: string) =>
        another({ account: { local, domain: "localhost", password: "pw" } } as Client).logsIn(server.target(door));
      const joins = async (local: string) => {
        await runs(bard, "add-user", { accountjid: `${local}@localhost`, password: "pw", "password-verify": "pw" });
        return comes(local);
      };
      await runs(bard, "set-welcome", { welcome: "Welcome to Verona" });
      const name = `first-${bard.account.local}`;
      const first = await joins(name);
      await arrives(
        first,
        `<message from="localhost" to="${first.full}" type="normal"><body>Welcome to Verona</body></message>`,
      );
      await first.leaves();
      await arrives(await comes(name));
      await asks(bard, "delete-welcome");
      await arrives(await joins(`last-${bard.account.local}`));
    },
  );
});

describe("the whole server", () => {
  story(
    "§4.30, §4.31: is restarted or stopped by whom another rule names, after a while, once",
    { bardolph: 1, romeo: 1 },
    async ({ bardolph, romeo, server }) => {
      expect(await listed(bardolph)).toContain("shutdown");
      const { node } = server;
      const ended: string[] = [];
      const timers: [number, () => void][] = [];
      const ops = node.operations!;
      const { after } = node;
      Object.assign(ops.server, { stop: () => ended.push("stop"), restart: () => ended.push("restart") });
      node.after = (ms, run) => {
        if (ms < 30_000) return after.call(node, ms, run);
        timers.push([ms, run]);
        return () => {};
      };
      try {
        const { submit } = await opens(bardolph, "restart");
        expect(conditionOf(await submit({ delay: "1" }))).toBe("bad-request");
        commandOf(await submit({ delay: "90", announcement: "The stage is swept" })).attrs["status"];
        await romeo.hears(`<message from="localhost" type="headline"><body>The stage is swept</body></message>`);
        expect(timers.map(([ms]) => ms)).toEqual([90_000]);
        expect(ended).toEqual([]);
        const twice = await opens(bardolph, "shutdown");
        expect(conditionOf(await twice.submit({ delay: "30" }))).toBe("conflict");
        timers[0][1]();
        expect(ended).toEqual(["restart"]);
      } finally {
        node.after = after;
      }
    },
    { door: "tcp" },
  );
});

describe("without the features behind them", () => {
  const bare = stage({
    acl,
    access: { configure },
    modules: {
      mod_adhoc: {},
      mod_service_admin: {},
      mod_roster: null,
      mod_last: null,
      mod_vcard: null,
      mod_offline: null,
      mod_presence: {},
    },
  });
  bare.story("commands are not there", { bard: 1 }, async ({ bard }) => {
    const all = await listed(bard);
    for (const name of [
      "disable-user",
      "reenable-user",
      "get-disabled-users-num",
      "get-disabled-users-list",
      "get-user-roster",
      "get-user-lastlogin",
      "restart",
      "shutdown",
    ]) {
      expect(all).not.toContain(name);
    }
    expect(conditionOf(await sends(bard, "disable-user"))).toBe("item-not-found");
    await runs(bard, "add-user", { accountjid: `x${bard.bare}`, password: "p", "password-verify": "p", email: "a@b" });
    expect(valuesOf(await runs(bard, "user-stats", { accountjid: `x${bard.bare}` }))).toEqual({
      accountjid: [`x${bard.bare}`],
      ipaddresses: [],
      onlineresources: [],
    });
    bard.sends`<iq type="get" id="e" to="localhost"><error xmlns="urn:nothing"/></iq>`;
    await bard.hears(`<iq type="error" id="e"><error><feature-not-implemented xmlns="${NS_STANZAS}"/></error></iq>`);
  });
});

describe("without an access rule", () => {
  const open = stage({ modules: { mod_adhoc: {}, mod_service_admin: {} } });
  open.story("nobody is let in, and the log says why", { bard: 1 }, async ({ bard, server }) => {
    expect(await listed(bard)).toEqual(["ping"]);
    expect(conditionOf(await sends(bard, "announce"))).toBe("forbidden");
    const warnings = server.logged.filter((line) => line.what === "access_rule_missing");
    expect(warnings.map((line) => line["text"])).toEqual([expect.stringContaining("access.configure")]);
  });
});
