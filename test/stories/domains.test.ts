// Host types and domains: which features a domain has, what it shares with others (nothing), and domains that come and
// go while the server runs.
import { describe, expect } from "vitest";
import { parseBareJid } from "../../core/jid.ts";
import { plain } from "../support/client.ts";
import { stage } from "../support/story.ts";

const NS_STANZAS = "urn:ietf:params:xml:ns:xmpp-stanzas";

describe("static hosts", () => {
  const { story } = stage({
    general: { hosts: ["localhost", "verona.example"] },
    host_config: [{ host: "verona.example", modules: { mod_ping: {}, mod_roster: {}, mod_presence: {} } }] as never,
  });

  story("each host type has its own features", {}, async ({ actor, server, door }) => {
    const here = await (await actor("romeo")).logsIn(server.target(door));
    const there = await (await actor("romeo", "verona.example")).logsIn(server.target(door));
    for (const [c, type] of [
      [here, "result"],
      [there, "error"],
    ] as const) {
      c.says(`<iq type="get" id="v" to="${c.domain}"><query xmlns="jabber:iq:version"/></iq>`);
      await c.hears(`<iq type="${type}" id="v" from="${c.domain}"/>`);
    }
  });

  story("the same name on two domains is two people", {}, async ({ stranger, server, door }) => {
    const here = stranger("romeo", "localhost");
    const there = stranger("romeo", "verona.example");
    there.account.local = here.local;
    await server.addAccount(here.local, "localhost", "one");
    await server.addAccount(here.local, "verona.example", "two");
    here.account.password = "two";
    await here.connects(server.target(door));
    await here.opens();
    here.sendsRaw(plain(here.local, "two"));
    await here.receives`<failure xmlns="urn:ietf:params:xml:ns:xmpp-sasl"><not-authorized/></failure>`;
    here.sendsRaw(plain(here.local, "one"));
    await here.receives`<success xmlns="urn:ietf:params:xml:ns:xmpp-sasl"/>`;
    await here.opens();
    await here.binds("r");
    there.account.password = "two";
    await there.logsIn(server.target(door), "r");
    for (const c of [here, there]) await c.comesOnline();
    await here.receivesNothing();
    here.says(`<message to="${there.bare}" type="chat"><body>Namesake?</body></message>`);
    await there.receives`<message from="${here.full}" to="${there.bare}"><body>Namesake?</body></message>`;
    await here.receivesNothing();
  });

  story("users of two domains befriend each other", {}, async ({ actor, server, door, befriend }) => {
    const here = await (await actor("romeo")).logsIn(server.target(door));
    const there = await (await actor("juliet", "verona.example")).logsIn(server.target(door));
    for (const c of [here, there]) await c.comesOnline();
    await befriend(here, there);
    there.sends`<presence><show>dnd</show></presence>`;
    await here.receives`<presence from="${there.full}"><show>dnd</show></presence>`;
  });
});

