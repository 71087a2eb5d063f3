// XEP-0054 vCards, and XEP-0055 searches of them at vjud.@HOST@.
import { describe, expect } from "vitest";
import { parseBareJid } from "../../core/jid.ts";
import type { Client } from "../support/client.ts";
import { childOf, childrenOf, find, textOf, type XElement } from "../support/match.ts";
import { type Scene, stage } from "../support/story.ts";

const NS_STANZAS = "urn:ietf:params:xml:ns:xmpp-stanzas";
const SEARCH = "jabber:iq:search";
const RSM = "http://jabber.org/protocol/rsm";
const INFO = "http://jabber.org/protocol/disco#info";
const ITEMS = "http://jabber.org/protocol/disco#items";
const error = (condition: string) => `<error><${condition} xmlns="${NS_STANZAS}"/></error>`;

// Two domains of one host type: what is found in one is not found in the other.
const usual = stage({ modules: { mod_vcard: { backend: "rdbms" } } });

const both = (...cases: string[]) => cases.flatMap((c) => [`vcard_SUITE:${c}`, `vcard_simple_SUITE:${c}`]);

describe("vCards", () => {
  const { story } = usual;
  const card = `<vCard xmlns="vcard-temp"><FN>Juliet Capulet</FN><NICKNAME>Jule 🌹</NICKNAME><ADR><HOME/><LOCALITY>Москва</LOCALITY></ADR></vCard>`;

  story(
    "XEP-0054 §3: a card is stored, and everybody can read it",
    { romeo: 1, juliet: 1 },
    async ({ romeo, juliet }) => {
      juliet.says(`<iq type="set" id="o"><vCard xmlns="vcard-temp"><FN>Old name</FN></vCard></iq>`);
      await juliet.receives`<iq type="result" id="o"/>`;
      juliet.says(`<iq type="set" id="s">${card}</iq>`);
      await juliet.receives`<iq type="result" id="s"/>`;
      juliet.sends`<iq type="get" id="g"><vCard xmlns="vcard-temp"/></iq>`;
      await juliet.hears(`<iq type="result" id="g">${card}</iq>`);
      romeo.sends`<iq type="get" id="g" to="${juliet.bare}"><vCard xmlns="vcard-temp"/></iq>`;
      await romeo.hears(`<iq type="result" id="g" from="${juliet.bare}">${card}</iq>`);
      await juliet.receivesNothing();
    },
    {
      covers: [
        ...both("update_own_card", "retrieve_own_card", "retrieve_others_card"),
        "vcard_SUITE:can_update_own_card_with_emoji_in_nickname",
        "vcard_SUITE:can_update_own_card_with_unicode_in_address",
      ],
    },
  );

  story("XEP-0153 §3: a photo comes back as it was", { romeo: 1 }, async ({ romeo }) => {
    const photo = `<vCard xmlns="vcard-temp"><PHOTO><TYPE>image/png</TYPE><BINVAL>${"iVBORw0KGgo=".repeat(2000)}</BINVAL></PHOTO></vCard>`;
    romeo.says(`<iq type="set" id="s">${photo}</iq>`);
    await romeo.receives`<iq type="result" id="s"/>`;
    romeo.sends`<iq type="get" id="g" to="${romeo.bare}"><vCard xmlns="vcard-temp"/></iq>`;
    await romeo.hears(`<iq type="result" id="g">${photo}</iq>`);
  });

  story(
    "XEP-0054 §3.2: nobody changes another's card",
    { romeo: 1, juliet: 1 },
    async ({ romeo, juliet }) => {
      juliet.says(`<iq type="set" id="s">${card}</iq>`);
      await juliet.receives`<iq type="result" id="s"/>`;
      for (const to of [juliet.bare, "nobody@localhost", "localhost"]) {
        romeo.says(`<iq type="set" id="s" to="${to}"><vCard xmlns="vcard-temp"><FN>New name</FN></vCard></iq>`);
        await romeo.hears(`<iq type="error" id="s" from="${to}">${error("not-allowed")}</iq>`);
      }
      juliet.sends`<iq type="get" id="g"><vCard xmlns="vcard-temp"/></iq>`;
      await juliet.hears(`<iq type="result" id="g">${card}</iq>`);
    },
    { covers: both("update_other_card") },
  );

  story(
    "XEP-0054 §3.3: who does not exist is not told from who has no card",
    { romeo: 1, juliet: 1 },
    async ({ romeo, juliet }) => {
      for (const to of [juliet.bare, "nobody@localhost"]) {
        romeo.says(`<iq type="get" id="g" to="${to}"><vCard xmlns="vcard-temp"/></iq>`);
        await romeo.hears(
          `<iq type="error" id="g" from="${to}"><vCard xmlns="vcard-temp"/><error type="cancel"><item-not-found xmlns="${NS_STANZAS}"/></error></iq>`,
        );
      }
    },
    { covers: both("user_doesnt_exist") },
  );

  story(
    "a field that cannot be searched for is refused, and the old card stays",
    { romeo: 1 },
    async ({ romeo }) => {
      romeo.says(`<iq type="set" id="s">${card}</iq>`);
      await romeo.receives`<iq type="result" id="s"/>`;
      romeo.says(`<iq type="set" id="t"><vCard xmlns="vcard-temp"><FN>\u{FFFFE}</FN></vCard></iq>`);
      await romeo.hears(`<iq type="error" id="t">${error("bad-request")}</iq>`);
      romeo.sends`<iq type="get" id="g"><vCard xmlns="vcard-temp"/></iq>`;
      await romeo.hears(`<iq type="result" id="g">${card}</iq>`);
    },
    { covers: ["vcard_SUITE:cant_update_own_card_with_invalid_field"] },
  );

  story(
    "the server and its directory have cards",
    { romeo: 1 },
    async ({ romeo }) => {
      for (const [to, name, description] of [
        ["localhost", "MongooseIM", "MongooseIM XMPP Server"],
        ["vjud.localhost", "MongooseIM/mod_vcard", "MongooseIM vCard module"],
      ]) {
        romeo.says(`<iq type="get" id="v" to="${to}"><vCard xmlns="vcard-temp"/></iq>`);
        const answer = await romeo.hears(`<iq type="result" id="v" from="${to}"/>`);
        expect(textOf(find(answer, "FN")!)).toBe(name);
        expect(textOf(find(answer, "DESC")!)).toBe(description);
      }
    },
    { covers: ["vcard_SUITE:server_vcard", "vcard_SUITE:directory_service_vcard"] },
  );
});

