// The people that the fuzzer plays with, and the words that its requests are filled with.

import type { Client } from "../support/client.ts";
import type { StoryServer } from "../support/story-server.ts";
import { Actor } from "./actor.ts";
import { ODD } from "./mutate.ts";
import type { Random } from "./random.ts";

const PUBSUB = "http://jabber.org/protocol/pubsub";
const DOMAIN = "localhost";
const NODES = [
  "princely_musings",
  "http://jabber.org/protocol/tune",
  "urn:xmpp:avatar:data",
  "urn:xmpp:avatar:metadata",
  "urn:xmpp:bookmarks:1",
  "storage:bookmarks",
  "urn:xmpp:mds:displayed:0",
  "collection",
] as const;
export const LISTS = ["work", "home", "Blocked"] as const;

/** What is said and searched for: what databases take for syntax, and what is in no other script. */
const WORDS = [
  "But, soft! what light through yonder window breaks?",
  "soft light",
  "cat's well-known 100% under_score",
  '"soft" OR NOT light* NEAR(a b, 2) ^x {body}: AND',
  "+soft -light ~yonder <window >breaks @4 (a",
  "a & b | !c <-> d:* \\",
  "$ % _ $% $_ \\%",
  "ﬀ ß ſ İ ı Ǆ Å",
  "日本語の文章 と ひらがな",
  "\u{10fffd}\u0301 \u{1f600}\u200d\u{1f525}",
  "the a an of",
  "w".repeat(3000),
  `${"many words ".repeat(400)}`,
  "é".repeat(2900),
  "ﷺ".repeat(900),
  " ",
];

const hidden = (node: string, to = ""): string =>
  `<iq type='set' id='setup'${to}><pubsub xmlns='${PUBSUB}'><create node='${node}'/><configure><x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>${PUBSUB}#node_config</value></field><field var='pubsub#access_model'><value>whitelist</value></field></x></configure></pubsub></iq>`;
const item = (node: string, to = ""): string =>
  `<iq type='set' id='setup'${to}><pubsub xmlns='${PUBSUB}'><publish node='${node}'><item id='secret'><p xmlns='urn:test:p'>nobody's business</p></item></publish></pubsub></iq>`;

/** The values of one round. */
export interface Words {
  readonly jids: readonly string[];
  readonly all: readonly string[];
  fill(template: string, r: Random): string;
}

export interface World {
  /** Whoever sends the requests: with an administrator's rights in some rounds. */
  readonly me: Actor;
  /** Another session of the same account, which may lose its stream. */
  phone: Actor;
  readonly friend: Actor;
  /** Keeps things that nobody else may see or change, and is named in requests. */
  readonly target: Actor;
  /** Is never named. */
  readonly bystander: Actor;
  readonly words: Words;
  readonly admin: boolean;
  /** A new session in the place of the phone's. */
  again(): Promise<Actor>;
  /** Ends all connections and removes all accounts; gives the names that were in use. */
  leave(): Promise<string[]>;
}

const escaped = (text: string): string =>
  text
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replaceAll("'", "&apos;")
    .replaceAll("\n", "&#10;");

export async function enter(
  server: StoryServer,
  round: number,
  r: Random,
  complain: (what: string) => void,
): Promise<World> {
  const admin = r.once(5);
  const door = r.once(4) ? "websocket" : "tcp";
  const names = [admin ? "bard" : "romeo", "juliet", "mercutio", "rosaline"].map((name) => `${name}${round}`);
  const accounts = names.map((local) => ({ local, domain: DOMAIN, password: `${local}'s secret` }));
  for (const { local, password } of accounts) await server.addAccount(local, DOMAIN, password);
  const tally = { assertions: 0 };
  const make = async (i: number, resource: string): Promise<Actor> => {
    const actor = new Actor(accounts[i], tally);
    await actor.logsIn(server.target(door), resource);
    return actor;
  };
  const [me, phone, friend, target, bystander] = await Promise.all([
    make(0, "laptop"),
    make(0, "phone"),
    make(1, "balcony"),
    make(2, "street"),
    make(3, "home"),
  ]);
  const everybody = [me, phone, friend, target, bystander];
  const begins = (actor: Actor): void => {
    actor.complain = complain;
    actor.live = true;
    actor.says("<presence/>");
  };
  for (const actor of everybody) begins(actor);
  friend.chance = r;
  friend.says(
    `<presence><c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='urn:x' ver='${round}PKawpkPSDYmwT/WM94uAlu0='/></presence>`,
  );
  await befriended(me, friend);
  for (const text of [
    "<iq type='set' id='setup'><query xmlns='jabber:iq:private'><exodus xmlns='exodus:prefs'>mine</exodus></query></iq>",
    "<iq type='set' id='setup'><vCard xmlns='vcard-temp'><FN>Mine</FN></vCard></iq>",
    "<iq type='set' id='setup'><query xmlns='jabber:iq:privacy'><list name='work'><item action='deny' order='1' type='jid' value='tybalt@localhost'/></list></query></iq>",
    "<iq type='set' id='setup'><query xmlns='jabber:iq:roster'><item jid='tybalt@localhost' name='Cat'/></query></iq>",
    "<message type='chat' id='setup'><body>nobody's business</body></message>",
    hidden("princely_musings"),
    item("princely_musings"),
    hidden(`secrets${round}`, " to='pubsub.localhost'"),
    item(`secrets${round}`, " to='pubsub.localhost'"),
  ]) {
    target.says(text);
    bystander.says(text.replaceAll(`secrets${round}`, `others${round}`));
  }
  for (const actor of everybody) await synced(actor);
  bystander.heard = 0;
  return {
    me,
    phone,
    friend,
    target,
    bystander,
    admin,
    words: wordsOf(round, me, phone, friend, target, r),
    async again() {
      // It may have been changed by one of the requests.
      const { local, password } = accounts[0];
      await server.node.hostOf(DOMAIN)?.auth.setPassword(local, DOMAIN, password);
      const fresh = await make(0, "phone");
      begins(fresh);
      everybody.push(fresh);
      return fresh;
    },
    async leave() {
      for (const actor of everybody) if (!actor.gone) actor.wire.cut();
      const jids = [...names, ...Array.from({ length: 5 }, (_, i) => `fresh${round}x${i}`)].map(
        (local) => `${local}@${DOMAIN}`,
      );
      return jids;
    },
  };
}

