// No user reads or changes what another keeps, whatever he puts into `to`, `from`, a node id or a page: every feature
// that keeps something for a user is tried as the wrong one, and the owner's view of it stays the same to the letter.
import { expect, test } from "vitest";
import { MODULES } from "../../modules/index.ts";
import type { Client } from "../support/client.ts";
import { NS_CONVERSATION, NS_INBOX } from "../support/inbox.ts";
import { show } from "../support/match.ts";
import { stage } from "../support/story.ts";
import type { Changes } from "../support/story-server.ts";

const NS_PUBSUB = "http://jabber.org/protocol/pubsub";
const NS_PUBSUB_OWNER = `${NS_PUBSUB}#owner`;
const NODE = "urn:test:diary";
const WHITELIST = `<publish-options><x xmlns="jabber:x:data" type="submit"><field var="FORM_TYPE" type="hidden"><value>${NS_PUBSUB}#publish-options</value></field><field var="pubsub#access_model"><value>whitelist</value></field><field var="pubsub#persist_items"><value>true</value></field></x></publish-options>`;

interface Probe {
  /** What the owner keeps, said by the owner. */
  keeps?: readonly string[];
  /** How the owner sees it. */
  view?: string;
  /** What the wrong user tries, as requests to the owner's bare JID: type and payload. */
  tries: readonly (readonly ["get" | "set", string])[];
}

const pubsub = (inside: string): string => `<pubsub xmlns="${NS_PUBSUB}">${inside}</pubsub>`;
const owner = (inside: string): string => `<pubsub xmlns="${NS_PUBSUB_OWNER}">${inside}</pubsub>`;
const vcard = (name: string): string => `<vCard xmlns="vcard-temp"><FN>${name}</FN></vCard>`;

