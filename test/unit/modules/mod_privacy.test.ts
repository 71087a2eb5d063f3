// XEP-0016: requests, their errors, and what lists do to stanzas.
import { beforeEach, describe, expect, test } from "vitest";
import { parseJid } from "../../../core/jid.ts";
import { viewText } from "../../../core/xml/framer.ts";
import modBlocking from "../../../modules/mod_blocking/index.ts";
import modOffline from "../../../modules/mod_offline/index.ts";
import modPresence from "../../../modules/mod_presence/index.ts";
import modPrivacy from "../../../modules/mod_privacy/index.ts";
import type { Lists } from "../../../modules/mod_privacy/lists.ts";
import modRoster from "../../../modules/mod_roster/index.ts";
import { Random } from "../../fuzz/random.ts";
import { type FakeClient, FakeServer } from "../../support/fake-server.ts";

const ROMEO = "romeo@localhost/orchard";
const JULIET = "juliet@localhost/balcony";
const NS = "jabber:iq:privacy";

let server: FakeServer;
let romeo: FakeClient;
let juliet: FakeClient;

const set = (inner: string, id = "s") => `<iq type='set' id='${id}'><query xmlns='${NS}'>${inner}</query></iq>`;
const get = (inner = "") => `<iq type='get' id='g'><query xmlns='${NS}'>${inner}</query></iq>`;
const list = (name: string, ...items: string[]) => `<list name='${name}'>${items.join("")}</list>`;
const item = (order: number, action: string, rest = "", kinds = "") =>
  `<item action='${action}' order='${order}'${rest}${kinds === "" ? "/>" : `>${kinds}</item>`}`;
const jid = (value: string) => ` type='jid' value='${value}'`;

/** Sends a request that is refused; the condition it is refused with. */
async function refused(client: FakeClient, request: string): Promise<string> {
  client.received();
  await client.sends(request);
  const [answer, ...more] = client.received();
  expect(more).toEqual([]);
  return /<error[^>]*><([a-z-]+)/.exec(answer)?.[1] ?? answer;
}

/** Sends a request that is granted; the payload of the result. */
async function granted(client: FakeClient, request: string): Promise<string> {
  client.received();
  await client.sends(request);
  const answers = client.received().filter((text) => !text.includes("id='push"));
  expect(answers).toHaveLength(1);
  expect(answers[0]).toContain("type='result'");
  return /<query[^>]*>.*<\/query>|<query[^>]*\/>/.exec(answers[0])?.[0] ?? "";
}

async function writeList(client: FakeClient, name: string, ...items: string[]): Promise<void> {
  await granted(client, set(list(name, ...items)));
}
const activate = (client: FakeClient, name: string) => granted(client, set(`<active name='${name}'/>`));
const makeDefault = (client: FakeClient, name: string) => granted(client, set(`<default name='${name}'/>`));
const chat = (to: string, body = "hi") => `<message to='${to}' type='chat' id='m'><body>${body}</body></message>`;

beforeEach(async () => {
  server = new FakeServer({ users: ["romeo", "juliet", "nurse"], access: { max_user_offline_messages: 100 } });
  for (const def of [modRoster, modPresence]) await server.startModule(def);
  await server.startModule(modPrivacy, { max_lists: 3, max_items: 4 });
  await server.startModule(modBlocking);
  await server.startModule(modOffline);
  romeo = server.connect(ROMEO);
  juliet = server.connect(JULIET);
  await server.settle();
});