// --- the directory ---

let cards = 0;
/** A word that no other story has. */
const word = () => `w${++cards}`;

/** A user with a card of these fields. */
async function carded({ server, door }: Scene, c: Client, card: string): Promise<Client> {
  const online = await c.logsIn(server.target(door));
  online.says(`<iq type="set" id="card"><vCard xmlns="vcard-temp">${card}</vCard></iq>`);
  await online.receives`<iq type="result" id="card"/>`;
  return online;
}

const field = ([name, value]: [string, string]) => `<field var="${name}"><value>${value}</value></field>`;

async function searches(c: Client, fields: Record<string, string>, set = "", to = "vjud.localhost"): Promise<XElement> {
  const form = Object.entries(fields).map(field).join("");
  c.says(
    `<iq type="set" id="f" to="${to}"><query xmlns="${SEARCH}"><x xmlns="jabber:x:data" type="submit">${form}</x>${set}</query></iq>`,
  );
  return c.hears(`<iq type="result" id="f" from="${to}"/>`);
}
const rsm = (inner: string) => `<set xmlns="${RSM}">${inner}</set>`;

const named = (e: XElement, name: string) => childrenOf(e).filter((c) => c.name === name);
/** The found users: the values by the columns' labels. */
function found(answer: XElement): Record<string, string>[] {
  const x = find(answer, "x")!;
  const labels = new Map(named(childOf(x, "reported")!, "field").map((f) => [f.attrs["var"], f.attrs["label"]]));
  return named(x, "item").map((item) =>
    Object.fromEntries(named(item, "field").map((f) => [labels.get(f.attrs["var"])!, textOf(childOf(f, "value")!)])),
  );
}
const jids = (answer: XElement) => found(answer).map((row) => row["Jabber ID"]);
const page = (answer: XElement) => {
  const set = find(answer, "set")!;
  return Object.fromEntries(childrenOf(set).map((e) => [e.name, textOf(e)]));
};