const PROBES: Readonly<Record<string, Probe>> = {
  mod_roster: {
    keeps: [`<query xmlns="jabber:iq:roster"><item jid="nurse@localhost" name="Nurse"/></query>`],
    view: `<query xmlns="jabber:iq:roster"/>`,
    tries: [
      ["get", `<query xmlns="jabber:iq:roster"/>`],
      ["set", `<query xmlns="jabber:iq:roster"><item jid="nurse@localhost" subscription="remove"/></query>`],
    ],
  },
  mod_private: {
    keeps: [`<query xmlns="jabber:iq:private"><diary xmlns="urn:test:diary">dear</diary></query>`],
    view: `<query xmlns="jabber:iq:private"><diary xmlns="urn:test:diary"/></query>`,
    tries: [
      ["get", `<query xmlns="jabber:iq:private"><diary xmlns="urn:test:diary"/></query>`],
      ["set", `<query xmlns="jabber:iq:private"><diary xmlns="urn:test:diary">mine</diary></query>`],
    ],
  },
  mod_privacy: {
    keeps: [
      `<query xmlns="jabber:iq:privacy"><list name="mine"><item type="jid" value="paris@localhost" action="deny" order="1"/></list></query>`,
    ],
    view: `<query xmlns="jabber:iq:privacy"><list name="mine"/></query>`,
    tries: [
      ["get", `<query xmlns="jabber:iq:privacy"/>`],
      ["get", `<query xmlns="jabber:iq:privacy"><list name="mine"/></query>`],
      ["set", `<query xmlns="jabber:iq:privacy"><list name="mine"/></query>`],
      ["set", `<query xmlns="jabber:iq:privacy"><default/></query>`],
    ],
  },
  mod_blocking: {
    view: `<blocklist xmlns="urn:xmpp:blocking"/>`,
    tries: [
      ["get", `<blocklist xmlns="urn:xmpp:blocking"/>`],
      ["set", `<block xmlns="urn:xmpp:blocking"><item jid="nurse@localhost"/></block>`],
      ["set", `<unblock xmlns="urn:xmpp:blocking"/>`],
    ],
  },
  mod_vcard: {
    keeps: [vcard("Juliet")],
    view: `<vCard xmlns="vcard-temp"/>`,
    tries: [["set", vcard("Somebody else")]],
  },
  mod_pubsub: {
    keeps: [
      pubsub(`<publish node="${NODE}"><item id="1"><p xmlns="urn:test:p">secret</p></item></publish>${WHITELIST}`),
    ],
    view: pubsub(`<items node="${NODE}"/>`),
    tries: [
      ["get", pubsub(`<items node="${NODE}"/>`)],
      ["get", pubsub(`<items node="${NODE}"><item id="1"/></items>`)],
      ["get", pubsub(`<items node="${NODE}"/><set xmlns="http://jabber.org/protocol/rsm"><before/></set>`)],
      ["get", pubsub(`<items node="${NODE}"/><set xmlns="http://jabber.org/protocol/rsm"><after>0</after></set>`)],
      ["get", owner(`<configure node="${NODE}"/>`)],
      ["get", owner(`<affiliations node="${NODE}"/>`)],
      ["get", owner(`<subscriptions node="${NODE}"/>`)],
      ["set", pubsub(`<publish node="${NODE}"><item id="1"><p xmlns="urn:test:p">mine</p></item></publish>`)],
      ["set", pubsub(`<publish node="urn:test:new"><item id="1"><p xmlns="urn:test:p">mine</p></item></publish>`)],
      ["set", pubsub(`<retract node="${NODE}" notify="true"><item id="1"/></retract>`)],
      ["set", pubsub(`<create node="urn:test:new"/>`)],
      ["set", owner(`<delete node="${NODE}"/>`)],
      ["set", owner(`<purge node="${NODE}"/>`)],
      [
        "set",
        owner(
          `<affiliations node="${NODE}"><affiliation jid="mercutio@localhost" affiliation="owner"/></affiliations>`,
        ),
      ],
      [
        "set",
        owner(
          `<configure node="${NODE}"><x xmlns="jabber:x:data" type="submit"><field var="FORM_TYPE"><value>${NS_PUBSUB}#node_config</value></field><field var="pubsub#access_model"><value>open</value></field></x></configure>`,
        ),
      ],
    ],
  },
  mod_inbox: {
    view: `<query xmlns="${NS_CONVERSATION}" jid="nurse@localhost" complete="true"/>`,
    tries: [
      ["set", `<inbox xmlns="${NS_INBOX}"/>`],
      ["set", `<empty-bin xmlns="${NS_INBOX}"/>`],
      ["get", `<query xmlns="${NS_CONVERSATION}" jid="nurse@localhost" complete="true"/>`],
      ["set", `<query xmlns="${NS_CONVERSATION}" jid="nurse@localhost"><read>true</read></query>`],
      ["set", `<reset xmlns="${NS_CONVERSATION}" jid="nurse@localhost"/>`],
    ],
  },
  mod_mam: {
    keeps: [
      `<prefs xmlns="urn:xmpp:mam:2" default="roster"><always><jid>nurse@localhost</jid></always><never/></prefs>`,
    ],
    view: `<prefs xmlns="urn:xmpp:mam:2"/>`,
    tries: [
      ["get", `<prefs xmlns="urn:xmpp:mam:2"/>`],
      ["set", `<prefs xmlns="urn:xmpp:mam:2" default="never"/>`],
      ["get", `<query xmlns="urn:xmpp:mam:2"/>`],
      ["get", `<metadata xmlns="urn:xmpp:mam:2"/>`],
      ["set", `<query xmlns="urn:xmpp:mam:2"/>`],
    ],
  },
  mod_smart_markers: {
    tries: [["get", `<query xmlns="esl:xmpp:smart-markers:0" peer="nurse@localhost"/>`]],
  },
  mod_auth_token: { tries: [["get", `<query xmlns="erlang-solutions.com:xmpp:token-auth:0"/>`]] },
  mod_register: {
    tries: [
      ["get", `<query xmlns="jabber:iq:register"/>`],
      ["set", `<query xmlns="jabber:iq:register"><remove/></query>`],
      ["set", `<query xmlns="jabber:iq:register"><username>juliet</username><password>mine</password></query>`],
    ],
  },
  mod_last: { tries: [["get", `<query xmlns="jabber:iq:last"/>`]] },
  mod_carboncopy: { tries: [["set", `<enable xmlns="urn:xmpp:carbons:2"/>`]] },
  mod_sic: { tries: [["get", `<address xmlns="urn:xmpp:sic:1"/>`]] },
};

