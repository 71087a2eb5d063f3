// Features of several host types, and domains that come and go, with all that is kept in memory for them.
import { describe, expect } from "vitest";
import type { Client } from "../support/client.ts";
import { childrenOf, type XElement } from "../support/match.ts";
import { blocks } from "../support/privacy.ts";
import { Pubsub, wantsEvents } from "../support/pubsub.ts";
import { stage } from "../support/story.ts";

const NODE = "urn:interplay";
const ITEMS = "http://jabber.org/protocol/disco#items";
const ADMIN = "http://jabber.org/protocol/admin";
const COMMANDS = "http://jabber.org/protocol/commands";

function all(e: XElement, name: string): XElement[] {
  return [...(e.name === name ? [e] : []), ...childrenOf(e).flatMap((c) => all(c, name))];
}

describe("dynamic domains", () => {
  const { story } = stage({
    general: { hosts: ["localhost"], host_types: ["full", "bare"] },
    services: { service_domain_db: {} },
    acl: { admin: [{ user_glob: "boss*" }] },
    access: { configure: [{ acl: "admin", value: "allow" }] },
    modules: {
      mod_caps: {},
      mod_pubsub: {},
      mod_pubsub_old: {},
      mod_privacy: {},
      mod_blocking: {},
      mod_vcard: { host: "vjud.@HOST@" },
      mod_adhoc: {},
      mod_service_admin: {},
      mod_smart_markers: { backend: "rdbms" },
      mod_invites: {},
    },
    host_config: [{ host_type: "bare", modules: { mod_roster: {}, mod_presence: {}, mod_disco: {} } }] as never,
  });
  let n = 0;
  const name = () => `r${process.pid}-${++n}.example`;

  story("a domain that is removed and made again remembers nothing", {}, async ({ server, door, stranger }) => {
    const domain = name();
    const { domains } = server.node;
    for (let round = 0; round < 2; round++) {
      await domains.add(domain, "full");
      const [romeo, juliet] = await Promise.all(
        ["romeo", "juliet"].map(async (local) => {
          const c = stranger(local, domain);
          c.account.local = local;
          await server.addAccount(local, domain, "secret");
          await c.logsIn(server.target(door), "r");
          return c.comesOnline();
        }),
      );
      const own = new Pubsub(romeo, romeo.bare);
      // Nothing of the round before.
      await own.refused("get", `<items node="${NODE}"/>`, ["cancel", "item-not-found"]);
      romeo.says(`<iq type="get" id="r"><query xmlns="jabber:iq:roster"/></iq>`);
      expect(all(await romeo.hears(`<iq type="result" id="r"/>`), "item")).toEqual([]);
      romeo.says(`<iq type="get" id="b"><blocklist xmlns="urn:xmpp:blocking"/></iq>`);
      expect(all(await romeo.hears(`<iq type="result" id="b"/>`), "item")).toEqual([]);
      romeo.says(`<iq type="get" id="v"><vCard xmlns="vcard-temp"/></iq>`);
      await romeo.hears(`<iq type="error" id="v"/>`);
      romeo.says(`<iq type="get" id="p"><query xmlns="jabber:iq:private"><x xmlns="urn:mine"/></query></iq>`);
      expect(childrenOf(all(await romeo.hears(`<iq type="result" id="p"/>`), "x")[0])).toEqual([]);
      romeo.says(`<iq type="get" id="s" to="vjud.${domain}"><query xmlns="jabber:iq:search"/></iq>`);
      await romeo.hears(`<iq type="result" id="s"/>`);
      romeo.says(
        `<iq type="set" id="s" to="vjud.${domain}"><query xmlns="jabber:iq:search"><nick>Romeo</nick></query></iq>`,
      );
      expect(all(await romeo.hears(`<iq type="result" id="s"/>`), "item")).toEqual([]);
      await new Pubsub(romeo, `pubsub.${domain}`).refused("get", `<items node="${NODE}"/>`, [
        "cancel",
        "item-not-found",
      ]);
      // It fills.
      await own.publish(NODE, "1");
      await new Pubsub(romeo, `pubsub.${domain}`).create(NODE);
      romeo.says(`<presence to="${juliet.bare}" type="subscribe"/>`);
      await romeo.settles();
      await juliet.settles();
      await blocks(romeo, "block", "enemy@example.org");
      romeo.says(`<iq type="set" id="v"><vCard xmlns="vcard-temp"><NICKNAME>Romeo</NICKNAME></vCard></iq>`);
      await romeo.skipsTo((e) => e.attrs["id"] === "v");
      romeo.says(`<iq type="set" id="p"><query xmlns="jabber:iq:private"><x xmlns="urn:mine"><y/></x></query></iq>`);
      await romeo.hears(`<iq type="result" id="p"/>`);
      // Out of service: its services too; then back, with everything.
      await domains.setEnabled(domain, false);
      await romeo.skipsTo((e) => e.name === "error");
      const other = stranger("other");
      await server.addAccount(other.local, "localhost", "secret");
      await other.logsIn(server.target(door));
      for (const to of [domain, `vjud.${domain}`, `pubsub.${domain}`, `romeo@${domain}`]) {
        other.says(`<iq type="get" id="d" to="${to}"><query xmlns="${ITEMS}"/></iq>`);
        await other.hears(
          `<iq type="error" id="d"><error><remote-server-not-found xmlns="urn:ietf:params:xml:ns:xmpp-stanzas"/></error></iq>`,
        );
      }
      await domains.setEnabled(domain, true);
      const back = stranger("romeo", domain);
      back.account.local = "romeo";
      await back.logsIn(server.target(door), "r");
      expect(await new Pubsub(back, back.bare).items(NODE)).toEqual(["1"]);
      await domains.remove(domain, "full", true);
      await back.skipsTo((e) => e.name === "error");
    }
  });

  story("an administrator of one domain has no commands at another", {}, async ({ server, door, stranger, actor }) => {
    const [here, there] = [name(), name()];
    for (const d of [here, there]) await server.node.domains.add(d, "full");
    const boss = stranger("boss", here);
    await server.addAccount(boss.local, here, "secret");
    await boss.logsIn(server.target(door));
    const victim = await actor("victim", there);
    for (const [to, able] of [
      [here, true],
      [there, false],
      ["localhost", false],
    ] as const) {
      boss.says(`<iq type="get" id="d" to="${to}"><query xmlns="${ITEMS}" node="${COMMANDS}"/></iq>`);
      const answer = await boss.skipsTo((e) => e.attrs["id"] === "d");
      const admin = all(answer, "item").filter((e) => e.attrs["node"]?.startsWith(ADMIN));
      expect([to, admin.length > 0]).toEqual([to, able]);
      boss.says(`<iq type="set" id="c" to="${to}"><command xmlns="${COMMANDS}" node="${ADMIN}#delete-user"/></iq>`);
      await boss.hears(`<iq type="${able ? "result" : "error"}" id="c"/>`);
    }
    boss.says(`<iq type="set" id="c" to="${here}"><command xmlns="${COMMANDS}" node="${ADMIN}#delete-user"/></iq>`);
    const id = all(await boss.hears(`<iq type="result" id="c"/>`), "command")[0].attrs["sessionid"];
    const form = `<x xmlns="jabber:x:data" type="submit"><field var="FORM_TYPE"><value>${ADMIN}</value></field><field var="accountjids"><value>${victim.bare}</value></field></x>`;
    // A run that was begun here does not go on there.
    for (const to of [there, here]) {
      boss.says(
        `<iq type="set" id="c" to="${to}"><command xmlns="${COMMANDS}" node="${ADMIN}#delete-user" sessionid="${id}">${form}</command></iq>`,
      );
      await boss.hears(`<iq type="error" id="c"/>`);
    }
    await victim.logsIn(server.target(door));
  });

  story(
    "a host type without a feature has nothing of it, whatever another one has",
    {},
    async ({ server, door, stranger }) => {
      const [here, there] = [name(), name()];
      await server.node.domains.add(here, "full");
      await server.node.domains.add(there, "bare");
      const [romeo, juliet] = [stranger("romeo", here), stranger("juliet", there)] as [Client, Client];
      for (const c of [romeo, juliet]) {
        await server.addAccount(c.local, c.domain, "secret");
        await c.logsIn(server.target(door));
        await c.comesOnline();
      }
      for (const payload of [
        `<query xmlns="jabber:iq:private"><x xmlns="urn:x"/></query>`,
        `<blocklist xmlns="urn:xmpp:blocking"/>`,
        `<pubsub xmlns="http://jabber.org/protocol/pubsub"><items node="${NODE}"/></pubsub>`,
        `<vCard xmlns="vcard-temp"/>`,
      ]) {
        juliet.says(`<iq type="get" id="x">${payload}</iq>`);
        await juliet.hears(
          `<iq type="error" id="x"><error type="cancel"><service-unavailable xmlns="urn:ietf:params:xml:ns:xmpp-stanzas"/></error></iq>`,
        );
      }
      for (const to of [`vjud.${there}`, `pubsub.${there}`]) {
        juliet.says(`<iq type="get" id="x" to="${to}"><query xmlns="${ITEMS}"/></iq>`);
        await juliet.hears(
          `<iq type="error" id="x"><error><remote-server-not-found xmlns="urn:ietf:params:xml:ns:xmpp-stanzas"/></error></iq>`,
        );
      }
      juliet.says(`<iq type="get" id="x" to="${there}"><query xmlns="${ITEMS}"/></iq>`);
      expect(all(await juliet.hears(`<iq type="result" id="x"/>`), "item")).toEqual([]);
      // A directory shows a domain's own users only, to whoever asks.
      romeo.says(`<iq type="set" id="v"><vCard xmlns="vcard-temp"><NICKNAME>${romeo.local}</NICKNAME></vCard></iq>`);
      await romeo.hears(`<iq type="result" id="v"/>`);
      juliet.says(
        `<iq type="set" id="s" to="vjud.${here}"><query xmlns="jabber:iq:search"><nick>${romeo.local}</nick></query></iq>`,
      );
      expect(all(await juliet.hears(`<iq type="result" id="s"/>`), "item").map((e) => e.attrs["jid"])).toEqual([
        romeo.bare,
      ]);
      juliet.says(
        `<iq type="set" id="s" to="vjud.localhost"><query xmlns="jabber:iq:search"><nick>${romeo.local}</nick></query></iq>`,
      );
      expect(all(await juliet.hears(`<iq type="result" id="s"/>`), "item")).toEqual([]);
    },
  );
});