describe("the directory", () => {
  const { story } = usual;

  story(
    "XEP-0055 §2.1: it tells what can be searched for, old fields and a form",
    { romeo: 1 },
    async ({ romeo }) => {
      romeo.sends`<iq type="get" id="f" to="vjud.localhost"><query xmlns="${SEARCH}"/></iq>`;
      const answer = await romeo.receives`<iq type="result" id="f" from="vjud.localhost"/>`;
      const query = childOf(answer, "query", SEARCH)!;
      expect(childrenOf(query).map((e) => e.name)).toEqual(["instructions", "first", "last", "nick", "email", "x"]);
      const fields = named(childOf(query, "x", "jabber:x:data")!, "field").map((f) => [
        f.attrs["type"],
        f.attrs["var"],
        f.attrs["label"],
      ]);
      expect(fields.slice(0, 4)).toEqual([
        ["hidden", "FORM_TYPE", undefined],
        ["text-single", "user", "User"],
        ["text-single", "fn", "Full Name"],
        ["text-single", "first", "Given Name"],
      ]);
      expect(fields).toHaveLength(13);
    },
    { covers: both("request_search_fields") },
  );

  story(
    "XEP-0055 §3: what is found is a table with the card's fields",
    { romeo: 1 },
    async ({ romeo, actor, ...scene }) => {
      const city = `Москва ${word()}`;
      const alice = await carded(
        { actor, ...scene },
        await actor("alice"),
        `<FN>Wonderland, Alice</FN><N><FAMILY>Wonderland</FAMILY><GIVEN>Alice</GIVEN></N><ADR><LOCALITY>${city}</LOCALITY></ADR>`,
      );
      const answer = await searches(romeo, { locality: city.toUpperCase() });
      expect(found(answer)).toEqual([
        {
          "Jabber ID": alice.bare,
          "Full Name": "Wonderland, Alice",
          Name: "Alice",
          "Middle Name": "",
          "Family Name": "Wonderland",
          Nickname: "",
          Birthday: "",
          Country: "",
          City: city,
          Email: "",
          "Organization Name": "",
          "Organization Unit": "",
        },
      ]);
      expect(jids(await searches(romeo, { user: alice.local.toUpperCase() }))).toEqual([alice.bare]);
    },
    { covers: both("search_some") },
  );

  story(
    "XEP-0055 §3: nobody meets the conditions, or there are none",
    { romeo: 1 },
    async ({ romeo }) => {
      romeo.says(`<iq type="set" id="card"><vCard xmlns="vcard-temp"><FN>R</FN></vCard></iq>`);
      await romeo.receives`<iq type="result" id="card"/>`;
      expect(jids(await searches(romeo, { fn: "nobody" }))).toEqual([]);
      expect(jids(await searches(romeo, {}))).toEqual([]);
      expect(jids(await searches(romeo, { fn: "" }))).toEqual([]);
      expect(jids(await searches(romeo, { nothing: "R" }))).toEqual([]);
    },
    { covers: [...both("search_empty"), "vcard_SUITE:search_open"] },
  );

  story(
    "several fields must all fit",
    { romeo: 1 },
    async ({ romeo, actor, ...scene }) => {
      const doe = word();
      const name = (given: string) => `<N><FAMILY>${doe}</FAMILY><GIVEN>${given}</GIVEN></N>`;
      const alice = await carded({ actor, ...scene }, await actor("alice"), name("Alice"));
      await carded({ actor, ...scene }, await actor("bob"), name("Bob"));
      expect(jids(await searches(romeo, { first: "Alice", last: doe }))).toEqual([alice.bare]);
    },
    { covers: ["vcard_SUITE:search_some_many_fields"] },
  );

  story(
    "an asterisk at the end stands for anything; what SQL knows does not",
    { romeo: 1 },
    async ({ romeo, actor, ...scene }) => {
      const doe = word();
      const bob = await carded({ actor, ...scene }, await actor("bobb"), `<FN>${doe}, Bob</FN>`);
      const alice = await carded({ actor, ...scene }, await actor("aliceb"), `<FN>${doe}, Alice_%</FN>`);
      const wild = await searches(romeo, { fn: `${doe.toUpperCase()}*` });
      expect(jids(wild)).toEqual([alice.bare, bob.bare].sort());
      expect(jids(await searches(romeo, { fn: `${doe}` }))).toEqual([]);
      expect(jids(await searches(romeo, { fn: `${doe}, Alice_%*` }))).toEqual([alice.bare]);
      expect(jids(await searches(romeo, { fn: `${doe}, B_b*` }))).toEqual([]);
      expect(jids(await searches(romeo, { fn: `*${doe}*` }))).toEqual([]);
    },
    { covers: both("search_wildcard") },
  );

  story(
    "XEP-0059: the results come in pages",
    { romeo: 1 },
    async ({ romeo, actor, ...scene }) => {
      const doe = word();
      const people: string[] = [];
      for (const name of ["anna", "bert"]) {
        people.push((await carded({ actor, ...scene }, await actor(name), `<FN>${doe}, ${name}</FN>`)).bare);
      }
      const [anna, bert] = people;
      const ask = async (set: string) => {
        const answer = await searches(romeo, { fn: `${doe}*` }, rsm(set));
        return [jids(answer), page(answer)];
      };
      const one = "<max>1</max>";
      expect(await ask("<max>0</max>")).toEqual([[], { count: "2" }]);
      const first = [[anna], { first: anna, last: anna, count: "2" }];
      const second = [[bert], { first: bert, last: bert, count: "2" }];
      expect(await ask(one)).toEqual(first);
      expect(await ask(`${one}<index>1</index>`)).toEqual(second);
      expect(await ask(`${one}<after>${anna}</after>`)).toEqual(second);
      expect(await ask(`${one}<after>${bert}</after>`)).toEqual([[], { count: "2" }]);
      expect(await ask(`${one}<before/>`)).toEqual(second);
      expect(await ask(`${one}<before>${bert}</before>`)).toEqual(first);
      expect(await ask(`${one}<before>${anna}</before>`)).toEqual([[], { count: "2" }]);
    },
    {
      covers: [
        "vcard_SUITE:search_rsm_count",
        "vcard_SUITE:search_rsm_pages",
        "vcard_SUITE:search_rsm_forward",
        "vcard_SUITE:search_rsm_backward",
      ],
    },
  );

  story(
    "what is no search is told to be wrong",
    { romeo: 1 },
    async ({ romeo }) => {
      const x = (attrs: string, inner = "<field/>") => `<x ${attrs}>${inner}</x>`;
      const data = 'xmlns="jabber:x:data"';
      for (const query of [
        x(data),
        x('type="submit"'),
        "",
        x(`${data} type="form"`),
        `${x(`${data} type="submit"`)}${rsm("<max>many</max>")}`,
        `${x(`${data} type="submit"`)}${rsm("<after>a</after><before>b</before>")}`,
      ]) {
        romeo.says(`<iq type="set" id="f" to="vjud.localhost"><query xmlns="${SEARCH}">${query}</query></iq>`);
        await romeo.hears(
          `<iq type="error" id="f"><error type="modify"><bad-request xmlns="${NS_STANZAS}"/></error></iq>`,
        );
      }
      const unknown = rsm("<max>1</max><after>nobody@localhost</after>");
      romeo.says(
        `<iq type="set" id="f" to="vjud.localhost"><query xmlns="${SEARCH}">${x(`${data} type="submit"`, field(["fn", "none"]))}${unknown}</query></iq>`,
      );
      await romeo.hears(`<iq type="error" id="f">${error("item-not-found")}</iq>`);
    },
    { covers: ["vcard_SUITE:search_errors"] },
  );

  story("XEP-0055 §2.1: a search without a form", { romeo: 1 }, async ({ romeo, actor, ...scene }) => {
    const last = word();
    const juliet = await carded(
      { actor, ...scene },
      await actor("juliet"),
      `<N><FAMILY>${last}</FAMILY><GIVEN>Juliet</GIVEN></N><NICKNAME>JuliC</NICKNAME><EMAIL>j@shakespeare.lit</EMAIL>`,
    );
    romeo.says(`<iq type="set" id="f" to="vjud.localhost"><query xmlns="${SEARCH}"><last>${last}</last></query></iq>`);
    await romeo.hears(
      `<iq type="result" id="f"><query xmlns="${SEARCH}"><item jid="${juliet.bare}"><first>Juliet</first><last>${last}</last><nick>JuliC</nick><email>j@shakespeare.lit</email></item></query></iq>`,
    );
    romeo.says(`<iq type="set" id="n" to="vjud.localhost"><query xmlns="${SEARCH}"><nick>none</nick></query></iq>`);
    await romeo.hears(`<iq type="result" id="n"><query xmlns="${SEARCH}"/></iq>`);
  });

  story("it answers nothing else", { romeo: 1 }, async ({ romeo }) => {
    const refuses = async (iq: string, condition: string) => {
      romeo.says(iq);
      await romeo.hears(`<iq type="error" id="x">${error(condition)}</iq>`);
    };
    const to = "vjud.localhost";
    await refuses(`<iq type="get" id="x" to="${to}"><ping xmlns="urn:xmpp:ping"/></iq>`, "service-unavailable");
    await refuses(`<iq type="get" id="x" to="a@${to}"><query xmlns="${SEARCH}"/></iq>`, "service-unavailable");
    await refuses(`<iq type="get" id="x" to="${to}/a"><query xmlns="${SEARCH}"/></iq>`, "service-unavailable");
    await refuses(`<iq type="set" id="x" to="${to}"><query xmlns="${INFO}"/></iq>`, "not-allowed");
    await refuses(`<iq type="set" id="x" to="${to}"><query xmlns="${ITEMS}"/></iq>`, "not-allowed");
    await refuses(`<iq type="set" id="x" to="${to}"><vCard xmlns="vcard-temp"/></iq>`, "not-allowed");
    await refuses(`<iq type="get" id="x" to="${to}"><query xmlns="${INFO}" node="n"/></iq>`, "item-not-found");
  });

  story("accounts that are gone are not found", { romeo: 1 }, async ({ romeo, server, actor, ...scene }) => {
    const name = word();
    const gone = await carded({ server, actor, ...scene }, await actor("gone"), `<FN>${name}</FN>`);
    expect(jids(await searches(romeo, { fn: name }))).toEqual([gone.bare]);
    expect(await server.node.removeUser(parseBareJid(gone.bare))).toBe(true);
    expect(jids(await searches(romeo, { fn: name }))).toEqual([]);
  });
});