/** Features that keep something which no request of a user names. */
const WITHOUT_REQUESTS: Readonly<Record<string, string>> = {
  mod_blocklist: "administrators' operations only",
  mod_broadcast: "administrators' operations only",
  mod_fast_auth_token: "tokens come and go in the owner's authentication (mod_fast_auth_token stories)",
  mod_invites: "commands of one's own and administrators' operations (mod_invites stories)",
  mod_offline: "delivered to the owner's sessions",
  mod_offline_chatmarkers: "delivered to the owner's sessions",
  mod_pubsub_old: "a service of its own (mod_pubsub_old stories)",
  mod_service_admin: "commands of administrators (mod_service_admin stories)",
  mod_spam_reporting: "reports are told by the reporter's own block requests, and read by administrators",
  mod_stream_management: "resumed by the owner's authenticated stream (xep0198 stories)",
};

test("every feature that keeps something for users is tried", () => {
  const keeping = MODULES.filter(
    (m) => m.store !== undefined || Object.keys(m.iq ?? {}).some((key) => / own /.test(key)),
  ).map((m) => m.name);
  expect(keeping.filter((name) => PROBES[name] === undefined && WITHOUT_REQUESTS[name] === undefined)).toEqual([]);
});

const modules: Changes = { mod_caps: {}, mod_keystore: { keys: [{ name: "token_secret", type: "ram" }] } };
for (const name of Object.keys(PROBES)) modules[name] = {};
modules["mod_mam"] = { user_prefs_store: "rdbms", pm: {} };
const { story } = stage({ modules });

async function asks(c: Client, type: "get" | "set", payload: string, to?: string): Promise<string> {
  const id = `w${c.tally.assertions++}`;
  c.says(`<iq type="${type}" id="${id}"${to === undefined ? "" : ` to="${to}"`}>${payload}</iq>`);
  return show(await c.skipsTo((e) => e.attrs["id"] === id)).replaceAll(id, "ID");
}

/** What strangers are told. */
const REFUSAL = /<(forbidden|service-unavailable|not-allowed|item-not-found|not-authorized|closed-node) /;

for (const [name, { keeps = [], view, tries }] of Object.entries(PROBES)) {
  story(`${name}: a stranger, and a contact, gets nowhere`, { juliet: 1, mercutio: 1, benvolio: 1 }, async (cast) => {
    const { juliet, mercutio, benvolio, befriend } = cast;
    await befriend(juliet, benvolio);
    for (const payload of keeps) expect(await asks(juliet, "set", payload)).toContain('type="result"');
    const before = view === undefined ? "" : await asks(juliet, "get", view);
    for (const intruder of [mercutio, benvolio]) {
      for (const [type, payload] of tries) {
        // A contact may ask when one was last there (XEP-0012).
        if (name === "mod_last" && intruder === benvolio) continue;
        const answer = await asks(intruder, type, payload, juliet.bare);
        expect(answer, payload).toContain('type="error"');
        expect(answer, payload).toMatch(REFUSAL);
        expect(answer.replace(payload, ""), payload).not.toMatch(/secret|dear|Nurse/);
      }
    }
    if (view !== undefined) expect(await asks(juliet, "get", view)).toBe(before);
  });
}

story(
  "RFC 6120 §8.1.2.1: nobody speaks in another's name",
  { juliet: 1, mercutio: 1 },
  async ({ juliet, mercutio }) => {
    await asks(juliet, "set", vcard("Juliet"));
    mercutio.says(`<iq type="set" id="x" from="${juliet.bare}">${vcard("Somebody else")}</iq>`);
    await mercutio.receivesStreamError("invalid-from");
    expect(await asks(juliet, "get", `<vCard xmlns="vcard-temp"/>`)).toContain("Juliet");
  },
);
