// An account, or its domain, is removed in the middle of something that stores about it, and somebody gets the name right
// after: at whichever request to the database that something is stopped, nothing of it is left to whoever has the name.
import { describe, expect } from "vitest";
import { makeBare } from "../../core/jid.ts";
import { asText, type Db } from "../../core/storage/db.ts";
import { inspect } from "../../core/storage/inspect.ts";
import type { Client } from "../support/client.ts";
import { HeldStep } from "../support/held-step.ts";
import { form, NS_OWNER, NS_PUBSUB, publishing, item as pubsubItem } from "../support/pubsub.ts";
import { type Scene, stage } from "../support/story.ts";

/** How long a removal may take before what it waits for goes on, in ms. */
const WAIT = 30;
/** Requests to the database at which one thing can be stopped, at most. */
const MOST = 30;

/** Who goes, and who stays. */
interface Pair extends Scene {
  readonly goner: Client;
  readonly other: Client;
  /** A word that no other pair has. */
  readonly word: string;
}

/** Something that stores about the one who goes. */
interface Act {
  /** The one who goes is not connected. */
  readonly away?: true;
  before?(pair: Pair): unknown;
  run(pair: Pair): unknown;
  /** Once it is stopped, before the removal. */
  meanwhile?(pair: Pair): void;
}

let ids = 0;
const iq = (inside: string, to = ""): string =>
  `<iq type="set" id="act${++ids}"${to === "" ? "" : ` to="${to}"`}>${inside}</iq>`;
const says = (inside: string) => (pair: Pair) => pair.goner.says(iq(inside));
const chat = (to: string, inside = "<body>Hello</body>"): string =>
  `<message type="chat" id="act${++ids}" to="${to}">${inside}</message>`;
const marker = (name: string): string => `<${name} xmlns="urn:xmpp:chat-markers:0" id="m1"/>`;
const privacy = (inside: string): string => `<query xmlns="jabber:iq:privacy">${inside}</query>`;
const pubsub = (inside: string, ns = NS_PUBSUB): string => `<pubsub xmlns="${ns}">${inside}</pubsub>`;
const serviceOf = ({ goner }: Pair): string => `pubsub.${goner.domain}`;
const OPEN = form("node_config", { access_model: "open" });
const creates = (node: string): string => pubsub(`<create node="${node}"/><configure>${OPEN}</configure>`);
const affiliates = (node: string, jid: string): string =>
  pubsub(`<affiliations node="${node}"><affiliation jid="${jid}" affiliation="publisher"/></affiliations>`, NS_OWNER);
const subscribes = (node: string, jid: string): string => pubsub(`<subscribe node="${node}" jid="${jid}"/>`);
const publishes = (node: string): string => pubsub(publishing(node, pubsubItem("i1")));
const VCARD = `<vCard xmlns="vcard-temp"><FN>Goner</FN><PHOTO><TYPE>image/png</TYPE><BINVAL>iVBORw0KGgo=</BINVAL></PHOTO></vCard>`;
const LIST = `<list name="l"><item type="jid" value="a@b.example" action="deny" order="1"/></list>`;
const COMMAND = `<command xmlns="http://jabber.org/protocol/commands" node="urn:xmpp:invite#invite" action="execute"/>`;