describe("dynamic domains", () => {
  const { story } = stage({
    general: { hosts: ["localhost"], host_types: ["plain", "silent"] },
    services: { service_domain_db: {} },
    host_config: [{ host_type: "silent", modules: { mod_roster: {}, mod_presence: {} } }] as never,
  });
  let n = 0;
  const name = () => `d${++n}.example`;

  story(
    "a domain that is added serves at once, with the features of its host type",
    {},
    async ({ actor, stranger, server, door }) => {
      const domain = name();
      const early = await stranger("x", domain).connects(server.target(door));
      early.sendsHeader(domain);
      await early.receivesStreamError("host-unknown");
      expect(await server.node.domains.add(domain, "plain")).toMatchObject({ status: "ENABLED" });
      const c = await (await actor("romeo", domain)).logsIn(server.target(door));
      c.says(`<iq type="get" id="v" to="${domain}"><query xmlns="jabber:iq:version"/></iq>`);
      await c.hears(`<iq type="result" id="v" from="${domain}"/>`);
      const other = name();
      await server.node.domains.add(other, "silent");
      const d = await (await actor("romeo", other)).logsIn(server.target(door));
      d.says(`<iq type="get" id="v" to="${other}"><query xmlns="jabber:iq:version"/></iq>`);
      await d.hears(`<iq type="error" id="v" from="${other}"/>`);
    },
    {
      covers: [
        "dynamic_domains_SUITE:can_authenticate",
        "dynamic_domains_SUITE:iq_handling_for_domain",
        "service_domain_db_SUITE:db_inserted_domain_is_in_core",
      ],
    },
  );

  story(
    "users of a dynamic domain talk, among themselves and with others",
    { juliet: 1 },
    async ({ juliet, actor, server, door }) => {
      const domain = name();
      await server.node.domains.add(domain, "plain");
      const a = await (await actor("romeo", domain)).logsIn(server.target(door));
      const b = await (await actor("mercutio", domain)).logsIn(server.target(door));
      a.says(`<message to="${b.full}" type="chat"><body>1</body></message>`);
      await b.receives`<message from="${a.full}"><body>1</body></message>`;
      a.says(`<message to="${juliet.full}" type="chat"><body>2</body></message>`);
      await juliet.receives`<message from="${a.full}"><body>2</body></message>`;
    },
    { covers: ["dynamic_domains_SUITE:pm_messages"] },
  );

  story(
    "RFC 6120 §4.9.3.6: disabling a domain ends its sessions with host-gone, and nobody comes back until it is enabled",
    { juliet: 1 },
    async ({ juliet, actor, another, server, door }) => {
      const domain = name();
      await server.node.domains.add(domain, "plain");
      const c = await (await actor("romeo", domain)).logsIn(server.target(door));
      const negotiating = await another(c).connects(server.target(door));
      await negotiating.opens();
      await server.node.domains.setEnabled(domain, false);
      await c.receivesStreamError("host-gone");
      await negotiating.receivesStreamError("host-gone");
      const late = await another(c).connects(server.target(door));
      late.sendsHeader(domain);
      await late.receivesStreamError("host-unknown");
      juliet.says(`<message to="${c.bare}" type="chat" id="m"><body>Hello?</body></message>`);
      await juliet.receives`<message type="error" id="m"/>`;
      await server.node.domains.setEnabled(domain, true);
      const back = await another(c).logsIn(server.target(door));
      await back.receivesNothing();
    },
    {
      covers: [
        "dynamic_domains_SUITE:disconnected_on_domain_disabling",
        "dynamic_domains_SUITE:no_route",
        "service_domain_db_SUITE:db_disabled_domain_not_in_core",
        "service_domain_db_SUITE:db_reenabled_domain_is_in_core",
      ],
    },
  );

  story(
    "a removed domain takes its accounts and their data with it",
    { juliet: 1 },
    async ({ juliet, actor, another, server, door }) => {
      const domain = name();
      await server.node.domains.add(domain, "plain");
      const c = await (await actor("romeo", domain)).logsIn(server.target(door));
      const absent = await actor("mercutio", domain);
      await c.comesOnline();
      for (const payload of [
        `<query xmlns="jabber:iq:private"><a xmlns="urn:a">secret</a></query>`,
        `<vCard xmlns="vcard-temp"><FN>Romeo</FN></vCard>`,
        `<query xmlns="jabber:iq:roster"><item jid="${juliet.bare}"/></query>`,
      ]) {
        c.says(`<iq type="set" id="s">${payload}</iq>`);
        await c.skipsTo((e) => e.attrs["id"] === "s" && e.attrs["type"] === "result");
      }
      c.says(`<message to="${absent.bare}" type="chat"><body>Kept</body></message>`);
      await c.settles();
      await server.node.domains.remove(domain, "plain", true);
      await c.receivesStreamError("host-gone");
      await server.node.domains.add(domain, "plain");
      const again = await another(c).connects(server.target(door));
      await again.opens();
      again.sendsRaw(plain(c.local, c.account.password));
      await again.receives`<failure xmlns="urn:ietf:params:xml:ns:xmpp-sasl"><not-authorized/></failure>`;
      for (const who of [c, absent]) {
        await server.addAccount(who.local, domain, who.account.password);
        const fresh = await another(who).logsIn(server.target(door));
        fresh.sends`<iq type="get" id="r"><query xmlns="jabber:iq:roster"/></iq>`;
        await fresh.receives`<iq type="result" id="r"><query xmlns="jabber:iq:roster"/></iq>`;
        fresh.sends`<iq type="get" id="p"><query xmlns="jabber:iq:private"><a xmlns="urn:a"/></query></iq>`;
        await fresh.receives`<iq type="result" id="p"><query xmlns="jabber:iq:private"><a xmlns="urn:a"/></query></iq>`;
        fresh.sends`<iq type="get" id="v"><vCard xmlns="vcard-temp"/></iq>`;
        await fresh.receives`<iq type="error" id="v"><error><item-not-found xmlns="${NS_STANZAS}"/></error></iq>`;
        fresh.sends`<presence/>`;
        await fresh.receives`<presence from="${fresh.full}"/>`;
        await fresh.receivesNothing();
      }
    },
    {
      covers: ["auth_removal", "offline_removal", "private_removal", "roster_removal", "vcard_removal"].map(
        (c) => `domain_removal_SUITE:${c}`,
      ),
    },
  );

  story(
    "a static domain can be neither added, disabled nor removed",
    { romeo: 1 },
    async ({ romeo, server }) => {
      expect(await server.node.domains.add("localhost", "plain")).toBe("static");
      expect(await server.node.domains.setEnabled("localhost", false)).toBe("static");
      expect(await server.node.domains.remove("localhost", "plain", true)).toBe("static");
      await romeo.receivesNothing();
    },
    { covers: ["api_cannot_insert_static", "api_cannot_disable_static"].map((c) => `service_domain_db_SUITE:${c}`) },
  );

  story(
    "a domain is added once, and to a host type that exists",
    { romeo: 1 },
    async ({ romeo, server }) => {
      const domain = name();
      await server.node.domains.add(domain, "plain");
      expect(await server.node.domains.add(domain, "plain")).toBe("duplicate");
      expect(await server.node.domains.add(domain, "silent")).toBe("wrong_host_type");
      expect(await server.node.domains.add(name(), "nothing")).toBe("unknown_host_type");
      expect(await server.node.domains.remove(domain, "silent", true)).toBe("wrong_host_type");
      await romeo.receivesNothing();
    },
    {
      covers: [
        "db_cannot_insert_domain_twice_with_the_same_host_type",
        "db_cannot_insert_domain_twice_with_another_host_type",
        "db_cannot_insert_domain_with_unknown_host_type",
        "db_deleted_domain_fails_with_wrong_host_type",
      ].map((c) => `service_domain_db_SUITE:${c}`),
    },
  );

  story(
    "removing one account leaves its namesake on another domain alone",
    { romeo: 1 },
    async ({ romeo, stranger, server, door }) => {
      const domain = name();
      await server.node.domains.add(domain, "plain");
      await server.addAccount(romeo.local, domain, "secret");
      const namesake = stranger("x", domain);
      namesake.account.local = romeo.local;
      await namesake.logsIn(server.target(door));
      await server.node.removeUser(parseBareJid(namesake.bare));
      await namesake.receivesStreamError("conflict");
      await romeo.receivesNothing();
    },
  );
});
