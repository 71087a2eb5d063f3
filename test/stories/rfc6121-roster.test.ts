// RFC 6121 §2 and §3: rosters and subscriptions, between real clients.
import { describe, expect } from "vitest";
import type { Client } from "../support/client.ts";
import { childOf, childrenOf, find, show } from "../support/match.ts";
import { type Absent, stage } from "../support/story.ts";

const NS_ROSTER = "jabber:iq:roster";
const NS_STANZAS = "urn:ietf:params:xml:ns:xmpp-stanzas";

const { story } = stage();

const pushOf = (item: string): string => `<iq type="set"><query xmlns="${NS_ROSTER}">${item}</query></iq>`;

/** A push with this item, which `c` acknowledges. */
async function pushed(c: Client, item: string): Promise<void> {
  const push = await c.hears(`<iq type="set" to="${c.full}"><query xmlns="${NS_ROSTER}">${item}</query></iq>`);
  expect(push.attrs["from"] ?? c.bare).toBe(c.bare);
  c.says(`<iq type="result" id="${push.attrs["id"]}"/>`);
}

const item = (jid: string, subscription: string, more = "", inner = ""): string =>
  inner === ""
    ? `<item jid="${jid}" subscription="${subscription}"${more}/>`
    : `<item jid="${jid}" subscription="${subscription}"${more}>${inner}</item>`;

async function gets(c: Client, items: string, attributes = ""): Promise<void> {
  c.says(`<iq type="get" id="roster"><query xmlns="${NS_ROSTER}"${attributes}/></iq>`);
  await c.hears(`<iq type="result" id="roster"><query xmlns="${NS_ROSTER}">${items}</query></iq>`);
}

async function adds(c: Client, other: Client | Absent, name = "Friend", group = "Verona"): Promise<void> {
  c.says(
    `<iq type="set" id="add"><query xmlns="${NS_ROSTER}"><item jid="${other.bare}" name="${name}"><group>${group}</group></item></query></iq>`,
  );
  await c.hears(
    `<iq type="set"><query xmlns="${NS_ROSTER}"><item jid="${other.bare}" name="${name}" subscription="none"><group>${group}</group></item></query></iq><iq type="result" id="add"/>`,
  );
}