describe("§2.3: asking", () => {
  test("gives names with the active and the default list first", async () => {
    for (const name of ["b", "a", "c"]) await writeList(romeo, name, item(1, "allow"));
    expect(await granted(romeo, get())).toBe(
      `<query xmlns='${NS}'><list name='a'/><list name='b'/><list name='c'/></query>`,
    );
    await makeDefault(romeo, "c");
    await activate(romeo, "b");
    expect(await granted(romeo, get())).toBe(
      `<query xmlns='${NS}'><active name='b'/><default name='c'/><list name='a'/><list name='b'/><list name='c'/></query>`,
    );
  });

  test("gives a list as it was written, by order", async () => {
    await writeList(
      romeo,
      "l",
      item(7, "allow"),
      item(2, "deny", jid("Juliet@LOCALHOST/x"), "<message/><presence-out/>"),
      item(0, "deny", " type='subscription' value='none'", "<iq/>"),
    );
    expect(await granted(romeo, get("<list name='l'/>"))).toBe(
      `<query xmlns='${NS}'><list name='l'>` +
        `<item action='deny' order='0' type='subscription' value='none'><iq/></item>` +
        `<item action='deny' order='2' type='jid' value='juliet@localhost/x'><message/><presence-out/></item>` +
        `<item action='allow' order='7'/></list></query>`,
    );
  });

  test("is refused for what is not there, or is not one list", async () => {
    expect(await refused(romeo, get("<list name='none'/>"))).toBe("item-not-found");
    for (const wrong of ["<list name='a'/><list name='b'/>", "<list/>", "<list name=''/>", "<active name='a'/>"]) {
      expect(await refused(romeo, get(wrong)), wrong).toBe("bad-request");
    }
  });
});

describe("§2.1: writing", () => {
  test.each([
    ["no child", ""],
    ["two children", `<active/><default/>`],
    ["an unknown child", "<other/>"],
    ["a child of another namespace", "<active xmlns='urn:other'/>"],
    ["no name", "<list><item action='deny' order='1'/></list>"],
    ["an empty name", list("", item(1, "deny"))],
    ["a name that no column holds", list("n".repeat(251), item(1, "deny"))],
    ["something that is no item", list("l", "<rule action='deny' order='1'/>")],
    ["an item of another namespace", list("l", "<item xmlns='urn:other' action='deny' order='1'/>")],
    ["no action", list("l", "<item order='1'/>")],
    ["an unknown action", list("l", item(1, "block"))],
    ["no order", list("l", "<item action='deny'/>")],
    ["a negative order", list("l", item(-1, "deny"))],
    ["an order that no column holds", list("l", item(2_147_483_648, "deny"))],
    ["an order twice", list("l", item(1, "deny"), item(1, "allow"))],
    ["an unknown type", list("l", item(1, "deny", " type='color' value='red'"))],
    ["a value that is no JID", list("l", item(1, "deny", jid("a@b@c")))],
    ["no JID", list("l", item(1, "deny", " type='jid'"))],
    ["a value that is no subscription", list("l", item(1, "deny", " type='subscription' value='half'"))],
    ["no group", list("l", item(1, "deny", " type='group' value=''"))],
    ["an unknown kind of stanza", list("l", item(1, "deny", "", "<presence/>"))],
  ])("is refused with %s, and changes nothing", async (_what, inner) => {
    await writeList(romeo, "l", item(3, "allow"));
    expect(await refused(romeo, set(inner))).toBe("bad-request");
    expect(await granted(romeo, get())).toBe(`<query xmlns='${NS}'><list name='l'/></query>`);
    expect(await granted(romeo, get("<list name='l'/>"))).toContain("<item action='allow' order='3'/></list>");
  });

  test("is bounded in items and in lists", async () => {
    const five = [1, 2, 3, 4, 5].map((n) => item(n, "deny"));
    expect(await refused(romeo, set(list("l", ...five)))).toBe("policy-violation");
    for (const name of ["a", "b", "c"]) await writeList(romeo, name, ...five.slice(1));
    expect(await refused(romeo, set(list("d", item(1, "deny"))))).toBe("policy-violation");
    await writeList(romeo, "c", item(9, "deny"));
    await writeList(juliet, "d", item(9, "deny"));
  });

  test("of a group that no contact is in is refused", async () => {
    const friends = list("l", item(1, "deny", " type='group' value='Friends'"));
    expect(await refused(romeo, set(friends))).toBe("item-not-found");
    await romeo.sends(
      "<iq type='set' id='r'><query xmlns='jabber:iq:roster'><item jid='juliet@localhost'><group>Friends</group></item></query></iq>",
    );
    await granted(romeo, set(friends));
  });

  test("is told to all sessions after the answer", async () => {
    const garden = server.connect("romeo@localhost/garden");
    await romeo.sends(set(list("l", item(1, "allow"))));
    const push = (to: string) =>
      `<iq from='romeo@localhost' id='{any}' to='${to}' type='set'><query xmlns='${NS}'><list name='l'/></query></iq>`;
    romeo.hears(`<iq from='romeo@localhost' id='s' to='${ROMEO}' type='result'/>`, push(ROMEO));
    garden.hears(push("romeo@localhost/garden"));
    juliet.hears();
    expect(server.metric("mod_privacy", "mod_privacy_push_item_count")).toBe(2);
  });
});

