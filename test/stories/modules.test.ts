// The small features, through real sockets: mod_ping, mod_time, mod_version, mod_disco, mod_last, mod_private,
// mod_stanzaid.
import { describe, expect } from "vitest";
import { childOf, childrenOf, find, textOf, type XElement } from "../support/match.ts";
import { stage } from "../support/story.ts";

const NS_STANZAS = "urn:ietf:params:xml:ns:xmpp-stanzas";
const error = (condition: string) => `<error><${condition} xmlns="${NS_STANZAS}"/></error>`;

const { story } = stage({ modules: { mod_version: { os_info: true } } });

describe("mod_ping", () => {
  for (const to of ["localhost", undefined]) {
    story(
      `XEP-0199 §4.2: a ping to ${to ?? "one's own account"} is answered`,
      { romeo: 1 },
      async ({ romeo }) => {
        romeo.says(`<iq type="get" id="p"${to ? ` to="${to}"` : ""}><ping xmlns="urn:xmpp:ping"/></iq>`);
        await romeo.hears(`<iq type="result" id="p" from="${to ?? romeo.bare}" to="${romeo.full}"/>`);
      },
      { covers: ["mod_ping_SUITE:ping"] },
    );
  }

  story(
    "XEP-0199: a ping that is a set is refused",
    { romeo: 1 },
    async ({ romeo }) => {
      romeo.sends`<iq type="set" id="p" to="localhost"><ping xmlns="urn:xmpp:ping"/></iq>`;
      await romeo.receives`<iq type="error" id="p">${error("not-allowed")}</iq>`;
    },
    { covers: ["mod_ping_SUITE:wrong_ping"] },
  );

  describe("send_pings", () => {
    const { story } = stage({
      modules: { mod_ping: { send_pings: true, ping_interval: 1, ping_req_timeout: 1, timeout_action: "kill" } },
    });

    story(
      "XEP-0199 §4.1: a silent client is pinged; one that answers stays, one that does not is cut off",
      { romeo: 1, juliet: 1 },
      async ({ romeo, juliet }) => {
        const ping =
          await romeo.receives`<iq type="get" from="localhost" id="{any}"><ping xmlns="urn:xmpp:ping"/></iq>`;
        romeo.says(`<iq type="result" id="${ping.attrs["id"]}" to="localhost"/>`);
        await juliet.receives`<iq type="get" from="localhost"><ping xmlns="urn:xmpp:ping"/></iq>`;
        for (;;) {
          const e = await romeo.next();
          if (e.name === "iq") romeo.says(`<iq type="result" id="${e.attrs["id"]}" to="localhost"/>`);
          if (juliet.gone) break;
        }
        await romeo.settles();
        expect(romeo.gone).toBe(false);
      },
      { slow: true, covers: ["mod_ping_SUITE:server_ping_pong", "mod_ping_SUITE:server_ping_pang"] },
    );

    story(
      "XEP-0199 §4.1: an error is an answer too",
      { romeo: 1 },
      async ({ romeo }) => {
        const ping = await romeo.receives`<iq type="get" from="localhost"><ping xmlns="urn:xmpp:ping"/></iq>`;
        romeo.says(
          `<iq type="error" id="${ping.attrs["id"]}" to="localhost"><error type="cancel"><service-unavailable xmlns="${NS_STANZAS}"/></error></iq>`,
        );
        await new Promise((resolve) => setTimeout(resolve, 600));
        await romeo.settled();
        expect(romeo.gone).toBe(false);
      },
      { slow: true, covers: ["mod_ping_SUITE:service_unavailable_response"] },
    );
  });
});

