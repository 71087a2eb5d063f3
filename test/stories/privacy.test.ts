// XEP-0016 §2.3-§2.8: lists are written, read, used and removed.
import { expect } from "vitest";
import { childrenOf, find } from "../support/match.ts";
import {
  activates,
  asks,
  counters,
  isRefused,
  item,
  NS_PRIVACY,
  NS_STANZAS,
  ofJid,
  pushOf,
  reaches,
  uses,
  writesList,
} from "../support/privacy.ts";
import { covering, stage } from "../support/story.ts";

const { story } = stage({ modules: { mod_privacy: {}, mod_blocking: {} } });
const covers = covering("privacy_SUITE");

story(
  "XEP-0016 §3: the server says that it has privacy lists",
  { romeo: 1 },
  async ({ romeo }) => {
    romeo.sends`<iq type="get" id="d" to="localhost"><query xmlns="http://jabber.org/protocol/disco#info"/></iq>`;
    const info = await romeo.receives`<iq type="result" id="d"/>`;
    const query = find(info, "query");
    const features = query ? childrenOf(query).map((e) => e.attrs["var"]) : [];
    expect(features).toEqual(expect.arrayContaining([NS_PRIVACY, "urn:xmpp:blocking"]));
  },
  covers("discover_support"),
);

story(
  "XEP-0016 §2.3: names of lists, with the active and the default one",
  { romeo: 1, juliet: 1 },
  async ({ romeo, juliet, server }) => {
    const grown = counters(server);
    const names = async (inner: string) => {
      const id = asks(romeo, "get", "");
      await romeo.hears(`<iq type="result" id="${id}"><query xmlns="${NS_PRIVACY}">${inner}</query></iq>`);
    };
    await names("");
    expect(grown()).toMatchObject({ get_count: 1 });
    await activates(romeo, "deny_client", item(1, "deny", ofJid(juliet.bare)));
    expect(grown()).toMatchObject({ get_count: 1, set_count: 2, set_active_count: 1, push_item_count: 1 });
    await names(`<active name="deny_client"/><list name="deny_client"/>`);
    await writesList(romeo, "allow_client", item(1, "allow", ofJid(juliet.bare)));
    await uses(romeo, "default", "allow_client");
    await names(
      `<active name="deny_client"/><default name="allow_client"/><list name="allow_client"/><list name="deny_client"/>`,
    );
    expect(grown()).toMatchObject({ get_count: 3, set_count: 2, set_default_count: 1 });
  },
  covers("get_all_lists", "get_all_lists_with_active", "get_all_lists_with_default"),
);

story(
  "XEP-0016 §2.3: one list is given at a time, and it must be there",
  { romeo: 1, juliet: 1 },
  async ({ romeo, juliet, server }) => {
    const grown = counters(server);
    await isRefused(romeo, "get", `<list name="public"/>`, "item-not-found");
    await isRefused(romeo, "get", `<list name="public"/><list name="private"/>`, "bad-request", "modify");
    expect(grown()).toMatchObject({ get_count: 2 });
    await writesList(romeo, "deny_client", item(1, "deny", ofJid(juliet.bare)));
    await isRefused(juliet, "get", `<list name="deny_client"/>`, "item-not-found");
  },
  covers("get_nonexistent_list", "get_many_lists", "get_existing_list"),
);

story(
  "XEP-0016 §2.6: a list is written, and all sessions are told its name",
  { romeo: 3, juliet: 1 },
  async ({ romeo: [laptop, phone, tablet], juliet, server }) => {
    const grown = counters(server);
    await writesList(laptop, "deny_client", item(1, "deny", ofJid(juliet.bare)));
    for (const c of [phone, tablet]) await c.hears(pushOf(c, "deny_client"));
    expect(grown()).toMatchObject({ push_item_count: 3, set_count: 1 });
    await juliet.receivesNothing();
  },
  covers("set_list"),
);

story(
  "XEP-0016 §2.4: a session's active list is chosen and given up",
  { romeo: 1, juliet: 1 },
  async ({ romeo, juliet, server }) => {
    await writesList(romeo, "deny_client", item(1, "deny", ofJid(juliet.bare)));
    const grown = counters(server);
    await uses(romeo, "active", "deny_client");
    expect(grown()).toMatchObject({ set_active_count: 1 });
    await isRefused(romeo, "set", `<active name="some_list"/>`, "item-not-found");
    expect(grown()).toMatchObject({ set_active_count: 1 });
    await uses(romeo, "active");
    expect(grown()).toMatchObject({ set_active_count: 1 });
    await reaches(juliet, romeo);
  },
  covers("activate", "activate_nonexistent", "deactivate"),
);