test("whatever is asked, there is one answer, and a list that can be read back", async () => {
  const chance = new Random(16);
  const names = ["query", "list", "item", "active", "default", "message", "iq", "presence-in", "block", "x"];
  const values = [
    "",
    "a",
    "l",
    "deny",
    "allow",
    "jid",
    "group",
    "subscription",
    "both",
    "1",
    "2",
    "-1",
    "x@y",
    "@",
    "&lt;",
  ];
  const attributes = ["name", "action", "order", "type", "value", "xmlns", "jid"];
  const element = (depth: number): string => {
    const name = chance.pick(names);
    const set = new Set(Array.from({ length: chance.below(5) }, () => chance.pick(attributes)));
    const attrs = [...set].map((attribute) => ` ${attribute}='${chance.pick(values)}'`).join("");
    const children = depth > 3 ? 0 : chance.below(4);
    return `<${name}${attrs}>${Array.from({ length: children }, () => element(depth + 1)).join(chance.pick(["", " ", "text"]))}</${name}>`;
  };
  for (let i = 0; i < 400; i++) {
    romeo.received();
    const request = chance.once(3)
      ? get(element(1))
      : set(chance.once(2) ? list("l", element(2), element(2)) : element(1));
    await romeo.sends(request);
    const answers = romeo.received().filter((text) => !text.includes("id='push"));
    expect(answers, request).toHaveLength(1);
    if (answers[0].includes("type='error'")) {
      expect(answers[0], request).toMatch(/<(bad-request|item-not-found|policy-violation) /);
    }
    expect(juliet.received()).toEqual([]);
  }
  expect(await granted(romeo, get())).toContain("<query");
});

describe("§2.4, §2.5: active and default lists", () => {
  test("must exist", async () => {
    expect(await refused(romeo, set("<active name='x'/>"))).toBe("item-not-found");
    expect(await refused(romeo, set("<default name='x'/>"))).toBe("item-not-found");
    expect(await refused(romeo, set("<list name='x'/>"))).toBe("item-not-found");
    await granted(romeo, set("<active/>"));
    await granted(romeo, set("<default/>"));
  });

  test("§2.2: an active list stands in place of the default one, for its session", async () => {
    const garden = server.connect("romeo@localhost/garden");
    await writeList(romeo, "deny", item(1, "deny", "", "<message/>"));
    await writeList(romeo, "allow", item(1, "allow"));
    await makeDefault(romeo, "deny");
    await activate(romeo, "allow");
    for (const client of [romeo, garden, juliet]) client.received();
    await juliet.sends(chat(ROMEO));
    expect(romeo.received()).toHaveLength(1);
    juliet.hears();
    await juliet.sends(chat("romeo@localhost/garden"));
    garden.hears();
    expect(juliet.received()[0]).toContain("<service-unavailable");
    await granted(romeo, set("<active/>"));
    await juliet.sends(chat(ROMEO));
    romeo.hears();
  });

  test("a default list is not changed while it applies to another session", async () => {
    const garden = server.connect("romeo@localhost/garden");
    for (const name of ["a", "b"]) await writeList(romeo, name, item(1, "allow"));
    await makeDefault(romeo, "a");
    for (const change of ["<default name='b'/>", "<default/>", "<list name='a'/>"]) {
      expect(await refused(romeo, set(change)), change).toBe("conflict");
    }
    await makeDefault(romeo, "a");
    await activate(garden, "b");
    expect(await refused(romeo, set("<list name='b'/>"))).toBe("conflict");
    await makeDefault(romeo, "b");
    await granted(romeo, set("<default/>"));
    expect(await granted(romeo, get())).not.toContain("<default");
  });

  test("a list that is removed applies no more", async () => {
    await writeList(romeo, "l", item(1, "deny"));
    await makeDefault(romeo, "l");
    await activate(romeo, "l");
    await granted(romeo, set("<list name='l'/>"));
    expect(await granted(romeo, get())).toBe(`<query xmlns='${NS}'></query>`);
    await juliet.sends(chat(ROMEO));
    expect(romeo.received()).toHaveLength(1);
  });

  test("a list that is edited applies as edited, where it applied", async () => {
    const garden = server.connect("romeo@localhost/garden");
    await writeList(romeo, "l", item(1, "allow"));
    await makeDefault(romeo, "l");
    await activate(garden, "l");
    await writeList(romeo, "l", item(1, "deny", "", "<message/>"));
    for (const to of [ROMEO, "romeo@localhost/garden"]) {
      juliet.received();
      await juliet.sends(chat(to));
      expect(juliet.received()[0], to).toContain("<service-unavailable");
    }
  });

  test("a default list applies to sessions that come later", async () => {
    await writeList(romeo, "l", item(1, "deny", "", "<message/>"));
    await makeDefault(romeo, "l");
    await romeo.ends();
    const again = server.connect(ROMEO);
    await server.settle();
    await juliet.sends(chat(ROMEO));
    again.hears();
  });

  test("of an anonymous user go with him", async () => {
    const nobody = server.connect("x@localhost/1", { anonymous: true });
    await writeList(nobody, "l", item(1, "deny"));
    await makeDefault(nobody, "l");
    await server.host.hooks.notify("anonymous_purge", { jid: nobody.jid.bare });
    expect(await server.db.query("SELECT * FROM privacy_list")).toEqual([]);
    expect(await server.db.query("SELECT * FROM privacy_default_list")).toEqual([]);
  });
});

