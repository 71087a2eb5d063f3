// An account that goes in the middle of what it does leaves nothing to the next one of its name.
import { expect } from "vitest";
import { makeBare } from "../../core/jid.ts";
import type { Client } from "../support/client.ts";
import { item, Pubsub, publishing } from "../support/pubsub.ts";
import { stage } from "../support/story.ts";
import { tableNames } from "../support/table-names.ts";

const anonymous = stage({
  auth: { methods: ["anonymous"], anonymous: { protocol: "login_anon" }, internal: null, password: null },
  modules: {
    mod_adhoc: {},
    mod_caps: {},
    mod_pubsub: {},
    mod_vcard: {},
    mod_privacy: {},
    mod_blocking: {},
    mod_spam_reporting: {},
    mod_offline: {},
    mod_smart_markers: { backend: "rdbms" },
    mod_offline_chatmarkers: {},
    mod_invites: {},
  },
});

anonymous.story(
  "an anonymous user leaves nothing to the next one of his name",
  {},
  async ({ server, door, stranger }) => {
    const [c, other] = [stranger("romeo"), stranger("juliet")];
    await other.logsIn(server.target(door));
    await c.logsIn(server.target(door));
    await fills(c, other);
    // Away, and written to.
    c.says(`<presence><priority>-1</priority></presence>`);
    await c.settles();
    other.says(`<message to="${c.bare}" type="chat" id="o"><body>x</body></message>`);
    other.says(
      `<message to="${c.bare}" type="chat" id="p"><displayed xmlns="urn:xmpp:chat-markers:0" id="1"/></message>`,
    );
    await other.settles();
    expect((await traces(server, c)).length).toBeGreaterThan(5);
    await c.leaves();
    await new Promise((resolve) => setTimeout(resolve, 300));
    // His message waits for somebody else.
    expect(await traces(server, c)).toEqual(["offline_message"]);
    await other.leaves();
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(await traces(server, c)).toEqual([]);
  },
);

const { story } = stage({
  modules: {
    mod_caps: {},
    mod_pubsub: {},
    mod_pubsub_old: {},
    mod_vcard: {},
    mod_privacy: {},
    mod_blocking: {},
    mod_offline: {},
    mod_smart_markers: { backend: "rdbms" },
    mod_offline_chatmarkers: {},
  },
});
const jidOf = (c: Client) => makeBare(c.local, c.domain);

/** Rows of the database that name the account, by table. */
async function traces(server: Parameters<Parameters<typeof story>[2]>[0]["server"], c: Client): Promise<string[]> {
  const found = new Set<string>();
  for (const backend of ["rdbms", undefined]) {
    const db = server.node.db(backend);
    for (const name of await tableNames(db)) {
      const rows = await db.query<Record<string, unknown>>(`SELECT * FROM ${name}`);
      for (const row of rows) {
        const values = Object.values(row).map(String);
        if (values.includes(c.local) || values.some((v) => v === c.bare || v.startsWith(`${c.bare}/`))) found.add(name);
      }
    }
  }
  return [...found].sort();
}

/** Everything that a user can leave behind. */
async function fills(c: Client, juliet: Client): Promise<void> {
  c.says("<presence/>");
  c.says(`<iq type="set" id="v"><vCard xmlns="vcard-temp"><FN>Romeo</FN></vCard></iq>`);
  c.says(`<iq type="set" id="p"><query xmlns="jabber:iq:private"><x xmlns="urn:x"/></query></iq>`);
  new Pubsub(c, c.bare).asks("set", publishing("urn:node", item("1")));
  c.says(`<iq type="set" id="r"><query xmlns="jabber:iq:roster"><item jid="x@y"><group>g</group></item></query></iq>`);
  c.says(`<iq type="set" id="b"><block xmlns="urn:xmpp:blocking"><item jid="x@y"/></block></iq>`);
  c.says(
    `<message to="${juliet.bare}" type="chat"><body>x</body><displayed xmlns="urn:xmpp:chat-markers:0" id="1"/></message>`,
  );
  c.says(
    `<iq type="set" id="i" to="${c.domain}"><command xmlns="http://jabber.org/protocol/commands" node="urn:xmpp:invite#invite"/></iq>`,
  );
  c.says(`<presence to="someone@localhost" type="subscribe"/>`);
  await c.settles();
}