describe("with a bound of one, at directory.@HOST@", () => {
  const { story } = stage({
    modules: {
      mod_vcard: { matches: 1, host: "directory.@HOST@" },
      mod_disco: {
        server_info: [
          { name: "abuse-addresses", urls: ["mailto:a@b"], modules: ["mod_vcard"] },
          { name: "sales-addresses", urls: ["mailto:c@d"], modules: ["mod_disco"] },
        ],
      },
    },
  });

  story(
    "XEP-0030: the directory is found",
    { romeo: 1 },
    async ({ romeo }) => {
      romeo.sends`<iq type="get" id="i" to="localhost"><query xmlns="${ITEMS}"/></iq>`;
      const items = await romeo.receives`<iq type="result" id="i"/>`;
      expect(named(find(items, "query")!, "item").map((i) => i.attrs["jid"])).toContain("directory.localhost");
      romeo.sends`<iq type="get" id="d" to="directory.localhost"><query xmlns="${INFO}"/></iq>`;
      const info = find(await romeo.receives`<iq type="result" id="d"/>`, "query")!;
      expect(named(info, "identity").map((i) => `${i.attrs["category"]}/${i.attrs["type"]}`)).toEqual([
        "directory/user",
      ]);
      expect(named(info, "feature").map((f) => f.attrs["var"])).toContain(SEARCH);
      // XEP-0157: the addresses that are told for it.
      const form = childOf(info, "x", "jabber:x:data")!;
      expect(named(form, "field").map((f) => f.attrs["var"])).toEqual(["FORM_TYPE", "abuse-addresses"]);
    },
    { covers: ["vcard_SUITE:search_in_service_discovery"] },
  );

  story(
    "no more are found than matches says",
    { romeo: 1 },
    async ({ romeo, actor, ...scene }) => {
      const doe = word();
      const people: string[] = [];
      for (const name of ["aliceb", "bobb"]) {
        people.push((await carded({ actor, ...scene }, await actor(name), `<N><FAMILY>${doe}</FAMILY></N>`)).bare);
      }
      const found = jids(await searches(romeo, { last: doe }, "", "directory.localhost"));
      expect(found).toHaveLength(1);
      expect(people).toContain(found[0]);
      expect(jids(await searches(romeo, {}, "", "directory.localhost"))).toEqual([]);
    },
    { covers: ["vcard_SUITE:search_some_limited", "vcard_SUITE:search_open_limited"] },
  );
});