describe("as another user", () => {
  test.each([
    ["get", get(list("l"))],
    ["set", set(list("l", item(1, "allow")))],
    ["set", set("<default/>")],
    ["get", "<iq type='get' id='g'><blocklist xmlns='urn:xmpp:blocking'/></iq>"],
    ["set", "<iq type='set' id='s'><unblock xmlns='urn:xmpp:blocking'/></iq>"],
  ])("nobody reads or changes a list: %s", async (_type, request) => {
    await writeList(romeo, "l", item(1, "deny", jid("nurse@localhost")));
    await makeDefault(romeo, "l");
    const other = server.connect("nurse@localhost/kitchen");
    const own = request.replace("<iq ", "<iq to='romeo@localhost' ");
    expect(await refused(other, own)).toBe("service-unavailable"); // blocked: as if nobody were there
    expect(await refused(juliet, own)).toBe("forbidden");
    expect(await granted(romeo, get())).toBe(`<query xmlns='${NS}'><default name='l'/><list name='l'/></query>`);
    expect(await granted(romeo, get("<list name='l'/>"))).toContain("value='nurse@localhost'");
  });
});

describe("§2.14: what is turned away", () => {
  const all = item(1, "deny", jid("juliet@localhost"));
  beforeEach(async () => {
    for (const client of [romeo, juliet]) await client.sends("<presence/>");
    await writeList(romeo, "l", all);
    await makeDefault(romeo, "l");
    for (const client of [romeo, juliet]) client.received();
  });

  test("messages and requests to a session come back, the rest goes without a word", async () => {
    for (const stanza of [
      chat(ROMEO),
      chat("romeo@localhost"),
      `<iq to='${ROMEO}' type='get' id='v'><query xmlns='jabber:iq:version'/></iq>`,
      `<iq to='romeo@localhost' type='get' id='v'><query xmlns='jabber:iq:last'/></iq>`,
    ]) {
      expect(await refused(juliet, stanza), stanza).toBe("service-unavailable");
    }
    await juliet.sends(
      `<iq to='${ROMEO}' type='result' id='v'/>`,
      `<message to='${ROMEO}' type='groupchat'><body>x</body></message>`,
      `<message to='${ROMEO}' type='error'><body>x</body></message>`,
      `<presence to='${ROMEO}'/>`,
      "<presence to='romeo@localhost'/>",
      "<presence to='romeo@localhost' type='unavailable'/>",
      "<presence to='romeo@localhost' type='probe'/>",
    );
    juliet.hears();
    romeo.hears();
  });

  test("a subscription request is not seen, nor remembered", async () => {
    await juliet.sends("<presence to='romeo@localhost' type='subscribe'/>");
    romeo.hears();
    expect(await server.db.query("SELECT * FROM rosterusers WHERE username = 'romeo'")).toEqual([]);
  });

  test("the user who has turned somebody away is told when he writes", async () => {
    for (const stanza of [
      chat(JULIET),
      "<presence to='juliet@localhost'/>",
      "<presence to='juliet@localhost' type='subscribe'/>",
      `<iq to='${JULIET}' type='get' id='v'><query xmlns='jabber:iq:version'/></iq>`,
    ]) {
      expect(await refused(romeo, stanza), stanza).toBe("not-acceptable");
    }
    await romeo.sends(`<iq to='${JULIET}' type='result' id='v'/>`);
    romeo.hears();
    juliet.hears();
  });

  test("a message is not stored for a user who has no session", async () => {
    await romeo.ends();
    expect(await refused(juliet, chat("romeo@localhost"))).toBe("service-unavailable");
    expect(await server.db.query("SELECT * FROM offline_message")).toEqual([]);
    const nurse = server.connect("nurse@localhost/kitchen");
    await nurse.sends(chat("romeo@localhost"));
    expect(await server.db.query("SELECT * FROM offline_message")).toHaveLength(1);
  });

  test("a message that was stored before is dropped without a word", async () => {
    await granted(romeo, set("<default/>"));
    await romeo.ends();
    await juliet.sends(chat("romeo@localhost", "stored"));
    const again = server.connect(ROMEO);
    await server.settle();
    await makeDefault(again, "l");
    juliet.received();
    await again.sends("<presence/>");
    expect(again.received().filter((text) => text.includes("stored"))).toEqual([]);
    juliet.hears();
    expect(await server.db.query("SELECT * FROM offline_message")).toEqual([]);
  });

  test("nobody is kept from himself and his server", async () => {
    const garden = server.connect("romeo@localhost/garden");
    await writeList(romeo, "l", item(1, "deny", jid("localhost")), item(2, "deny", jid("romeo@localhost")));
    garden.received();
    await garden.sends(chat(ROMEO));
    expect(romeo.received().filter((text) => text.includes("<body>hi"))).toHaveLength(1);
    garden.hears();
    expect(await granted(romeo, get())).toContain("<default name='l'/>");
    await romeo.sends("<iq to='localhost' type='get' id='v'><query xmlns='urn:nothing'/></iq>");
    romeo.hears(
      `<iq from='localhost' id='v' to='${ROMEO}' type='error'><query xmlns='urn:nothing'/><error code='501' type='cancel'><feature-not-implemented xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>`,
    );
  });

  test("is counted", async () => {
    const count = (name: string) => server.metric("mod_privacy", `mod_privacy_check_packet_${name}`);
    const [before, denied] = [count("count"), count("denied_count")];
    await juliet.sends(chat(ROMEO));
    expect(count("count") - before).toBe(2); // out and in
    expect(count("denied_count") - denied).toBe(1);
    expect(count("blocked_count")).toBe(0);
  });
});