describe("mod_ping: a client that is not silent", () => {
  const { story } = stage({ modules: { mod_ping: { send_pings: true, ping_interval: 3 } } });

  story(
    "XEP-0199 §4.1: is not pinged",
    { romeo: 1 },
    async ({ romeo }) => {
      const wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
      await wait(1500);
      romeo.sends`<iq type="get" id="p" to="localhost"><ping xmlns="urn:xmpp:ping"/></iq>`;
      await romeo.receives`<iq type="result" id="p"/>`;
      // Past the time at which one that had said nothing would be pinged.
      await wait(1800);
      expect(romeo.waiting).toEqual([]);
    },
    { slow: true, covers: ["mod_ping_SUITE:active"] },
  );
});

describe("mod_time, mod_version", () => {
  story(
    "XEP-0202: the server tells the time",
    { romeo: 1 },
    async ({ romeo }) => {
      romeo.sends`<iq type="get" id="t" to="localhost"><time xmlns="urn:xmpp:time"/></iq>`;
      const time = childOf(await romeo.receives`<iq type="result" id="t"/>`, "time", "urn:xmpp:time")!;
      expect(Math.abs(Date.parse(textOf(find(time, "utc")!)) - Date.now())).toBeLessThan(2000);
      expect(textOf(find(time, "tzo")!)).toMatch(/^[+-]\d\d:\d\d$|^Z$/);
    },
    { covers: ["mod_time_SUITE:ask_for_time"] },
  );

  story(
    "XEP-0092: the server names itself, its version and its system",
    { romeo: 1 },
    async ({ romeo }) => {
      romeo.sends`<iq type="get" id="v" to="localhost"><query xmlns="jabber:iq:version"/></iq>`;
      await romeo.receives`<iq type="result" id="v"><query xmlns="jabber:iq:version"><name>{any}</name><version>{any}</version><os>{any}</os></query></iq>`;
    },
    { covers: ["mod_version_SUITE:ask_for_version_with_os"] },
  );

  describe("without os_info", () => {
    const { story } = stage();
    story(
      "XEP-0092: the system stays unsaid",
      { romeo: 1 },
      async ({ romeo }) => {
        romeo.sends`<iq type="get" id="v" to="localhost"><query xmlns="jabber:iq:version"/></iq>`;
        await romeo.receives`<iq type="result" id="v"><query xmlns="jabber:iq:version"><name>{any}</name><version>{any}</version></query></iq>`;
      },
      { covers: ["mod_version_SUITE:ask_for_version"] },
    );
  });
});

