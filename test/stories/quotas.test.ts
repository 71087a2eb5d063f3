// Every store that users fill has an end: the request that is one too many gets the error that its XEP or RFC names,
// nothing is kept of it, what is there can still be changed, and when something goes there is room again.
import { describe, expect } from "vitest";
import type { Client } from "../support/client.ts";
import { childrenOf, find, type XElement } from "../support/match.ts";
import {
  create,
  deletion,
  form,
  items,
  owner,
  publish,
  pubsub,
  retract,
  subscribe,
  Talk,
} from "../support/pubsub-talk.ts";
import { stage } from "../support/story.ts";

const LIMIT = 3;
const SERVICE = "pubsub.localhost";
const NS_COMMANDS = "http://jabber.org/protocol/commands";
const MARKERS = "urn:xmpp:chat-markers:0";

const { story } = stage({
  access: { max_user_offline_messages: [{ acl: "all", value: LIMIT }] },
  modules: {
    mod_adhoc: {},
    mod_blocking: {},
    mod_caps: {},
    mod_invites: { max_per_user: LIMIT },
    mod_offline_chatmarkers: { max_user_threads: LIMIT },
    mod_privacy: { max_lists: LIMIT, max_items: LIMIT },
    mod_private: { max_elements: LIMIT, max_bytes: 2000 },
    mod_pubsub: {
      max_nodes_per_user: LIMIT,
      max_items_per_node: LIMIT,
      max_payload_size: 1000,
      max_subscriptions_per_node: LIMIT,
    },
    mod_pubsub_old: { max_nodes_user: LIMIT, max_items_node: LIMIT, max_subscriptions_node: LIMIT },
    mod_roster: { max_items: LIMIT },
    mod_smart_markers: { max_user_markers: 2 * LIMIT },
    mod_spam_reporting: { max_reports_per_user: LIMIT },
    mod_vcard: { max_vcard_size: 1000 },
  },
});

interface Store {
  readonly what: string;
  /** The service that is asked; undefined: one's own account. */
  readonly at?: string;
  /** What has to be there first. */
  readonly first?: (me: Client) => string;
  readonly add: (i: number, me: Client) => string;
  /** The error for one too many: RFC 6120's condition, and that of the XEP. */
  readonly refused: readonly string[];
  /** Asks for what is kept. */
  readonly view: (me: Client) => string;
  readonly kept: (answer: XElement, me: Client) => number;
  readonly remove: (me: Client) => string;
}

const inside = (answer: XElement, name: string): XElement[] => {
  const found = find(answer, name);
  return found === undefined ? [] : childrenOf(found);
};
const nodeOf = (me: Client): string => `node-of-${me.local}`;
const roster = (inner: string): string => `<query xmlns="jabber:iq:roster">${inner}</query>`;
const privacy = (inner: string): string => `<query xmlns="jabber:iq:privacy">${inner}</query>`;
const deny = (i: number): string => `<item action="deny" order="${i}" type="jid" value="c${i}@localhost"/>`;
const block = (what: "block" | "unblock", jid: string): string =>
  `<${what} xmlns="urn:xmpp:blocking"><item jid="${jid}"/></${what}>`;
const DISCO = `<query xmlns="http://jabber.org/protocol/disco#items"/>`;

const STORES: readonly Store[] = [
  {
    what: "contacts of a roster",
    add: (i) => roster(`<item jid="c${i}@localhost"/>`),
    refused: ["policy-violation"],
    view: () => roster(""),
    kept: (answer) => inside(answer, "query").length,
    remove: () => roster(`<item jid="c0@localhost" subscription="remove"/>`),
  },
  {
    what: "privacy lists",
    add: (i) => privacy(`<list name="l${i}">${deny(1)}</list>`),
    refused: ["policy-violation"],
    view: () => privacy(""),
    kept: (answer) => inside(answer, "query").length,
    remove: () => privacy(`<list name="l0"/>`),
  },
  {
    what: "blocked addresses",
    add: (i) => block("block", `c${i}@localhost`),
    refused: ["policy-violation"],
    view: () => `<blocklist xmlns="urn:xmpp:blocking"/>`,
    kept: (answer) => inside(answer, "blocklist").length,
    remove: () => block("unblock", "c0@localhost"),
  },
  {
    what: "nodes of an account",
    add: (i) => publish(`n${i}`, "1"),
    refused: ["policy-violation", "max-nodes-exceeded"],
    view: () => DISCO,
    kept: (answer, me) =>
      inside(answer, "query").filter((e) => e.attrs["jid"] === me.bare && e.attrs["node"]?.startsWith("n")).length,
    remove: () => deletion("n0"),
  },
  {
    what: "subscriptions to a node of an account",
    first: (me) => create(nodeOf(me)),
    add: (i, me) => subscribe(nodeOf(me), `${me.bare}/r${i}`),
    refused: ["policy-violation", "too-many-subscriptions"],
    view: (me) => owner(`<subscriptions node="${nodeOf(me)}"/>`),
    kept: (answer) => inside(answer, "subscriptions").length,
    remove: (me) => pubsub(`<unsubscribe node="${nodeOf(me)}" jid="${me.bare}/r0"/>`),
  },
  {
    what: "nodes of a user at the service",
    at: SERVICE,
    add: (i, me) => create(`${me.local}-${i}`),
    refused: ["policy-violation", "max-nodes-exceeded"],
    view: () => pubsub("<affiliations/>"),
    kept: (answer) => inside(answer, "affiliations").length,
    remove: (me) => deletion(`${me.local}-0`),
  },
  {
    what: "subscriptions to a node of the service",
    at: SERVICE,
    first: (me) => create(nodeOf(me)),
    add: (i, me) => subscribe(nodeOf(me), `${me.bare}/r${i}`),
    refused: ["not-allowed", "closed-node"],
    view: (me) => owner(`<subscriptions node="${nodeOf(me)}"/>`),
    kept: (answer) => inside(answer, "subscriptions").length,
    remove: (me) => pubsub(`<unsubscribe node="${nodeOf(me)}" jid="${me.bare}/r0"/>`),
  },
];

