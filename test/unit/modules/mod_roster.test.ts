import { beforeEach, describe, expect, test } from "vitest";
import type { SubscriptionLists } from "../../../core/hooks.ts";
import { parseBareJid } from "../../../core/jid.ts";
import modRoster, { rosterOf } from "../../../modules/mod_roster/index.ts";
import { type FakeClient, FakeServer } from "../../support/fake-server.ts";

const JULIET = parseBareJid("juliet@localhost");
const GET = "<iq type='get' id='get'><query xmlns='jabber:iq:roster'/></iq>";
const set = (items: string) => `<iq type='set' id='set'><query xmlns='jabber:iq:roster'>${items}</query></iq>`;
const answer = (query: string, id = "get") =>
  `<iq from='juliet@localhost' to='juliet@localhost/balcony' id='${id}' type='result'>${query}</iq>`;
const roster = (items = "", ver = "") => `<query xmlns='jabber:iq:roster'${ver}>${items}</query>`;
const push = (item: string, resource = "balcony") =>
  `<iq from='juliet@localhost' to='juliet@localhost/${resource}' type='set'>${roster(item)}</iq>`;
const NURSE = "<item jid='nurse@localhost' name='Nurse' subscription='none'><group>Servants</group></item>";

let server: FakeServer;
let juliet: FakeClient;

async function start(options: Record<string, unknown> = {}): Promise<void> {
  server = new FakeServer({ users: ["juliet", "romeo", "nurse"] });
  await server.startModule(modRoster, options);
  juliet = server.connect("juliet@localhost/balcony");
}

const lists = () => server.host.hooks.fold("roster_get_subscription_lists", { from: [], to: [] }, { jid: JULIET });

beforeEach(() => start());

describe("RFC 6121 §2.1: getting the roster", () => {
  test("an empty roster is an empty query, for one database query", async () => {
    server.db.log.length = 0;
    await juliet.sends(GET);
    juliet.hears(answer(roster()));
    expect(server.db.log).toHaveLength(1);
  });

  test("an empty roster is not read again while its owner is connected", async () => {
    await juliet.sends(GET);
    server.db.log.length = 0;
    await juliet.sends(GET);
    await lists();
    expect(server.db.log).toEqual([]);
  });

  test("items have name, subscription and groups, all read in one query", async () => {
    await juliet.sends(
      set("<item jid='nurse@localhost' name='Nurse'><group>Servants</group><group>A&amp;B</group></item>"),
    );
    await juliet.sends(set("<item jid='romeo@localhost'/>"));
    juliet.received();
    server.db.log.length = 0;
    await juliet.sends(GET);
    juliet.hears(
      answer(
        roster(
          `<item jid='nurse@localhost' name='Nurse' subscription='none'><group>A&amp;B</group><group>Servants</group></item>` +
            `<item jid='romeo@localhost' subscription='none'/>`,
        ),
      ),
    );
    expect(server.db.log).toHaveLength(1);
  });

  test("a name cannot break out of its attribute", async () => {
    await juliet.sends(set("<item jid='nurse@localhost' name='&apos; x=&apos;&lt;'/>"));
    juliet.received();
    await juliet.sends(GET);
    juliet.hears(answer(roster(`<item jid='nurse@localhost' name="' x='&lt;" subscription='none'/>`)));
  });

  test("§2.1.3: nobody gets another's roster", async () => {
    await juliet.sends("<iq type='get' id='1' to='romeo@localhost'><query xmlns='jabber:iq:roster'/></iq>");
    expect(juliet.received().join()).toContain("<forbidden");
  });

  test("gets are counted", async () => {
    await juliet.sends(GET, GET);
    expect(server.metric("mod_roster", "mod_roster_get_count")).toBe(2);
  });
});