describe("a domain that is named as a service of another would be", () => {
  const { story } = stage({
    general: { hosts: ["localhost", "pubsub.localhost"] },
    modules: { mod_caps: {}, mod_pubsub: {}, mod_pubsub_old: {} },
  });

  story("is itself, and the other has no such service", {}, async ({ actor, server, door }) => {
    const romeo = await (await actor("romeo")).logsIn(server.target(door));
    const juliet = await (await actor("juliet", "pubsub.localhost")).logsIn(server.target(door));
    await juliet.comesOnline();
    await romeo.comesOnline();
    romeo.says(`<message to="${juliet.bare}" type="chat" id="m"><body>Hi</body></message>`);
    await juliet.hears(`<message id="m"/>`);
    await new Pubsub(juliet, juliet.bare).publish(NODE, "1");
    romeo.says(`<iq type="get" id="i" to="localhost"><query xmlns="${ITEMS}"/></iq>`);
    const listed = all(await romeo.hears(`<iq type="result" id="i"/>`), "item").map((e) => e.attrs["jid"]);
    expect(listed).not.toContain("pubsub.localhost");
    juliet.says(`<iq type="get" id="i" to="pubsub.localhost"><query xmlns="${ITEMS}"/></iq>`);
    const own = all(await juliet.hears(`<iq type="result" id="i"/>`), "item").map((e) => e.attrs["jid"]);
    expect(own).toContain("pubsub.pubsub.localhost");
    await new Pubsub(juliet, "pubsub.pubsub.localhost").create(`${NODE}:${door}`);
  });
});