describe.each(STORES)("$what", ({ what, at, first, add, refused, view, kept, remove }) => {
  story(`${what}: to the limit, and no further`, { juliet: 1 }, async ({ juliet }) => {
    const talk = new Talk(juliet, at);
    const count = async (): Promise<number> => kept(await talk.gets("get", view(juliet)), juliet);
    if (first !== undefined) await talk.gets("set", first(juliet));
    const empty = await count();
    for (let i = 0; i < LIMIT; i++) await talk.gets("set", add(i, juliet));
    expect(await count()).toBe(empty + LIMIT);
    for (const i of [LIMIT, LIMIT + 1]) await talk.refused("set", add(i, juliet), ...refused);
    expect(await count()).toBe(empty + LIMIT);
    await talk.gets("set", remove(juliet));
    expect(await count()).toBe(empty + LIMIT - 1);
    await talk.gets("set", add(LIMIT, juliet));
    await talk.refused("set", add(LIMIT + 1, juliet), ...refused);
    expect(await count()).toBe(empty + LIMIT);
  });
});

story("a request that lets in more than there is room for lets in nobody", { juliet: 1 }, async ({ juliet }) => {
  for (const talk of [new Talk(juliet, undefined), new Talk(juliet, SERVICE)]) {
    const node = nodeOf(juliet);
    await talk.gets("set", create(node));
    const letIn = (from: number, to: number): string =>
      owner(
        `<subscriptions node="${node}">${Array.from({ length: to - from }, (_, i) => `<subscription jid="c${from + i}@localhost" subscription="subscribed"/>`).join("")}</subscriptions>`,
      );
    await talk.refused("set", letIn(0, LIMIT + 1));
    expect(await talk.subscribers(node)).toEqual([]);
    await talk.gets("set", letIn(0, LIMIT - 1));
    await talk.refused("set", letIn(LIMIT - 1, LIMIT + 1));
    expect(await talk.subscribers(node)).toHaveLength(LIMIT - 1);
    // Who is there already takes no room.
    await talk.gets("set", letIn(0, LIMIT));
    expect(await talk.subscribers(node)).toHaveLength(LIMIT);
  }
});

story("items of a privacy list", { juliet: 1 }, async ({ juliet }) => {
  const talk = new Talk(juliet, undefined);
  const list = (n: number): string =>
    privacy(`<list name="l">${Array.from({ length: n }, (_, i) => deny(i)).join("")}</list>`);
  const count = async (): Promise<number> => inside(await talk.gets("get", privacy(`<list name="l"/>`)), "list").length;
  await talk.gets("set", list(LIMIT));
  await talk.refused("set", list(LIMIT + 1), "policy-violation");
  expect(await count()).toBe(LIMIT);
  await talk.gets("set", list(1));
  expect(await count()).toBe(1);
});