describe("the roster", () => {
  story(
    "RFC 6121 §2.1.4: a new account's roster is empty",
    { romeo: 1 },
    async ({ romeo }) => {
      await gets(romeo, "");
    },
    { covers: ["presence_SUITE:get_roster"] },
  );

  story(
    "RFC 6121 §2.3: a contact is added; every interested session is told, and others are not",
    { romeo: 3, juliet: 0 },
    async ({ romeo: [laptop, phone, tablet], juliet }) => {
      await gets(laptop, "");
      await gets(phone, "");
      laptop.sends`<iq type="set" id="add"><query xmlns="${NS_ROSTER}"><item jid="${juliet.bare}" name="Juliet"><group>Capulets</group><group>Loved</group></item></query></iq>`;
      const juliets = item(juliet.bare, "none", ` name="Juliet"`, "<group>Capulets</group><group>Loved</group>");
      await laptop.receives`<iq type="result" id="add"/><iq type="set"><query xmlns="${NS_ROSTER}">${juliets}</query></iq>`;
      await pushed(phone, juliets);
      await gets(laptop, juliets);
      await tablet.receivesNothing();
    },
    { silent: true, covers: ["presence_SUITE:add_contact"] },
  );

  story("RFC 6121 §2.4: a contact is renamed and regrouped", { romeo: 1, juliet: 0 }, async ({ romeo, juliet }) => {
    await gets(romeo, "");
    await adds(romeo, juliet);
    romeo.sends`<iq type="set" id="u"><query xmlns="${NS_ROSTER}"><item jid="${juliet.bare}" name="Wife"/></query></iq>`;
    await romeo.receives`<iq type="result" id="u"/><iq type="set"><query xmlns="${NS_ROSTER}">${item(juliet.bare, "none", ` name="Wife"`)}</query></iq>`;
    await gets(romeo, item(juliet.bare, "none", ` name="Wife"`));
  });

  story(
    "RFC 6121 §2.5: a contact is removed; every interested session is told",
    { romeo: 2, juliet: 0 },
    async ({ romeo: [laptop, phone], juliet }) => {
      for (const c of [laptop, phone]) await gets(c, "");
      await adds(laptop, juliet);
      await pushed(phone, item(juliet.bare, "none", ` name="Friend"`, "<group>Verona</group>"));
      laptop.sends`<iq type="set" id="rm"><query xmlns="${NS_ROSTER}">${item(juliet.bare, "remove")}</query></iq>`;
      await laptop.receives`<iq type="result" id="rm"/><iq type="set"><query xmlns="${NS_ROSTER}">${item(juliet.bare, "remove")}</query></iq>`;
      await pushed(phone, item(juliet.bare, "remove"));
      await gets(laptop, "");
    },
    { covers: ["presence_SUITE:remove_contact"] },
  );

  story("RFC 6121 §2.5.3: removing who is not in the roster is item-not-found", { romeo: 1 }, async ({ romeo }) => {
    romeo.sends`<iq type="set" id="rm"><query xmlns="${NS_ROSTER}"><item jid="nobody@localhost" subscription="remove"/></query></iq>`;
    await romeo.receives`<iq type="error" id="rm"><error type="cancel"><item-not-found xmlns="${NS_STANZAS}"/></error></iq>`;
  });

  for (const [type, payload, covers] of [
    ["get", "", "presence_SUITE:fail_to_get_another_users_roster"],
    ["set", `<item jid="tybalt@localhost"/>`, "presence_SUITE:fail_to_add_contact_for_another_user"],
  ]) {
    story(
      `RFC 6121 §2.3.3: nobody can ${type} somebody else's roster`,
      { romeo: 1, juliet: 1 },
      async ({ romeo, juliet }) => {
        romeo.sends`<iq type="${type}" id="x" to="${juliet.bare}"><query xmlns="${NS_ROSTER}">${payload}</query></iq>`;
        const answer = await romeo.receives`<iq type="error" id="x" from="${juliet.bare}"/>`;
        expect(["forbidden", "service-unavailable", "not-allowed"]).toContain(
          childrenOf(find(answer, "error")!)[0].name,
        );
        await gets(juliet, "");
      },
      { covers: [covers] },
    );
  }

  for (const [what, items] of [
    ["two items", `<item jid="a@localhost"/><item jid="b@localhost"/>`],
    ["no item", ""],
    ["an item without a JID", "<item/>"],
    ["the same group twice", `<item jid="a@localhost"><group>G</group><group>G</group></item>`],
  ]) {
    story(`RFC 6121 §2.3.3: a roster set with ${what} is a bad-request`, { romeo: 1 }, async ({ romeo }) => {
      romeo.sends`<iq type="set" id="x"><query xmlns="${NS_ROSTER}">${items}</query></iq>`;
      await romeo.receives`<iq type="error" id="x"><error type="modify"><bad-request xmlns="${NS_STANZAS}"/></error></iq>`;
      await gets(romeo, "");
    });
  }

  story(
    "RFC 6121 §2.1.2.5: a client cannot give itself a subscription",
    { romeo: 1, juliet: 1 },
    async ({ romeo, juliet }) => {
      romeo.sends`<iq type="set" id="x"><query xmlns="${NS_ROSTER}"><item jid="${juliet.bare}" subscription="both"/></query></iq>`;
      await romeo.settles();
      await gets(romeo, item(juliet.bare, "none"));
      juliet.sends`<presence><show>away</show></presence>`;
      await juliet.settles();
      await romeo.receivesNothing();
    },
  );
});