describe("mod_disco", () => {
  const NS_INFO = "http://jabber.org/protocol/disco#info";
  const NS_ITEMS = "http://jabber.org/protocol/disco#items";
  const features = (iq: XElement): string[] =>
    childrenOf(childOf(iq, "query", NS_INFO)!)
      .filter((e) => e.name === "feature")
      .map((e) => e.attrs["var"]);

  story(
    "XEP-0030 §3.1: the server says what it is and can",
    { romeo: 1 },
    async ({ romeo }) => {
      romeo.sends`<iq type="get" id="d" to="localhost"><query xmlns="${NS_INFO}"/></iq>`;
      const answer = await romeo.receives`<iq type="result" id="d"/>`;
      expect(find(answer, "identity")!.attrs).toMatchObject({ category: "server", type: "im" });
      expect(features(answer)).toEqual(
        expect.arrayContaining([
          NS_INFO,
          NS_ITEMS,
          "urn:xmpp:ping",
          "urn:xmpp:time",
          "jabber:iq:version",
          "jabber:iq:last",
          "vcard-temp",
          "jabber:iq:private",
          "msgoffline",
        ]),
      );
    },
    {
      covers: [
        "disco_and_caps_SUITE:user_can_query_server_features",
        "mod_ping_SUITE:disco",
        "mod_time_SUITE:time_service_discovery",
        "mod_version_SUITE:version_service_discovery",
        "vcard_SUITE:vcard_service_discovery",
      ],
    },
  );

  story(
    "XEP-0115 §6.3: the hash in the stream features can be asked about",
    { romeo: 1 },
    async ({ romeo }) => {
      const c = childOf(romeo.features!, "c", "http://jabber.org/protocol/caps")!;
      const node = `${c.attrs["node"]}#${c.attrs["ver"]}`;
      romeo.sends`<iq type="get" id="d" to="localhost"><query xmlns="${NS_INFO}" node="${node}"/></iq>`;
      const answer = await romeo.receives`<iq type="result" id="d"/>`;
      expect(childOf(answer, "query", NS_INFO)!.attrs["node"]).toBe(node);
      expect(features(answer)).toContain("urn:xmpp:ping");
    },
    {
      covers: [
        "disco_and_caps_SUITE:caps_feature_is_advertised",
        "disco_and_caps_SUITE:user_can_query_server_caps_via_disco",
      ],
    },
  );

  for (const [node, name] of [
    [
      "https://www.erlang-solutions.com/products/mongooseim.html#wrong",
      "user_cannot_query_server_caps_with_incorrect_hash_value",
    ],
    ["nonsense", "user_cannot_query_server_caps_with_malformed_node"],
  ]) {
    story(
      `XEP-0030 §3.2: the node ${node} is item-not-found`,
      { romeo: 1 },
      async ({ romeo }) => {
        romeo.sends`<iq type="get" id="d" to="localhost"><query xmlns="${NS_INFO}" node="${node}"/></iq>`;
        await romeo.receives`<iq type="error" id="d">${error("item-not-found")}</iq>`;
      },
      { covers: [`disco_and_caps_SUITE:${name}`] },
    );
  }

  for (const [ns, what, covers] of [
    [
      NS_INFO,
      "features",
      ["user_cannot_query_stranger_features", "user_cannot_query_stranger_features_with_unknown_node"],
    ],
    [
      NS_ITEMS,
      "resources",
      ["user_cannot_query_stranger_resources", "user_cannot_query_stranger_resources_with_unknown_node"],
    ],
  ] as const) {
    story(
      `XEP-0030 §8: a stranger learns nothing of an account's ${what}`,
      { romeo: 1, juliet: 1 },
      async ({ romeo, juliet }) => {
        for (const node of ["", ` node="unknown"`]) {
          for (const to of [juliet.bare, "nobody@localhost"]) {
            romeo.says(`<iq type="get" id="d" to="${to}"><query xmlns="${ns}"${node}/></iq>`);
            if (ns === NS_ITEMS && node === "") {
              const answer = await romeo.hears(`<iq type="result" id="d" from="${to}"/>`);
              expect(childrenOf(childOf(answer, "query", NS_ITEMS)!)).toEqual([]);
            } else await romeo.hears(`<iq type="error" id="d" from="${to}">${error("service-unavailable")}</iq>`);
          }
        }
      },
      { covers: covers.map((c) => `disco_and_caps_SUITE:${c}`) },
    );
  }

  story(
    "XEP-0030 §8: a contact sees an account's features and its resources",
    { romeo: 1, juliet: 1 },
    async ({ romeo, juliet, befriend }) => {
      await befriend(romeo, juliet);
      romeo.sends`<iq type="get" id="d" to="${juliet.bare}"><query xmlns="${NS_INFO}"/></iq>`;
      const info = await romeo.receives`<iq type="result" id="d"/>`;
      expect(find(info, "identity")!.attrs).toMatchObject({ category: "account", type: "registered" });
      romeo.sends`<iq type="get" id="i" to="${juliet.bare}"><query xmlns="${NS_ITEMS}"/></iq>`;
      const items = await romeo.receives`<iq type="result" id="i"/>`;
      expect(childrenOf(childOf(items, "query")!).map((e) => e.attrs["jid"])).toEqual([juliet.full]);
    },
    {
      covers: [
        "disco_and_caps_SUITE:user_can_query_friend_features",
        "disco_and_caps_SUITE:user_can_query_friend_resources",
      ],
    },
  );

  story(
    "XEP-0030 §3.2: nodes that an account does not have are item-not-found, for contacts and oneself",
    { romeo: 1, juliet: 1 },
    async ({ romeo, juliet, befriend }) => {
      await befriend(romeo, juliet);
      for (const ns of [NS_INFO, NS_ITEMS]) {
        for (const to of [juliet.bare, romeo.bare]) {
          romeo.says(`<iq type="get" id="d" to="${to}"><query xmlns="${ns}" node="unknown"/></iq>`);
          await romeo.hears(`<iq type="error" id="d">${error("item-not-found")}</iq>`);
        }
      }
    },
    {
      covers: [
        "user_cannot_query_friend_features_with_unknown_node",
        "user_cannot_query_friend_resources_with_unknown_node",
        "user_cannot_query_own_features_with_unknown_node",
        "user_cannot_query_own_resources_with_unknown_node",
      ].map((c) => `disco_and_caps_SUITE:${c}`),
    },
  );

  describe("configured", () => {
    const { story } = stage({
      modules: {
        mod_disco: {
          extra_domains: ["spanish.localhost"],
          server_info: [{ name: "abuse-addresses", urls: ["mailto:abuse@localhost"] }],
        },
      },
    });
    story(
      "XEP-0030 §4: extra_domains are listed",
      { romeo: 1 },
      async ({ romeo }) => {
        romeo.sends`<iq type="get" id="i" to="localhost"><query xmlns="${NS_ITEMS}"/></iq>`;
        const items = childOf(await romeo.receives`<iq type="result" id="i"/>`, "query")!;
        expect(childrenOf(items).map((e) => e.attrs["jid"])).toContain("spanish.localhost");
      },
      { covers: ["disco_and_caps_SUITE:user_can_query_extra_domains"] },
    );

    story(
      "XEP-0157: server_info gives contact addresses",
      { romeo: 1 },
      async ({ romeo }) => {
        romeo.sends`<iq type="get" id="d" to="localhost"><query xmlns="${NS_INFO}"/></iq>`;
        const form = find(await romeo.receives`<iq type="result" id="d"/>`, "x")!;
        expect(JSON.stringify(form)).toContain("mailto:abuse@localhost");
        expect(JSON.stringify(form)).toContain("http://jabber.org/network/serverinfo");
      },
      { covers: ["disco_and_caps_SUITE:user_can_query_server_info"] },
    );
  });
});