const ACTS: Readonly<Record<string, Act>> = {
  "a message to him, who is away": { away: true, run: ({ goner, other }) => other.says(chat(goner.bare)) },
  "a message to him of one who is gone": {
    run: ({ goner, other }) => other.says(chat(goner.bare)),
    meanwhile: ({ other }) => other.wire.cut(),
  },
  "a request for his presence of one who is gone": {
    away: true,
    run: ({ goner, other }) => other.says(`<presence type="subscribe" to="${goner.bare}"/>`),
    meanwhile: ({ other }) => other.wire.cut(),
  },
  "a message to him": { run: ({ goner, other }) => other.says(chat(goner.full)) },
  "a message of his": { run: ({ goner, other }) => goner.says(chat(other.full)) },
  "a marker for him, who is away": {
    away: true,
    run: ({ goner, other }) => other.says(chat(goner.bare, marker("displayed"))),
  },
  "a marker of his": { run: ({ goner, other }) => goner.says(chat(other.full, marker("displayed"))) },
  "a request for his presence": {
    run: ({ goner, other }) => other.says(`<presence type="subscribe" to="${goner.bare}"/>`),
  },
  "a request for his presence, who is away": {
    away: true,
    run: ({ goner, other }) => other.says(`<presence type="subscribe" to="${goner.bare}"/>`),
  },
  "a contact of his": { run: says(`<query xmlns="jabber:iq:roster"><item jid="a@b.example" name="A"/></query>`) },
  "a contact that an administrator gives him": {
    away: true,
    run: ({ goner, other, graphql }) =>
      graphql.admin.calls("roster.addContact", { user: goner.bare, contact: other.bare }),
  },
  "a contact that an administrator gives both": {
    away: true,
    run: ({ goner, other, graphql }) =>
      graphql.admin.calls("roster.setMutualSubscription", { userA: goner.bare, userB: other.bare, action: "CONNECT" }),
  },
  "another's yes to his request": {
    before: async ({ goner, other }) => {
      goner.says(`<presence type="subscribe" to="${other.bare}"/>`);
      await goner.settles();
    },
    run: ({ goner, other }) => other.says(`<presence type="subscribed" to="${goner.bare}"/>`),
  },
  "another's yes to his request, who is away": {
    away: true,
    before: async ({ goner, other }) => {
      goner.says(`<presence type="subscribe" to="${other.bare}"/>`);
      await goner.settles();
    },
    run: ({ goner, other }) => other.says(`<presence type="subscribed" to="${goner.bare}"/>`),
  },
  "his yes to another's request": {
    before: async ({ goner, other }) => {
      other.says(`<presence type="subscribe" to="${goner.bare}"/>`);
      await other.settles();
    },
    run: ({ goner, other }) => goner.says(`<presence type="subscribed" to="${other.bare}"/>`),
  },
  "a vCard": { run: says(VCARD) },
  "a vCard from an administrator": {
    away: true,
    run: ({ goner, graphql }) =>
      graphql.admin.calls("vcard.setVcard", { user: goner.bare, vcard: { formattedName: "G", nameComponents: {} } }),
  },
  "private storage": { run: says(`<query xmlns="jabber:iq:private"><x xmlns="urn:x">y</x></query>`) },
  "private bookmarks": {
    run: says(
      `<query xmlns="jabber:iq:private"><storage xmlns="storage:bookmarks"><conference jid="r@c.example"/></storage></query>`,
    ),
  },
  "private storage from an administrator": {
    away: true,
    run: ({ goner, graphql }) =>
      graphql.admin.calls("private.setPrivate", { user: goner.bare, elementString: `<x xmlns='urn:x'>y</x>` }),
  },
  "a privacy list": { run: says(privacy(LIST)) },
  "a default list": {
    before: ({ goner }) => goner.says(iq(privacy(LIST))),
    run: says(privacy(`<default name="l"/>`)),
  },
  "a blocked address": { run: says(`<block xmlns="urn:xmpp:blocking"><item jid="a@b.example"/></block>`) },
  "a report": {
    run: says(
      `<block xmlns="urn:xmpp:blocking"><item jid="a@b.example"><report xmlns="urn:xmpp:reporting:1" reason="urn:xmpp:reporting:spam"/></item></block>`,
    ),
  },
  "an account that is blocked": {
    away: true,
    run: ({ goner, graphql }) => graphql.admin.calls("blocklist.addUser", { user: goner.bare }),
  },
  "the end of his session": { run: ({ goner }) => goner.says(`<presence type="unavailable"/>`) },
  "a time from an administrator": {
    away: true,
    run: ({ goner, graphql }) => graphql.admin.calls("last.setLast", { user: goner.bare, status: "gone" }),
  },
  "a password from an administrator": {
    away: true,
    run: ({ goner, graphql }) =>
      graphql.admin.calls("account.changeUserPassword", { user: goner.bare, newPassword: "another" }),
  },
  "preferences of his archive": {
    run: says(`<prefs xmlns="urn:xmpp:mam:2" default="never"><always><jid>a@b.example</jid></always></prefs>`),
  },
  tokens: {
    run: ({ goner }) =>
      goner.says(
        `<iq type="get" id="t" to="${goner.bare}"><query xmlns="erlang-solutions.com:xmpp:token-auth:0"/></iq>`,
      ),
  },
  "an invitation": { run: ({ goner }) => goner.says(iq(COMMAND, goner.domain)) },
  "a message for his lost stream": {
    before: async ({ goner }) => {
      await goner.managesStream();
      await goner.breaks();
    },
    run: ({ goner, other }) => other.says(chat(goner.full)),
  },
  "a node of his": { run: says(creates("n")) },
  "an item of his": { run: says(publishes("n")) },
  "an item in a node that he has": {
    before: ({ goner }) => goner.says(iq(creates("n"))),
    run: says(publishes("n")),
  },
  "a configuration of his node": {
    before: ({ goner }) => goner.says(iq(creates("n"))),
    run: says(pubsub(`<configure node="n">${form("node_config", { title: "T" })}</configure>`, NS_OWNER)),
  },
  "what he has displayed": {
    run: ({ goner, other }) =>
      goner.says(
        `<message to="${goner.bare}" id="d"><displayed xmlns="urn:xmpp:mds:displayed:0" id="${other.bare}"><stanza-id xmlns="urn:xmpp:sid:0" by="${goner.bare}" id="1"/></displayed></message>`,
      ),
  },
  "a subscription to his node": {
    before: ({ goner }) => goner.says(iq(creates("n"))),
    run: ({ goner, other }) => other.says(iq(subscribes("n", other.bare), goner.bare)),
  },
  "an item of another's in his node": {
    before: async ({ goner, other }) => {
      goner.says(iq(creates("n")));
      goner.says(iq(affiliates("n", other.bare)));
      await goner.settles();
    },
    run: ({ goner, other }) => other.says(iq(publishes("n"), goner.bare)),
  },
  "his subscription to another's node": {
    before: ({ other, word }) => other.says(iq(creates(word.replace("goner", "node")))),
    run: ({ goner, other, word }) => goner.says(iq(subscribes(word.replace("goner", "node"), goner.bare), other.bare)),
  },
  "his affiliation with another's node": {
    before: ({ other, word }) => other.says(iq(creates(word.replace("goner", "node")))),
    run: ({ goner, other, word }) => other.says(iq(affiliates(word.replace("goner", "node"), goner.bare))),
  },
  "his item in another's node": {
    before: async ({ goner, other, word }) => {
      const node = word.replace("goner", "node");
      other.says(iq(creates(node)));
      other.says(iq(affiliates(node, goner.bare)));
      await other.settles();
    },
    run: ({ goner, other, word }) => goner.says(iq(publishes(word.replace("goner", "node")), other.bare)),
  },
  "another version of his item in another's node": {
    before: async ({ goner, other, word }) => {
      const node = word.replace("goner", "node");
      other.says(iq(creates(node)));
      other.says(iq(affiliates(node, goner.bare)));
      await other.settles();
      goner.says(iq(publishes(node), other.bare));
    },
    run: ({ goner, other, word }) => goner.says(iq(publishes(word.replace("goner", "node")), other.bare)),
  },
  "a node of his at the service": {
    run: (pair) => pair.goner.says(iq(creates(pair.word.replace("goner", "node")), serviceOf(pair))),
  },
  "an item of his at the service": {
    before: async (pair) => {
      pair.goner.says(iq(creates(pair.word.replace("goner", "node")), serviceOf(pair)));
      await pair.goner.settles();
    },
    run: (pair) => pair.goner.says(iq(publishes(pair.word.replace("goner", "node")), serviceOf(pair))),
  },
  "his subscription at the service": {
    before: async (pair) => {
      pair.other.says(iq(creates(pair.word.replace("goner", "node")), serviceOf(pair)));
      await pair.other.settles();
    },
    run: (pair) =>
      pair.goner.says(iq(subscribes(pair.word.replace("goner", "node"), pair.goner.bare), serviceOf(pair))),
  },
  "his affiliation at the service": {
    before: async (pair) => {
      pair.other.says(iq(creates(pair.word.replace("goner", "node")), serviceOf(pair)));
      await pair.other.settles();
    },
    run: (pair) =>
      pair.other.says(iq(affiliates(pair.word.replace("goner", "node"), pair.goner.bare), serviceOf(pair))),
  },
  "his item in another's node at the service": {
    before: async (pair) => {
      const node = pair.word.replace("goner", "node");
      pair.other.says(iq(creates(node), serviceOf(pair)));
      pair.other.says(iq(affiliates(node, pair.goner.bare), serviceOf(pair)));
      await pair.other.settles();
    },
    run: (pair) => pair.goner.says(iq(publishes(pair.word.replace("goner", "node")), serviceOf(pair))),
  },
};