describe("subscribing", () => {
  story(
    "RFC 6121 §3.1: a request, its approval, and what both rosters say at each step",
    { romeo: 1, juliet: 1 },
    async ({ romeo, juliet }) => {
      await gets(romeo, "");
      await gets(juliet, "");
      romeo.sends`<presence to="${juliet.bare}" type="subscribe" id="s1"><status>Please</status></presence>`;
      await pushed(romeo, item(juliet.bare, "none", ` ask="subscribe"`));
      await juliet.receives`<presence type="subscribe" from="${romeo.bare}" to="{any}"><status>Please</status></presence>`;
      juliet.sends`<presence to="${romeo.bare}" type="subscribed"/>`;
      await pushed(juliet, item(romeo.bare, "from"));
      await romeo.hears(`<presence type="subscribed" from="${juliet.bare}"/>${pushOf(item(juliet.bare, "to"))}`);
      await romeo.receives`<presence from="${juliet.full}" type="{none}"/>`;
      await romeo.receivesNothing();
      await juliet.receivesNothing();
      juliet.sends`<presence><show>away</show></presence>`;
      await romeo.receives`<presence from="${juliet.full}"><show>away</show></presence>`;
    },
    { covers: ["presence_SUITE:subscribe"] },
  );

  story(
    "RFC 6121 §3.1.3: a request from a full JID comes from the bare one",
    { romeo: 1, juliet: 1 },
    async ({ romeo, juliet }) => {
      romeo.sends`<presence to="${juliet.full}" type="subscribe"/>`;
      await juliet.receives`<presence type="subscribe" from="${romeo.bare}"/>`;
    },
  );

  story(
    "RFC 6121 §3.1.2: the request keeps name and groups of a contact that is in the roster",
    { romeo: 1, juliet: 1 },
    async ({ romeo, juliet }) => {
      await gets(romeo, "");
      await adds(romeo, juliet, "Love", "Capulets");
      romeo.sends`<presence to="${juliet.bare}" type="subscribe"/>`;
      await pushed(romeo, item(juliet.bare, "none", ` ask="subscribe" name="Love"`, "<group>Capulets</group>"));
      await juliet.receives`<presence type="subscribe" from="${romeo.bare}"/>`;
      juliet.sends`<presence to="${romeo.bare}" type="subscribed"/>`;
      await romeo.hears(
        `<presence type="subscribed" from="${juliet.bare}"/>${pushOf(item(juliet.bare, "to", ` name="Love"`, "<group>Capulets</group>"))}`,
      );
    },
    { covers: ["presence_SUITE:subscribe_preserves_extra_info"] },
  );

  story(
    "RFC 6121 §3.1.4: a request waits for who is not there, and comes again until it is answered",
    { romeo: 1, juliet: 0 },
    async ({ romeo, juliet }) => {
      romeo.sends`<presence to="${juliet.bare}" type="subscribe"><status>Please</status></presence>`;
      await romeo.settles();
      for (const resource of ["first", "second"]) {
        const her = await juliet.comes(resource);
        her.sends`<presence/>`;
        await her.receives`<presence from="${her.full}"/><presence type="subscribe" from="${romeo.bare}"/>`;
        await her.leaves();
      }
      const her = await juliet.comes();
      her.sends`<presence/>`;
      await her.receives`<presence from="${her.full}"/><presence type="subscribe" from="${romeo.bare}"/>`;
      her.sends`<presence to="${romeo.bare}" type="subscribed"/>`;
      await romeo.receives`<iq type="set"/><presence type="subscribed" from="${juliet.bare}"/><presence from="${her.full}"/>`;
      await her.leaves();
      const again = await juliet.comes();
      again.sends`<presence/>`;
      const came = await again.settles();
      expect(came.filter((e) => e.attrs["type"] === "subscribe")).toEqual([]);
    },
    { covers: ["presence_SUITE:subscribe_relog"] },
  );

  story(
    "RFC 6121 §3.2.1: a request is declined",
    { romeo: 1, juliet: 1 },
    async ({ romeo, juliet }) => {
      await gets(romeo, "");
      romeo.sends`<presence to="${juliet.bare}" type="subscribe"/>`;
      await pushed(romeo, item(juliet.bare, "none", ` ask="subscribe"`));
      await juliet.receives`<presence type="subscribe" from="${romeo.bare}"/>`;
      juliet.sends`<presence to="${romeo.bare}" type="unsubscribed"/>`;
      await romeo.hears(`<presence type="unsubscribed" from="${juliet.bare}"/>${pushOf(item(juliet.bare, "none"))}`);
      juliet.sends`<presence><show>away</show></presence>`;
      await juliet.settles();
      await romeo.receivesNothing();
    },
    { covers: ["presence_SUITE:subscribe_decline"] },
  );

  story(
    "RFC 6121 §3.1.3: asking again is not shown twice, and is approved at once when it was approved",
    { romeo: 1, juliet: 1 },
    async ({ romeo, juliet, befriend }) => {
      await befriend(romeo, juliet);
      romeo.sends`<presence to="${juliet.bare}" type="subscribe"/>`;
      await juliet.receivesNothing();
    },
  );

  story(
    "RFC 6121 §3: mutual subscription is 'both' in both rosters",
    { romeo: 1, juliet: 1 },
    async ({ romeo, juliet, befriend }) => {
      await befriend(romeo, juliet);
      await gets(romeo, item(juliet.bare, "both"));
      await gets(juliet, item(romeo.bare, "both"));
    },
    { covers: ["presence_SUITE:additions"] },
  );
});