describe("§2.11: presence", () => {
  const out = (name: string, rest: string) => writeList(romeo, name, item(1, "deny", rest, "<presence-out/>"));
  const gone = `<presence from='${ROMEO}' to='${JULIET}' type='unavailable'/>`;

  beforeEach(async () => {
    const columns = ["server", "username", "jid", "nick", "subscription", "ask", "askmessage"];
    await server.db.insertMany("rosterusers", columns, [
      ["localhost", "romeo", "juliet@localhost", "", "B", "N", ""],
      ["localhost", "juliet", "romeo@localhost", "", "B", "N", ""],
      ["localhost", "romeo", "nurse@localhost", "", "F", "N", ""],
      ["localhost", "nurse", "romeo@localhost", "", "T", "N", ""],
    ]);
    await server.db.insertMany(
      "rostergroups",
      ["server", "username", "jid", "grp"],
      [["localhost", "romeo", "juliet@localhost", "Friends"]],
    );
    for (const client of [romeo, juliet]) await client.sends("<presence/>");
    for (const client of [romeo, juliet]) client.received();
  });

  test.each([
    ["a JID", jid("juliet@localhost")],
    ["a group", " type='group' value='Friends'"],
    ["a subscription", " type='subscription' value='both'"],
    ["everybody", ""],
  ])("a list that hides the user from %s", async (_what, rest) => {
    const nurse = server.connect("nurse@localhost/kitchen");
    await nurse.sends("<presence/>");
    nurse.received();
    await out("hide", rest);
    juliet.hears();
    await activate(romeo, "hide");
    juliet.hears(gone);
    await romeo.sends("<presence><show>dnd</show></presence>");
    juliet.hears();
    await juliet.sends("<presence type='unavailable'/>", "<presence/>");
    expect(juliet.received().filter((text) => text.includes(ROMEO))).toEqual([]);
    expect(nurse.received().some((text) => text.includes("<show>dnd"))).toBe(rest !== "");
    await romeo.sends("<presence type='unavailable'/>");
    juliet.hears();
  });

  test("of a user with many contacts and a rule for a group costs one query", async () => {
    const many = Array.from({ length: 200 }, (_, i) => `c${i}@localhost`);
    const columns = ["server", "username", "jid", "nick", "subscription", "ask", "askmessage"];
    await server.db.insertMany(
      "rosterusers",
      columns,
      many.map((contact) => ["localhost", "romeo", contact, "", "F", "N", ""]),
    );
    await romeo.ends();
    romeo = server.connect(ROMEO);
    await out("hide", " type='group' value='Friends'");
    await activate(romeo, "hide");
    await romeo.sends("<presence/>");
    server.db.log.length = 0;
    await romeo.sends("<presence><show>dnd</show></presence>");
    expect(server.db.log).toHaveLength(1);
    juliet.received();
    await romeo.sends("<presence><show>xa</show></presence>");
    juliet.hears();
  });

  test("XEP-0126 §3.1: a user who comes unseen is not seen", async () => {
    await out("invisible", "");
    await romeo.sends("<presence type='unavailable'/>");
    juliet.received();
    await activate(romeo, "invisible");
    await romeo.sends("<presence/>");
    juliet.hears();
    expect(romeo.received().filter((text) => text.startsWith("<presence") && text.includes(JULIET))).toHaveLength(1);
    await romeo.ends();
    juliet.hears();
  });

  test("whom presence was directed at is told too", async () => {
    const paris = server.connect("paris@localhost/court");
    await paris.sends("<presence/>");
    await romeo.sends("<presence to='paris@localhost'/>");
    paris.received();
    await out("hide", "");
    await activate(romeo, "hide");
    paris.hears(`<presence from='${ROMEO}' to='paris@localhost/court' type='unavailable'/>`);
  });

  test("of those who are turned away wholly is not asked for, nor given", async () => {
    await writeList(romeo, "l", item(1, "deny", jid("juliet@localhost")));
    await activate(romeo, "l");
    juliet.hears(gone);
    await romeo.sends("<presence type='unavailable'/>", "<presence/>");
    expect(romeo.received().filter((text) => text.includes(JULIET))).toEqual([]);
    await juliet.sends("<presence to='romeo@localhost' type='probe'/>", "<presence><show>xa</show></presence>");
    expect(romeo.received().filter((text) => text.includes(JULIET))).toEqual([]);
  });

  test("a new contact does not see whom a list hides", async () => {
    await out("hide", "");
    await activate(romeo, "hide");
    const paris = server.connect("paris@localhost/court");
    await paris.sends("<presence/>", "<presence to='romeo@localhost' type='subscribe'/>");
    await romeo.sends("<presence to='paris@localhost' type='subscribed'/>");
    expect(paris.received().filter((text) => text.includes(`from='${ROMEO}'`))).toEqual([]);
  });
});