/** What others have of somebody is theirs; servers of a cluster tell each other of domains. */
const THEIRS: Readonly<Record<string, (row: Record<string, unknown>, word: string) => boolean>> = {
  // A contact in a roster, who is not shown anything and has nobody's presence.
  rosterusers: ({ username, subscription }, word) => username !== word && asLetter(subscription) === "N",
  rostergroups: ({ username }, word) => username !== word,
  mam_message: () => true, // looked at by its owner's number
  inbox: ({ luser }, word) => luser !== word,
  offline_message: ({ username }, word) => username !== word,
  domain_events: () => true,
};

const asLetter = (value: unknown): string => (value instanceof Uint8Array ? asText(value) : String(value));

async function leftOf(db: Db, word: string, domain: string | undefined): Promise<string[]> {
  const found: string[] = [];
  const text = (value: unknown): string => (value instanceof Uint8Array ? asText(value) : String(value));
  for (const table of (await inspect(db)).tables.keys()) {
    if (/^sqlite_|migrations$/.test(table)) continue;
    for (const row of await db.query<Record<string, unknown>>(`SELECT * FROM ${table}`)) {
      const values = Object.values(row).map(text);
      const named = (name: string) => values.some((value) => value.includes(name));
      if (!(named(word) || (domain !== undefined && named(domain)))) continue;
      if (table === "users" || THEIRS[table]?.(row, word)) continue;
      found.push(`${table}: ${values.join(" | ").slice(0, 200)}`);
    }
  }
  const nobodys = await db.query(
    "SELECT user_id FROM mam_message WHERE user_id NOT IN (SELECT id FROM mam_server_user)",
  );
  if (nobodys.length > 0) found.push(`mam_message: ${nobodys.length} of nobody's`);
  return found;
}