story(
  "XEP-0016 §2.5: the default list is chosen and given up",
  { romeo: 1, juliet: 1 },
  async ({ romeo, juliet, server }) => {
    await writesList(romeo, "deny_client", item(1, "deny", ofJid(juliet.bare)));
    const grown = counters(server);
    await uses(romeo, "default", "deny_client");
    expect(grown()).toMatchObject({ set_default_count: 1 });
    await isRefused(romeo, "set", `<default name="some_list"/>`, "item-not-found");
    expect(grown()).toMatchObject({ set_default_count: 1 });
    await uses(romeo, "default");
    expect(grown()).toMatchObject({ set_default_count: 1 });
    await reaches(juliet, romeo);
  },
  covers("default", "default_nonexistent", "no_default"),
);

story(
  "XEP-0016 §2.5: nobody changes the default list under another session",
  { romeo: 2, juliet: 1 },
  async ({ romeo: [laptop, phone], juliet }) => {
    for (const [name, action] of [
      ["deny_client", "deny"],
      ["allow_client", "allow"],
    ] as const) {
      await writesList(laptop, name, item(1, action, ofJid(juliet.bare)));
      await phone.hears(pushOf(phone, name));
    }
    await uses(phone, "default", "deny_client");
    for (const change of [`<default name="allow_client"/>`, "<default/>", `<list name="deny_client"/>`]) {
      await isRefused(laptop, "set", change, "conflict");
    }
    await uses(phone, "active", "allow_client");
    await isRefused(laptop, "set", `<list name="allow_client"/>`, "conflict");
    await uses(laptop, "default", "allow_client");
  },
);

story(
  "XEP-0016 §2.8: a list is removed",
  { romeo: 1, juliet: 1 },
  async ({ romeo, juliet, server }) => {
    await isRefused(romeo, "set", `<list name="someList"/>`, "item-not-found");
    await writesList(romeo, "someList", item(1, "deny", ofJid(juliet.bare)));
    const grown = counters(server);
    const id = asks(romeo, "set", `<list name="someList"/>`);
    await romeo.hears(`<iq type="result" id="${id}"/>`);
    await romeo.hears(pushOf(romeo, "someList"));
    expect(grown()).toMatchObject({ push_item_count: 1 });
    await isRefused(romeo, "get", `<list name="someList"/>`, "item-not-found");
  },
  covers("remove_list"),
);

story(
  "a request about lists for somebody else goes to him, if he is there, and is nobody's business otherwise",
  { romeo: 1, juliet: 1, tybalt: 1 },
  async ({ romeo, juliet, tybalt }) => {
    const list = `<query xmlns="${NS_PRIVACY}"><list name="deny_jid_all">${item(1, "deny", ofJid(tybalt.bare))}</list></query>`;
    romeo.says(`<iq type="set" id="x" to="${juliet.full}">${list}</iq>`);
    await juliet.hears(`<iq type="set" id="x" from="${romeo.full}">${list}</iq>`);
    await romeo.receivesNothing();
    romeo.says(`<iq type="set" id="y" to="${juliet.bare}">${list}</iq>`);
    await romeo.hears(`<iq type="error" id="y"><error type="auth"><forbidden xmlns="${NS_STANZAS}"/></error></iq>`);
    await isRefused(juliet, "get", `<list name="deny_jid_all"/>`, "item-not-found");
  },
  covers("iq_with_to_attribute_is_treated_as_regular_one"),
);

story(
  "an answer that nobody has asked for does no harm",
  { romeo: 1, juliet: 1 },
  async ({ romeo, juliet }) => {
    for (const [from, to, type] of [
      [romeo, juliet, "error"],
      [juliet, romeo, "result"],
    ] as const) {
      from.says(`<iq type="${type}" id="x" to="${to.bare}"><query xmlns="${NS_PRIVACY}"/></iq>`);
      await reaches(from, to, to.bare);
    }
  },
  covers("iq_reply_doesnt_crash_user_process"),
);