story("private elements, and their bytes", { juliet: 1 }, async ({ juliet }) => {
  const talk = new Talk(juliet, undefined);
  const keep = (i: number, bytes = 10): string =>
    `<query xmlns="jabber:iq:private"><e xmlns="urn:test:${i}">${"x".repeat(bytes)}</e></query>`;
  const kept = async (i: number): Promise<number> => {
    const answer = await talk.gets("get", `<query xmlns="jabber:iq:private"><e xmlns="urn:test:${i}"/></query>`);
    return find(answer, "e")!.children.join("").length;
  };
  for (let i = 0; i < LIMIT; i++) await talk.gets("set", keep(i));
  await talk.refused("set", keep(LIMIT), "policy-violation");
  // Two at once, of which one would fit, are one request.
  await talk.refused(
    "set",
    `<query xmlns="jabber:iq:private"><e xmlns="urn:test:0">changed</e><e xmlns="urn:test:9">new</e></query>`,
    "policy-violation",
  );
  expect([await kept(0), await kept(LIMIT), await kept(9)]).toEqual([10, 0, 0]);
  await talk.gets("set", keep(0, 1500));
  await talk.refused("set", keep(1, 500), "policy-violation");
  expect(await kept(1)).toBe(10);
  await talk.gets("set", keep(0, 0));
  await talk.gets("set", keep(1, 500));
  expect(await kept(1)).toBe(500);
});

story("bytes of a vCard", { juliet: 1 }, async ({ juliet }) => {
  const talk = new Talk(juliet, undefined);
  const card = (n: number): string => `<vCard xmlns="vcard-temp"><FN>${"x".repeat(n)}</FN></vCard>`;
  const kept = async (): Promise<number> =>
    find(await talk.gets("get", `<vCard xmlns="vcard-temp"/>`), "FN")!.children.join("").length;
  await talk.gets("set", card(100));
  await talk.refused("set", card(1000), "policy-violation");
  expect(await kept()).toBe(100);
  await talk.gets("set", card(900));
  expect(await kept()).toBe(900);
});

for (const at of [undefined, SERVICE]) {
  story(`items of a node at ${at ?? "an account"}: the oldest give way`, { juliet: 1 }, async ({ juliet }) => {
    const talk = new Talk(juliet, at);
    const node = nodeOf(juliet);
    await talk.gets("set", create(node, { "pubsub#persist_items": "1", "pubsub#max_items": "1000000" }));
    for (let i = 0; i < LIMIT + 2; i++) await talk.publishes(node, `i${i}`);
    expect((await talk.items(node)).toSorted()).toEqual(["i2", "i3", "i4"]);
    await talk.gets("set", retract(node, "i3"));
    await talk.publishes(node, "i5");
    expect((await talk.items(node)).toSorted()).toEqual(["i2", "i4", "i5"]);
  });
}

story("bytes of an item", { juliet: 1 }, async ({ juliet }) => {
  const payload = (n: number): string => `<p xmlns="urn:test:p">${"x".repeat(n)}</p>`;
  const own = new Talk(juliet, undefined);
  await own.publishes("sized", "1", payload(10));
  await own.refused("set", publish("sized", "1", payload(1000)), "not-acceptable", "payload-too-big");
  await own.refused("set", publish("sized", "2", payload(1000)), "not-acceptable", "payload-too-big");
  expect(await own.items("sized")).toEqual(["1"]);
  expect(find(await own.gets("get", items("sized", "1")), "p")!.children.join("")).toHaveLength(10);
  // A node that comes of the publication does not come of one that is refused.
  await own.refused("set", publish("unmade", "1", payload(1000)), "not-acceptable", "payload-too-big");
  await own.refused("get", items("unmade"), "item-not-found");
  const service = own.with(SERVICE);
  const node = nodeOf(juliet);
  await service.gets("set", create(node, { "pubsub#max_payload_size": "100" }));
  await service.refused("set", publish(node, "1", payload(200)), "not-acceptable", "payload-too-big");
  await service.publishes(node, "2", payload(20));
  expect(await service.items(node)).toEqual(["2"]);
  await service.refused(
    "set",
    owner(`<configure node="${node}">${form("node_config", { "pubsub#max_payload_size": "9999999999" })}</configure>`),
    "not-acceptable",
  );
});

story("invitations that can be used", { juliet: 1 }, async ({ juliet, graphql }) => {
  const talk = new Talk(juliet, "localhost");
  const invite = `<command xmlns="${NS_COMMANDS}" node="urn:xmpp:invite#invite"/>`;
  for (let i = 0; i < LIMIT; i++) await talk.gets("set", invite);
  await talk.refused("set", invite, "policy-violation");
  const all = await graphql.admin.calls("invite.listInvites", { domain: "localhost", inviter: juliet.local });
  const open = all.value as { id: number }[];
  expect(open).toHaveLength(LIMIT);
  await graphql.admin.calls("invite.revokeInvite", { domain: "localhost", id: open[0].id });
  await talk.gets("set", invite);
  await talk.refused("set", invite, "policy-violation");
});