for (const inBand of [false, true])
  story(
    `what is on its way when the account is removed (${inBand ? "by its owner" : "by an administrator"}) is nobody's`,
    { juliet: 1 },
    async ({ juliet, actor, another, server, door }) => {
      for (let n = 0; n < 5; n++) {
        const c = await (await actor("romeo")).logsIn(server.target(door));
        await c.comesOnline();
        await c.managesStream();
        const second = await another(c).logsIn(server.target(door), "second");
        for (let m = 0; m < 10; m++)
          juliet.says(`<message to="${c.full}" type="chat" id="m${m}"><body>${m}</body></message>`);
        await juliet.settled();
        c.says(`<iq type="set" id="v"><vCard xmlns="vcard-temp"><FN>Romeo</FN></vCard></iq>`);
        c.says(`<iq type="set" id="p"><query xmlns="jabber:iq:private"><x xmlns="urn:x"/></query></iq>`);
        new Pubsub(c, c.bare).asks("set", publishing(`urn:n${n}`, item("1")));
        new Pubsub(c, "pubsub.localhost").asks("set", `<create node="n${n}-${door}-${inBand}"/>`);
        c.says(
          `<iq type="set" id="r"><query xmlns="jabber:iq:roster"><item jid="x@y"><group>g</group></item></query></iq>`,
        );
        c.says(`<iq type="set" id="b"><block xmlns="urn:xmpp:blocking"><item jid="x@y"/></block></iq>`);
        c.says(
          `<message to="${juliet.bare}" type="chat"><body>x</body><displayed xmlns="urn:xmpp:chat-markers:0" id="1"/></message>`,
        );
        c.says(`<presence to="someone@localhost" type="subscribe"/>`);
        second.says(`<iq type="set" id="p"><query xmlns="jabber:iq:private"><x xmlns="urn:y"/></query></iq>`);
        second.says(`<iq type="set" id="v"><vCard xmlns="vcard-temp"><FN>R</FN></vCard></iq>`);
        new Pubsub(second, c.bare).asks("set", publishing(`urn:m${n}`, item("1")));
        // Some of it is done by then.
        await new Promise((resolve) => setTimeout(resolve, n * 3));
        if (n === 4) await expect.poll(async () => (await traces(server, c)).length).toBeGreaterThan(5);
        if (inBand) {
          second.says(`<iq type="set" id="rm"><query xmlns="jabber:iq:register"><remove/></query></iq>`);
          await second.skipsTo((e) => e.name === "error");
          await new Promise((resolve) => setTimeout(resolve, 100));
        } else await server.node.removeUser(jidOf(c));
        await new Promise((resolve) => setTimeout(resolve, 200));
        expect(await traces(server, c)).toEqual([]);
        c.tally.assertions++;
      }
    },
  );

const invited = stage({
  general: { registration_timeout: "infinity" },
  access: { register: [{ acl: "all", value: "deny" }] },
  modules: {
    mod_adhoc: {},
    mod_invites: { account_access: "all" },
    mod_register: { access: "register" },
    mod_caps: {},
    mod_pubsub: {},
  },
});

for (const before of [true, false])
  invited.story(
    `XEP-0445: an invitation whose inviter goes ${before ? "before" : "after"} it is used brings nobody a contact who is none`,
    { romeo: 1 },
    async ({ romeo, graphql, stranger, server, door }) => {
      const made = (await graphql.ctl.calls("invite.createInvite", { domain: "localhost", inviter: romeo.local }))
        .value as { uri: string };
      const token = /preauth=([0-9a-z]+)/i.exec(made.uri)![1];
      const guest = stranger("guest");
      await guest.connects(server.target(door));
      await guest.opens();
      const says = async (id: string, payload: string) => {
        guest.says(`<iq type="set" id="${id}" to="localhost">${payload}</iq>`);
        return (await guest.skipsTo((e) => e.attrs["id"] === id)).attrs["type"];
      };
      expect(await says("p", `<preauth xmlns="urn:xmpp:pars:0" token="${token}"/>`)).toBe("result");
      if (before) expect(await server.node.removeUser(jidOf(romeo))).toBe(true);
      const answer = await says(
        "r",
        `<query xmlns="jabber:iq:register"><username>${guest.local}</username><password>secret</password></query>`,
      );
      expect(answer).toBe(before ? "error" : "result");
      expect(await server.node.hostOf("localhost")!.auth.exists(guest.local, "localhost")).toBe(!before);
      if (!before) expect(await server.node.removeUser(jidOf(romeo))).toBe(true);
      await new Promise((resolve) => setTimeout(resolve, 100));
      // The contact stays in the guest's roster, without a subscription to somebody who may be another one tomorrow.
      const rows = await server.db.query<{ jid: string; subscription: string }>(
        "SELECT jid, subscription FROM rosterusers WHERE jid = ? OR username = ?",
        [romeo.bare, romeo.local],
      );
      expect(rows.map((row) => row.subscription)).toEqual(before ? [] : ["N"]);
      romeo.tally.assertions++;
    },
  );