describe("contacts of two static domains, each a host type of its own", () => {
  for (const module of ["mod_pubsub", "mod_pubsub_old"] as const) {
    describe(module, () => {
      const { story } = stage({
        general: { hosts: ["localhost", "verona.example"] },
        modules: { mod_caps: {}, [module]: module === "mod_pubsub" ? {} : { plugins: ["flat", "pep"] } },
      });

      story(
        "XEP-0163 §4.3.4: events and newest items come from there as from here",
        {},
        async ({ actor, another, server, door, befriend }) => {
          const romeo = await (await (await actor("romeo")).logsIn(server.target(door))).comesOnline();
          const juliet = await (
            await (await actor("juliet", "verona.example")).logsIn(server.target(door))
          ).comesOnline();
          await befriend(romeo, juliet);
          const own = new Pubsub(romeo, romeo.bare);
          await own.publish(NODE, "1");
          const phone = await another(juliet).logsIn(server.target(door), "phone");
          await wantsEvents(phone, NODE);
          await phone.skipsTo((e) => e.name === "message" && e.attrs["from"] === romeo.bare);
          await phone.settles();
          await romeo.settles();
          await own.publish(NODE, "2");
          await phone.hears(`<message from="${romeo.bare}"/>`);
          await romeo.settles();
          romeo.says(`<presence to="${juliet.bare}" type="unsubscribed"/>`);
          await romeo.settles();
          const tablet = await another(juliet).logsIn(server.target(door), "tablet");
          await wantsEvents(tablet, NODE);
          await new Promise((resolve) => setTimeout(resolve, 150));
          expect((await tablet.settles()).filter((e) => e.name === "message")).toEqual([]);
        },
      );
    });
  }
});