const MODULES = {
  mod_adhoc: {},
  mod_auth_token: {},
  mod_blocking: {},
  mod_blocklist: {},
  mod_caps: {},
  mod_inbox: { backend: "rdbms" },
  mod_keystore: { keys: [{ name: "token_secret", type: "ram" }] },
  mod_invites: {},
  mod_mam: { pm: {}, user_prefs_store: "rdbms" },
  mod_offline_chatmarkers: {},
  mod_privacy: {},
  mod_pubsub: {},
  mod_pubsub_old: {},
  mod_smart_markers: {},
  mod_spam_reporting: {},
};

const HOSTS = { general: { hosts: ["localhost"], host_types: ["dynamic"] } };

describe.each(["an account", "a domain"] as const)("%s is removed in the middle of", (what) => {
  const { story } = stage({ ...HOSTS, modules: MODULES });
  let pairs = 0;

  for (const [title, act] of Object.entries(ACTS)) {
    story(
      title,
      {},
      async (scene) => {
        const { server, graphql, account } = scene;
        // One and the same, where all is in the embedded store.
        const dbs = new Set([server.db, server.node.db(undefined)]);
        const left: string[] = [];
        let stopped = 0;
        for (let at = 0, held = true; held && at < MOST; at++) {
          const domain = what === "a domain" ? `gone${++pairs}.example` : "localhost";
          if (what === "a domain") {
            (await graphql.admin.calls("domain.addDomain", { domain, hostType: "dynamic" })).data;
          }
          const owner = await account(`goner${++pairs}x`, domain);
          const goner = await owner.comes();
          const other = await (await (await account("other")).comes()).comesOnline();
          await goner.comesOnline();
          const pair: Pair = { ...scene, goner, other, word: goner.local };
          await act.before?.(pair);
          await other.settles();
          await goner.settles();
          if (act.away) await goner.leaves();
          await Bun.sleep(20);
          const step = new HeldStep(dbs, at);
          const done = Promise.resolve(act.run(pair)).catch(() => undefined);
          held = await Promise.race([step.come.then(() => true), Bun.sleep(150).then(() => false)]);
          if (held) stopped++;
          if (held && act.meanwhile !== undefined) {
            act.meanwhile(pair);
            await Bun.sleep(20);
          }
          const jid = makeBare(goner.local, domain);
          const removed =
            what === "a domain" ? server.node.domains.remove(domain, "dynamic", true) : server.node.removeUser(jid);
          const again = removed.then(async () => {
            if (what === "a domain") await server.node.domains.add(domain, "dynamic");
            return server.node.hostOf(domain)!.auth.create(jid.local, domain, "another's");
          });
          await Promise.race([again, Bun.sleep(WAIT)]);
          step.go();
          expect(await again).toBe("ok");
          await done;
          await step.quiet();
          step.end();
          for (const db of dbs) {
            const rows = await leftOf(db, pair.word, what === "a domain" ? domain : undefined);
            const others = rows.filter((row) => !row.startsWith("domain_settings"));
            left.push(...others.map((row) => `request ${at}: ${row}`));
          }
          other.wire.cut();
        }
        expect(stopped).toBeGreaterThan(0);
        expect(left).toEqual([]);
      },
      { door: "tcp" },
    );
  }
});