describe("mod_last", () => {
  const ask = (to: string) => `<iq type="get" id="l" to="${to}"><query xmlns="jabber:iq:last"/></iq>`;

  story(
    "XEP-0012 §3: a contact sees when somebody was last there, and with which words he went",
    { romeo: 1, juliet: 1 },
    async ({ romeo, juliet, befriend }) => {
      await befriend(romeo, juliet);
      juliet.sends`<presence type="unavailable"><status>Good night</status></presence>`;
      await romeo.receives`<presence type="unavailable" from="${juliet.full}"/>`;
      await juliet.leaves();
      romeo.says(ask(juliet.bare));
      const query = childOf(await romeo.receives`<iq type="result" id="l" from="${juliet.bare}"/>`, "query")!;
      expect(Number(query.attrs["seconds"])).toBeLessThan(5);
      expect(textOf(query)).toBe("Good night");
    },
    { covers: ["last_SUITE:last_offline_user"] },
  );

  story(
    "XEP-0012 §4: somebody who is there was last there 0 seconds ago",
    { romeo: 1, juliet: 1 },
    async ({ romeo, juliet, befriend }) => {
      await befriend(romeo, juliet);
      romeo.says(ask(juliet.bare));
      await romeo.receives`<iq type="result" id="l"><query xmlns="jabber:iq:last" seconds="0"/></iq>`;
    },
    { covers: ["last_SUITE:last_online_user"] },
  );

  story(
    "XEP-0012 §5: a request to a session reaches the session",
    { romeo: 1, juliet: 1 },
    async ({ romeo, juliet, befriend }) => {
      await befriend(romeo, juliet);
      romeo.says(ask(juliet.full));
      await juliet.receives`<iq type="get" id="l" from="${romeo.full}"><query xmlns="jabber:iq:last"/></iq>`;
    },
    { covers: ["last_SUITE:online_user_query"] },
  );

  story(
    "XEP-0012 §3: strangers are told nothing",
    { romeo: 1, juliet: 1 },
    async ({ romeo, juliet }) => {
      romeo.says(ask(juliet.bare));
      await romeo.receives`<iq type="error" id="l">${error("forbidden")}</iq>`;
    },
    { covers: ["last_SUITE:user_not_subscribed_receives_error"] },
  );

  story(
    "XEP-0012 §6: the server tells how long it runs",
    { romeo: 1 },
    async ({ romeo }) => {
      romeo.says(ask("localhost"));
      await romeo.receives`<iq type="result" id="l"><query xmlns="jabber:iq:last" seconds="{any}"/></iq>`;
    },
    { covers: ["last_SUITE:last_server"] },
  );
});