describe("when the database is away", () => {
  const fails = async (work: () => Promise<void>) => {
    server.db.failing = true;
    await work().catch(() => undefined);
    server.db.failing = false;
    server.failures.length = 0;
    server.logged.length = 0;
  };

  test("what a rule for a group says is not known: nothing passes", async () => {
    await server.db.insertMany(
      "rostergroups",
      ["server", "username", "jid", "grp"],
      [["localhost", "romeo", "juliet@localhost", "Friends"]],
    );
    await server.db.insertNew("rosterusers", {
      server: "localhost",
      username: "romeo",
      jid: "nurse@localhost",
      nick: "",
      subscription: "B",
      ask: "N",
      askmessage: "",
    });
    const columns = ["server", "username", "jid", "nick", "subscription", "ask", "askmessage"];
    await server.db.insertMany("rosterusers", columns, [["localhost", "romeo", "juliet@localhost", "", "F", "N", ""]]);
    for (const client of [romeo, juliet]) await client.sends("<presence/>");
    await writeList(romeo, "l", item(1, "deny", " type='group' value='Friends'"));
    await activate(romeo, "l");
    for (const client of [romeo, juliet]) client.received();
    await fails(async () => {
      await juliet.sends(chat(ROMEO), `<presence to='${ROMEO}'/>`);
    });
    expect(juliet.received().map((text) => /<error[^>]*><([a-z-]+)/.exec(text)?.[1])).toEqual([
      "internal-server-error",
    ]);
    await fails(() => romeo.sends(chat("nurse@localhost"), "<presence><show>dnd</show></presence>"));
    expect(
      romeo.received().filter((text) => text.includes("<body>") && text.includes("internal-server-error")),
    ).toHaveLength(1);
    juliet.hears();
  });

  test("nobody comes in whose list cannot be read", async () => {
    await writeList(romeo, "l", item(1, "deny"));
    await makeDefault(romeo, "l");
    const session = server.connect("nurse@localhost/kitchen");
    await server.settle();
    const store = server.host.modules.get("mod_privacy")?.ctx.store as Lists;
    await store.removeDomain("localhost");
    server.db.failing = true;
    const opened = server.host.hooks.notify("user_open_session", { session });
    await expect(opened).rejects.toThrow("internal-server-error");
    server.db.failing = false;
    server.logged.length = 0;
  });
});