story("reports of spam: the block is made, the report is not kept", { juliet: 1 }, async ({ juliet, graphql }) => {
  const talk = new Talk(juliet, undefined);
  const report = (i: number): string =>
    `<block xmlns="urn:xmpp:blocking"><item jid="s${i}@localhost"><report xmlns="urn:xmpp:reporting:1" reason="urn:xmpp:reporting:spam"/></item></block>`;
  const unblock = (i: number): Promise<XElement> => talk.gets("set", block("unblock", `s${i}@localhost`));
  const count = async (n: number) =>
    (await graphql.admin.calls("report.countReports", { domain: "localhost", reporter: juliet.bare })).gives(n);
  for (let i = 0; i < LIMIT; i++) await talk.gets("set", report(i));
  await unblock(0);
  await talk.gets("set", report(LIMIT));
  await count(LIMIT);
  const all = await graphql.admin.calls("report.listReports", { domain: "localhost", reporter: juliet.bare });
  const [{ id }] = all.value as { id: number }[];
  await graphql.admin.calls("report.deleteReport", { domain: "localhost", id });
  await count(LIMIT - 1);
  await unblock(1);
  await talk.gets("set", report(LIMIT + 1));
  await count(LIMIT);
});

story("messages that wait for an account", { romeo: 1, juliet: 0 }, async ({ romeo, juliet }) => {
  const say = (i: number): void =>
    romeo.says(`<message to="${juliet.bare}" id="m${i}" type="chat"><body>m${i}</body></message>`);
  for (let i = 0; i < LIMIT; i++) say(i);
  await romeo.receivesNothing();
  say(LIMIT);
  await romeo.receives`<message type="error" id="m3" from="${juliet.bare}"><error><resource-constraint xmlns="urn:ietf:params:xml:ns:xmpp-stanzas"/></error></message>`;
  const hers = await juliet.comes();
  hers.sends`<presence/>`;
  const texts = (await hers.settles()).filter((e) => e.name === "message").map((e) => find(e, "body")!.children[0]);
  expect(texts).toEqual(["m0", "m1", "m2"]);
  await hers.leaves();
  say(LIMIT + 1);
  await romeo.receivesNothing();
});

story("markers that are kept, and that wait", { romeo: 1, juliet: 0 }, async ({ romeo, juliet, account }) => {
  const mark = (thread: string, to: string): void =>
    romeo.says(
      `<message to="${to}" id="${thread}"><thread>${thread}</thread><displayed xmlns="${MARKERS}" id="x"/></message>`,
    );
  const refused = (id: string): Promise<XElement> =>
    romeo.hears(
      `<message type="error" id="${id}"><error><resource-constraint xmlns="urn:ietf:params:xml:ns:xmpp-stanzas"/></error></message>`,
    );
  for (let i = 0; i < LIMIT; i++) mark(`t${i}`, juliet.bare);
  await romeo.receivesNothing();
  // Kept for Romeo, but there is no room where it would wait for Juliet.
  mark("t3", juliet.bare);
  await refused("t3");
  // A newer one takes the place of the old.
  mark("t0", juliet.bare);
  await romeo.receivesNothing();
  const paris = await account("paris");
  mark("p0", paris.bare);
  mark("p1", paris.bare);
  await romeo.receivesNothing();
  mark("p2", paris.bare);
  await refused("p2");
  const hers = await juliet.comes();
  hers.sends`<presence/>`;
  const markers = (await hers.settles()).filter((e) => e.name === "message");
  expect(markers).toHaveLength(LIMIT);
});

story("many sessions of a user at once fill no store beyond its limit", { juliet: 3 }, async ({ juliet }) => {
  const attempts: readonly [what: string, to: string, payload: (i: number) => string][] = [
    ["private elements", "", (i) => `<query xmlns="jabber:iq:private"><e xmlns="urn:test:${i}"/></query>`],
    ["contacts", "", (i) => roster(`<item jid="c${i}@localhost"/>`)],
    ["lists", "", (i) => privacy(`<list name="l${i}">${deny(1)}</list>`)],
    ["nodes of an account", "", (i) => publish(`n${i}`, "1")],
    ["nodes at the service", SERVICE, (i) => create(`${juliet[0].local}-many-${i}`)],
    ["invitations", "localhost", () => `<command xmlns="${NS_COMMANDS}" node="urn:xmpp:invite#invite"/>`],
  ];
  for (const [what, to, payload] of attempts) {
    const address = to === "" ? "" : ` to="${to}"`;
    for (const [k, session] of juliet.entries()) {
      for (let i = 0; i < LIMIT; i++) session.says(`<iq type="set" id="many"${address}>${payload(k * LIMIT + i)}</iq>`);
    }
    let granted = 0;
    for (const session of juliet) {
      const answers = (await session.settles()).filter((e) => e.attrs["id"] === "many");
      expect(answers).toHaveLength(LIMIT);
      granted += answers.filter((e) => e.attrs["type"] === "result").length;
    }
    expect([what, granted]).toEqual([what, LIMIT]);
  }
  juliet[0].tally.assertions++;
});