describe("RFC 6121 §2.3: adding and changing an item", () => {
  test("the item is pushed, then the set is answered", async () => {
    await juliet.sends(set("<item jid='nurse@localhost' name='Nurse'><group>Servants</group></item>"));
    juliet.hears(push(NURSE), answer("", "set"));
  });

  test("§2.1.6: every interested resource gets the push, and nobody else", async () => {
    const chamber = server.connect("juliet@localhost/chamber");
    const silent = server.connect("juliet@localhost/silent");
    await chamber.sends(GET);
    chamber.received();
    await juliet.sends(set("<item jid='nurse@localhost' name='Nurse'><group>Servants</group></item>"));
    chamber.hears(push(NURSE, "chamber"));
    silent.hears();
  });

  test("§2.1.2.1: the client's word on subscription and ask does not count", async () => {
    await juliet.sends(set("<item jid='romeo@localhost' subscription='both' ask='subscribe'/>"));
    juliet.hears(push("<item jid='romeo@localhost' subscription='none'/>"), answer("", "set"));
  });

  test("§2.4: name and groups are replaced", async () => {
    await juliet.sends(set("<item jid='nurse@localhost' name='N'><group>a</group><group>b</group></item>"));
    await juliet.sends(set("<item jid='nurse@localhost'><group>c</group></item>"));
    juliet.received();
    await juliet.sends(GET);
    juliet.hears(answer(roster("<item jid='nurse@localhost' subscription='none'><group>c</group></item>")));
  });

  test("the contact's address is prepared", async () => {
    await juliet.sends(set("<item jid='NURSE@LOCALHOST'/>"));
    juliet.hears(push("<item jid='nurse@localhost' subscription='none'/>"), answer("", "set"));
  });

  test.each([
    ["no item", "", "bad-request"],
    ["two items", "<item jid='a@b'/><item jid='c@d'/>", "bad-request"],
    ["an item without jid", "<item name='x'/>", "bad-request"],
    ["a malformed jid", "<item jid='@@'/>", "jid-malformed"],
    ["a group named twice", "<item jid='a@b'><group>g</group><group>g</group></item>", "bad-request"],
    ["a group without a name", "<item jid='a@b'><group/></item>", "not-acceptable"],
    ["a name of over 1023 bytes", `<item jid='a@b' name='${"é".repeat(512)}'/>`, "not-acceptable"],
    ["a group of over 1023 bytes", `<item jid='a@b'><group>${"x".repeat(1024)}</group></item>`, "not-acceptable"],
  ])("§2.3.3: %s is refused", async (_what, items, condition) => {
    await juliet.sends(set(items));
    const [reply, ...more] = juliet.received();
    expect(more).toEqual([]);
    expect(reply).toContain(`<${condition} `);
    expect(await rosterOf(server.host)!.store.items(server, JULIET)).toEqual([]);
  });

  test("a roster cannot grow without end", async () => {
    const rows = Array.from({ length: 5000 }, (_, i) => ["localhost", "juliet", `c${i}@x`, "", "N", "N", ""]);
    const columns = ["server", "username", "jid", "nick", "subscription", "ask", "askmessage"];
    await server.db.insertMany("rosterusers", columns, rows);
    await juliet.sends(set("<item jid='one@more'/>"));
    expect(juliet.received().join()).toContain("<policy-violation ");
    await juliet.sends(set("<item jid='c5@x' name='still editable'/>"));
    expect(juliet.received().join()).toContain("type='result'");
  });
});

describe("RFC 6121 §2.5: removing an item", () => {
  test("the removal is pushed and answered", async () => {
    await juliet.sends(set("<item jid='nurse@localhost'><group>g</group></item>"));
    juliet.received();
    await juliet.sends(set("<item jid='nurse@localhost' subscription='remove'/>"));
    juliet.hears(push("<item jid='nurse@localhost' subscription='remove'/>"), answer("", "set"));
    expect(await server.db.query("SELECT * FROM rostergroups")).toEqual([]);
  });

  test("§2.5.3: what is not in the roster is not found", async () => {
    await juliet.sends(set("<item jid='nurse@localhost' subscription='remove'/>"));
    expect(juliet.received().join()).toContain("<item-not-found ");
  });
});

describe.each([{ store_current_id: true }, { store_current_id: false }])("RFC 6121 §2.6: versions, %j", (options) => {
  const versioned = async (known: string) => {
    await juliet.sends(`<iq type='get' id='get'><query xmlns='jabber:iq:roster' ver='${known}'/></iq>`);
    const [reply] = juliet.received();
    return { reply, ver: /<query[^>]* ver='([^']*)'/.exec(reply)?.[1] };
  };
  beforeEach(() => start({ versioning: true, ...options }));

  test("a client without a version gets the roster with one", async () => {
    expect((await versioned("")).ver).toMatch(/^.+$/);
  });

  test("a client that has the version gets nothing", async () => {
    const { ver } = await versioned("");
    expect((await versioned(ver!)).reply).toMatch(/type='result'><\/iq>$|type='result'\/>$/);
  });

  test("a change has another version, which its push carries", async () => {
    const { ver } = await versioned("");
    await juliet.sends(set("<item jid='nurse@localhost'/>"));
    const pushed = /<query[^>]* ver='([^']*)'/.exec(juliet.received()[0])?.[1];
    expect(pushed).not.toBe(ver);
    expect((await versioned(pushed!)).reply).not.toContain("<query");
    expect((await versioned(ver!)).reply).toContain("<item jid='nurse@localhost'");
  });

  test("a client that knows no versions sees none", async () => {
    await juliet.sends(GET);
    juliet.hears(answer(roster()));
  });
});