test("a default list whose change failed is read again: the change may have been done", async () => {
  await writeList(romeo, "l", item(1, "deny", jid("nurse@localhost")));
  await makeDefault(romeo, "l");
  const lists = server.host.modules.get("mod_privacy")?.ctx.store as Lists;
  expect(lists.knows(romeo.jid.bare)).toBe(true);
  server.db.failing = true;
  await expect(romeo.sends(set("<default/>"))).rejects.toThrow("took the database away");
  server.db.failing = false;
  expect(lists.knows(romeo.jid.bare)).toBe(false);
  expect((await lists.defaultList(romeo.jid.bare))?.name).toBe("l");
  server.logged.length = 0;
});

test("a user without a list costs a look-up: no promise, no query", async () => {
  server.db.log.length = 0;
  const seen: unknown[] = [];
  const { hooks } = server.host;
  const message = viewText(chat(JULIET));
  message.from = romeo.jid;
  message.to = juliet.jid;
  seen.push(hooks.session(hooks.sendMessage, message, romeo), hooks.session(hooks.receiveMessage, message, juliet));
  expect(seen).toEqual([undefined, undefined]);
  expect(server.db.log).toEqual([]);
});

test("a subscription rule of a connected user is decided at once too", async () => {
  await romeo.sends("<iq type='get' id='1'><query xmlns='jabber:iq:roster'/></iq>");
  await writeList(romeo, "l", item(1, "deny", " type='subscription' value='none'", "<message/>"));
  await activate(romeo, "l");
  const { hooks } = server.host;
  const message = viewText(chat(ROMEO));
  message.from = juliet.jid;
  message.to = romeo.jid;
  expect(() => hooks.session(hooks.receiveMessage, message, romeo)).toThrow("service-unavailable");
});

test("the fold privacy_check_packet says what would be done", async () => {
  await writeList(romeo, "l", item(1, "deny", jid("juliet@localhost"), "<message/>"));
  await makeDefault(romeo, "l");
  const ask = (from: string, to: string, dir: "in" | "out") => {
    const stanza = viewText(chat(to));
    stanza.from = parseJid(from);
    stanza.to = parseJid(to);
    return server.host.hooks.fold("privacy_check_packet", "allow", { jid: romeo.jid.bare, stanza, dir });
  };
  expect(await ask(JULIET, ROMEO, "in")).toBe("deny");
  expect(await ask(JULIET, "romeo@localhost", "in")).toBe("deny");
  expect(await ask("nurse@localhost/k", ROMEO, "in")).toBe("allow");
  expect(await ask(ROMEO, JULIET, "out")).toBe("allow");
});