describe("mod_private", () => {
  story(
    "XEP-0049: what was stored comes back, also to another session",
    { romeo: 2 },
    async ({ romeo: [laptop, phone] }) => {
      laptop.sends`<iq type="set" id="s"><query xmlns="jabber:iq:private"><storage xmlns="storage:bookmarks"><conference name="Ball &amp; co"/></storage></query></iq>`;
      await laptop.receives`<iq type="result" id="s"/>`;
      phone.sends`<iq type="get" id="g"><query xmlns="jabber:iq:private"><storage xmlns="storage:bookmarks"/></query></iq>`;
      await phone.receives`<iq type="result" id="g"><query xmlns="jabber:iq:private"><storage xmlns="storage:bookmarks"><conference name="Ball &amp; co"/></storage></query></iq>`;
    },
    { covers: ["private_SUITE:store_retrieve"] },
  );

  for (const [type, covers] of [
    ["get", "get_other_user"],
    ["set", "set_other_user"],
  ]) {
    story(
      `XEP-0049: nobody can ${type} what is another's`,
      { romeo: 1, juliet: 1 },
      async ({ romeo, juliet }) => {
        romeo.says(
          `<iq type="${type}" id="x" to="${juliet.bare}"><query xmlns="jabber:iq:private"><a xmlns="urn:a"/></query></iq>`,
        );
        await romeo.hears(`<iq type="error" id="x">${error("forbidden")}</iq>`);
      },
      { covers: [`private_SUITE:${covers}`] },
    );
  }
});

describe("mod_stanzaid", () => {
  story(
    "XEP-0359 §3.1: the account gives each message an id of its own",
    { romeo: 1, juliet: 1 },
    async ({ romeo, juliet }) => {
      const ids: string[] = [];
      for (const n of [1, 2]) {
        romeo.says(`<message to="${juliet.full}" type="chat" id="m${n}"><body>b</body></message>`);
        const e = await juliet.hears(
          `<message id="m${n}"><stanza-id xmlns="urn:xmpp:sid:0" by="${juliet.bare}" id="{any}"/></message>`,
        );
        ids.push(childOf(e, "stanza-id")!.attrs["id"]);
      }
      expect(ids[0]).not.toBe(ids[1]);
    },
    { covers: ["mod_stanzaid_SUITE:stanza_id_pm"] },
  );

  story(
    "XEP-0359 §3.1: an id that pretends to be the account's is taken away",
    { romeo: 1, juliet: 1 },
    async ({ romeo, juliet }) => {
      romeo.sends`<message to="${juliet.full}" type="chat"><body>b</body><stanza-id xmlns="urn:xmpp:sid:0" by="${juliet.bare}" id="forged"/></message>`;
      const e = await juliet.receives`<message from="${romeo.full}"/>`;
      const ids = childrenOf(e)
        .filter((c) => c.name === "stanza-id")
        .map((c) => c.attrs["id"]);
      expect(ids).toHaveLength(1);
      expect(ids).not.toContain("forged");
    },
  );
});