/** Waits until the server is done with what a client has sent. */
export async function synced(actor: Actor): Promise<void> {
  const id = `sync${++actor.tally.assertions}`;
  await actor.asks(id, `<iq type='get' id='${id}' to='${actor.domain}'><ping xmlns='urn:xmpp:ping'/></iq>`);
}

async function befriended(a: Actor, b: Actor): Promise<void> {
  for (const [one, other] of [
    [a, b],
    [b, a],
  ]) {
    one.says(`<presence to='${other.bare}' type='subscribe'/>`);
    await synced(one);
    other.says(`<presence to='${one.bare}' type='subscribed'/>`);
    await synced(other);
  }
}

function wordsOf(round: number, me: Actor, phone: Client, friend: Client, target: Client, r: Random): Words {
  const jids = [
    me.bare,
    me.full,
    phone.full,
    friend.bare,
    friend.bare,
    friend.full,
    target.bare,
    target.bare,
    target.full,
    `${target.local.toUpperCase()}@${DOMAIN}`,
    `${friend.bare}/ghost`,
    DOMAIN,
    `${DOMAIN}/resource`,
    `pubsub.${DOMAIN}`,
    `somebody@pubsub.${DOMAIN}/x`,
    `vjud.${DOMAIN}`,
    `nobody${round}@${DOMAIN}`,
    "romeo@elsewhere.example",
    "elsewhere.example",
    "",
    "@",
    `@${DOMAIN}`,
    `a@@${DOMAIN}`,
    `a b@${DOMAIN}`,
    `<&'">@${DOMAIN}`,
    `user@${DOMAIN}/`,
    "user@-bad-.example",
    "user@[::1]/x",
    `\u202e@${DOMAIN}`,
    `😀@${DOMAIN}`,
    `${DOMAIN}.`,
    `${"l".repeat(1024)}@${DOMAIN}`,
    `${"l".repeat(1023)}@${DOMAIN}`,
    `${"é".repeat(251)}@${DOMAIN}`,
    `${"m".repeat(251)}@elsewhere.example/${"r".repeat(300)}`,
    `x@${DOMAIN}/${"r".repeat(1023)}`,
    `x@${"d.".repeat(600)}example`,
  ];
  const nodes = [...NODES, `secrets${round}`, `blog${round}`, `/home/${DOMAIN}/${me.local}/x`];
  const likely = jids.slice(0, 22);
  const commands = ["ping", "urn:xmpp:invite#create-account", "http://jabber.org/protocol/admin#add-user"];
  const value = (name: string, c: Random): string => {
    switch (name) {
      case "me":
        return me.bare;
      case "full":
        return me.full;
      case "friend":
        return friend.bare;
      case "target":
        return target.bare;
      case "anybody":
        return c.pick(c.once(8) ? jids : likely);
      case "node":
        return c.pick(nodes);
      case "item":
        return c.pick(["current", "1", "secret", ...me.known.slice(-3)]);
      case "list":
        return c.pick(LISTS);
      case "known":
        return me.known.length > 0 ? c.pick(me.known) : "nothing";
      case "words":
        return c.pick(WORDS);
      case "box":
        return c.pick(["inbox", "archive", "bin", "work", "all"]);
      case "place":
        return `${1_700_000_000_000_000 + c.below(1000)}/${Buffer.from(c.pick(likely)).toString("base64")}`;
      case "session":
        return me.sessions.length > 0 ? c.pick(me.sessions.slice(-3)) : "none";
      case "password":
        return me.account.password;
      case "name":
        return me.local;
      case "fresh":
        return `fresh${round}x${c.below(5)}`;
      case "command":
        return c.pick(commands);
      case "plain":
        return Buffer.from(`\0${me.local}\0${me.account.password}`).toString("base64");
      default:
        throw new Error(`There is no word {${name}}`);
    }
  };
  return {
    jids,
    // The odd ones more than once: they are what is to be tried.
    all: [...jids, ...nodes, ...LISTS, ...ODD],
    fill: (template, c = r) => template.replaceAll(/\{(\w+)\}/g, (_, name: string) => escaped(value(name, c))),
  };
}