describe("RFC 6121 §2.6.1: the stream feature", () => {
  const features = async (authenticated: boolean) => {
    const params = { session: juliet, domain: "localhost", authenticated };
    return (await server.host.hooks.fold("c2s_stream_features", [], params)).map((f) => f.text);
  };
  test("is offered to authenticated clients", async () => {
    await start({ versioning: true });
    expect(await features(true)).toEqual(["<ver xmlns='urn:xmpp:features:rosterver'/>"]);
    expect(await features(false)).toEqual([]);
  });
  test("is not offered without versioning", async () => {
    expect(await features(true)).toEqual([]);
  });
});

describe("what is stored", () => {
  const letters = async (subscription: string, ask: string) => {
    const row = { server: "localhost", username: "juliet", jid: "romeo@localhost", nick: "R", askmessage: "" };
    await server.db.insertNew("rosterusers", { ...row, subscription, ask });
    const info = await server.host.hooks.fold(
      "roster_get_jid_info",
      { subscription: "none", ask: "none", groups: [], name: "" },
      { jid: JULIET, contact: parseBareJid("romeo@localhost") },
    );
    return `${info.subscription} ${info.ask}`;
  };
  test.each([
    ["B", "N", "both none"],
    ["T", "I", "to in"],
    ["F", "O", "from out"],
    ["N", "B", "none both"],
    ["N", "S", "none out"],
    ["N", "U", "none none"],
  ])("MongooseIM's letters %s and %s mean %s", async (subscription, ask, meaning) => {
    expect(await letters(subscription, ask)).toBe(meaning);
  });

  test("a contact that is unknown leaves the answer of others alone", async () => {
    const info = { subscription: "none", ask: "none", groups: [], name: "theirs" } as const;
    const contact = parseBareJid("stranger@x");
    expect(await server.host.hooks.fold("roster_get_jid_info", info, { jid: JULIET, contact })).toEqual(info);
  });

  test("personal data has MongooseIM's columns", async () => {
    await juliet.sends(set("<item jid='nurse@localhost' name='Nurse'><group>a</group><group>b</group></item>"));
    expect(await rosterOf(server.host)!.store.personalData(JULIET)).toEqual([
      {
        name: "roster",
        columns: ["jid", "name", "subscription", "ask", "groups", "askmessage", "xs"],
        rows: [["nurse@localhost", "Nurse", "none", "none", "a, b", "", ""]],
      },
    ]);
  });

  test("a removed domain leaves nothing", async () => {
    await juliet.sends(set("<item jid='nurse@localhost'><group>a</group></item>"));
    await server.removeDomain("localhost");
    for (const table of ["rosterusers", "rostergroups"]) {
      expect(await server.db.query(`SELECT * FROM ${table}`)).toEqual([]);
    }
    expect(await lists()).toEqual({ from: [], to: [] });
  });
});

describe("what is kept in memory", () => {
  const kept = () => rosterOf(server.host)!.store.kept;

  test("a roster is read once for many who ask at the same time", async () => {
    server.db.log.length = 0;
    await Promise.all([lists(), lists(), lists()]);
    expect(server.db.log).toHaveLength(1);
  });

  test("nothing of accounts that are not connected", async () => {
    const params = { jid: parseBareJid("romeo@localhost") };
    await server.host.hooks.fold("roster_get_subscription_lists", { from: [], to: [] }, params);
    expect(kept()).toBe(0);
  });

  test("nothing after the last session has ended", async () => {
    const chamber = server.connect("juliet@localhost/chamber");
    await lists();
    await juliet.ends();
    expect(kept()).toBe(1);
    await chamber.ends();
    expect(kept()).toBe(0);
  });

  test("users without contacts share their empty lists", async () => {
    const romeo = parseBareJid("romeo@localhost");
    server.connect("romeo@localhost/orchard");
    const theirs = (await server.host.hooks.fold(
      "roster_get_subscription_lists",
      { from: [], to: [] },
      { jid: romeo },
    )) as SubscriptionLists;
    expect((await lists()).from).toBe(theirs.from);
  });
});