describe("without searches", () => {
  const { story } = stage({ modules: { mod_vcard: { search: false } } });

  story(
    "there is no directory",
    { romeo: 1 },
    async ({ romeo }) => {
      romeo.sends`<iq type="get" id="i" to="localhost"><query xmlns="${ITEMS}"/></iq>`;
      const items = await romeo.receives`<iq type="result" id="i"/>`;
      expect(named(find(items, "query")!, "item").map((i) => i.attrs["jid"])).not.toContain("vjud.localhost");
      romeo.sends`<iq type="set" id="f" to="vjud.localhost"><query xmlns="${SEARCH}"><last>x</last></query></iq>`;
      await romeo.receives`<iq type="error" id="f"><error type="cancel"><remote-server-not-found xmlns="${NS_STANZAS}"/></error></iq>`;
    },
    { covers: ["vcard_SUITE:search_not_in_service_discovery", "vcard_SUITE:search_not_allowed"] },
  );
});

describe("with two domains", () => {
  // One address for the directories of all its domains.
  const modules = { mod_ping: {}, mod_presence: {}, mod_vcard: { host: "directory.example.org" } };
  const { story } = stage({
    general: { hosts: ["localhost"], host_types: ["dynamic"] },
    services: { service_domain_db: {} },
    modules: { mod_vcard: null },
    host_config: [{ host_type: "dynamic", modules }],
  });

  story("each is searched alone", { romeo: 1 }, async ({ romeo, server, actor, ...scene }) => {
    const domains = ["one.example", "two.example"];
    for (const domain of domains) await server.node.domains.add(domain, "dynamic");
    const name = word();
    for (const domain of domains) {
      const ann = await carded({ server, actor, ...scene }, await actor("ann", domain), `<FN>${name}</FN>`);
      expect(jids(await searches(ann, { fn: name }, "", "directory.example.org"))).toEqual([ann.bare]);
    }
    romeo.says(`<iq type="set" id="f" to="directory.example.org"><query xmlns="${SEARCH}"><last>x</last></query></iq>`);
    await romeo.hears(`<iq type="error" id="f">${error("forbidden")}</iq>`);
  });
});