describe("ending a subscription", () => {
  story(
    "RFC 6121 §3.3: unsubscribing",
    { romeo: 1, juliet: 1 },
    async ({ romeo, juliet, befriend }) => {
      await gets(romeo, "");
      await gets(juliet, "");
      await befriend(romeo, juliet);
      romeo.sends`<presence to="${juliet.bare}" type="unsubscribe"/>`;
      await romeo.receives`<iq type="set"><query xmlns="${NS_ROSTER}">${item(juliet.bare, "from")}</query></iq><presence type="unavailable" from="${juliet.full}"/>`;
      await juliet.receives`<iq type="set"><query xmlns="${NS_ROSTER}">${item(romeo.bare, "to")}</query></iq><presence type="unsubscribe" from="${romeo.bare}"/>`;
      juliet.sends`<presence><show>away</show></presence>`;
      await juliet.settles();
      await romeo.receivesNothing();
    },
    { covers: ["presence_SUITE:unsubscribe"] },
  );

  story("RFC 6121 §3.2: withdrawing an approval", { romeo: 1, juliet: 1 }, async ({ romeo, juliet, befriend }) => {
    await gets(romeo, "");
    await gets(juliet, "");
    await befriend(romeo, juliet);
    juliet.sends`<presence to="${romeo.bare}" type="unsubscribed"/>`;
    await juliet.receives`<iq type="set"><query xmlns="${NS_ROSTER}">${item(romeo.bare, "to")}</query></iq>`;
    await romeo.receives`<presence type="unavailable" from="${juliet.full}"/><iq type="set"><query xmlns="${NS_ROSTER}">${item(juliet.bare, "from")}</query></iq><presence type="unsubscribed" from="${juliet.bare}"/>`;
    romeo.sends`<presence><show>away</show></presence>`;
    await juliet.receives`<presence from="${romeo.full}"><show>away</show></presence>`;
  });

  story(
    "RFC 6121 §2.5.2: removing a contact ends both subscriptions",
    { romeo: 1, juliet: 1 },
    async ({ romeo, juliet, befriend }) => {
      await gets(romeo, "");
      await gets(juliet, "");
      await befriend(romeo, juliet);
      romeo.sends`<iq type="set" id="rm"><query xmlns="${NS_ROSTER}">${item(juliet.bare, "remove")}</query></iq>`;
      await romeo.receives`<iq type="result" id="rm"/><iq type="set"><query xmlns="${NS_ROSTER}">${item(juliet.bare, "remove")}</query></iq><presence type="unavailable" from="${juliet.full}"/>`;
      const came = await (async () => {
        await romeo.settled();
        return juliet.settles();
      })();
      expect(
        came
          .filter((e) => e.name === "presence")
          .map((e) => e.attrs["type"])
          .sort(),
      ).toEqual(["unavailable", "unsubscribe", "unsubscribed"]);
      await gets(juliet, item(romeo.bare, "none"));
      await gets(romeo, "");
    },
    { covers: ["presence_SUITE:remove_unsubscribe"] },
  );
});

describe("versioning", () => {
  for (const store_current_id of [false, true]) {
    describe(`store_current_id = ${store_current_id}`, () => {
      const { story } = stage({ modules: { mod_roster: { versioning: true, store_current_id } } });
      const version = async (c: Client, ver: string) => {
        c.says(`<iq type="get" id="v"><query xmlns="${NS_ROSTER}" ver="${ver}"/></iq>`);
        return c.hears(`<iq type="result" id="v"/>`);
      };

      story(
        "RFC 6121 §2.6: a roster that has not changed is not sent again; one that has is",
        { romeo: 1, juliet: 0 },
        async ({ romeo, juliet }) => {
          expect(childOf(romeo.features!, "ver", "urn:xmpp:features:rosterver")).toBeDefined();
          const first = childOf(await version(romeo, ""), "query")!;
          expect(first.attrs["ver"], show(first)).toBeDefined();
          expect(childOf(await version(romeo, first.attrs["ver"]), "query")).toBeUndefined();
          romeo.says(`<iq type="set" id="add"><query xmlns="${NS_ROSTER}"><item jid="${juliet.bare}"/></query></iq>`);
          const came = [await romeo.next(), await romeo.next()];
          const push = came.find((e) => e.attrs["type"] === "set")!;
          const ver = childOf(push, "query")!.attrs["ver"];
          expect(ver).toBeDefined();
          expect(ver).not.toBe(first.attrs["ver"]);
          expect(childOf(await version(romeo, ver), "query")).toBeUndefined();
          const changed = childOf(await version(romeo, first.attrs["ver"]), "query")!;
          expect(childrenOf(changed).length + (changed.attrs["ver"] === ver ? 0 : 100)).toBe(1);
        },
        { covers: [store_current_id ? "presence_SUITE:versioning" : "presence_SUITE:versioning_no_store"] },
      );
    });
  }
});
