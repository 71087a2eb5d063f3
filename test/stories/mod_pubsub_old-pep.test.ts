// XEP-0163 with mod_pubsub_old: personal eventing in MongooseIM's older tables, where mod_pubsub is not on.
import { describe, expect } from "vitest";
import type { Client } from "../support/client.ts";
import { childOf, childrenOf, find, show, type XElement } from "../support/match.ts";
import { capabilities, follows, wantsEvents } from "../support/pubsub.ts";
import {
  create,
  deletion,
  discovery,
  type Fields,
  fresh,
  items,
  NS_PUBSUB,
  owner,
  publish,
  pubsub,
  retract,
  SERVICE,
  subscribe,
  Talk,
} from "../support/pubsub-talk.ts";
import { covering, stage } from "../support/story.ts";

const covers = covering("pep_old_SUITE");
/** As the suite's: collections at the service, and accounts. */
const config = (more = {}) => ({
  modules: { mod_caps: {}, mod_pubsub_old: { plugins: ["dag", "pep"], nodetree: "dag", ...more } },
});
/** A client's talk with its own account. */
const own = (c: Client) => new Talk(c, c.bare);
const silent = { silent: true } as const;
/** Events of an account's node with one item. */
const isItem = (e: XElement, from: Client, node: string, id: string): boolean =>
  e.name === "message" &&
  e.attrs["from"] === from.bare &&
  e.attrs["type"] === "headline" &&
  find(e, "items")?.attrs["node"] === node &&
  find(e, "item")?.attrs["id"] === id;

for (const last_item_cache of [false, "mnesia", "rdbms"]) {
  const { story } = stage(config({ last_item_cache }));
  const cached = last_item_cache === false ? "" : `, last_item_cache = "${last_item_cache}"`;

  describe(`newest items${cached}`, () => {
    story(
      "§4.3.4: a client that says what it wants gets the newest item; the same words again bring nothing",
      { romeo: 1, juliet: 1 },
      async ({ romeo, juliet, befriend }) => {
        const node = fresh("urn:test");
        await own(romeo).publishes(node, "item2");
        await befriend(romeo, juliet);
        const { c, query } = capabilities([node, `${node}+notify`]);
        juliet.says(`<presence>${c}</presence>`);
        const asked = await juliet.skipsTo((e) => e.name === "iq");
        juliet.says(`<iq type="result" id="${asked.attrs["id"]}" to="localhost">${query}</iq>`);
        const event = await juliet.skipsTo((e) => e.name === "message");
        expect(isItem(event, romeo, node, "item2")).toBe(true);
        expect(find(event, "delay")!.ns).toBe("urn:xmpp:delay");
        await juliet.settles();
        juliet.says(`<presence>${c}</presence>`);
        expect((await juliet.settles()).filter((e) => e.name === "message")).toEqual([]);
        await own(romeo).deletes(node);
      },
      covers("send_caps_after_login_test"),
    );

    story(
      "a new contact gets the newest item, and what comes after",
      { romeo: 1, juliet: 1 },
      async ({ romeo, juliet }) => {
        const node = fresh("urn:test");
        await romeo.comesOnline();
        await wantsEvents(juliet, node);
        await own(romeo).publishes(node, "item2");
        const messages = await follows(juliet, romeo);
        expect(messages.map((e) => isItem(e, romeo, node, "item2"))).toEqual([true]);
        await own(romeo).publishes(node, "item3");
        expect(isItem(await juliet.next(), romeo, node, "item3")).toBe(true);
        await own(romeo).deletes(node);
      },
      { ...silent, ...covers("delayed_receive") },
    );

    story(
      "the same with stream management: the event counts",
      { romeo: 1, juliet: 1 },
      async ({ romeo, juliet }) => {
        const node = fresh("urn:test");
        await romeo.comesOnline();
        await wantsEvents(juliet, node);
        await romeo.managesStream();
        await juliet.managesStream();
        await own(romeo).publishes(node, "item2");
        const messages = await follows(juliet, romeo);
        expect(messages.map((e) => isItem(e, romeo, node, "item2"))).toEqual([true]);
        juliet.sendsRaw(`<a xmlns="urn:xmpp:sm:3" h="${juliet.received}"/>`);
        expect(await juliet.settles()).toEqual([]);
        expect(juliet.gone).toBe(false);
      },
      { ...silent, ...covers("delayed_receive_with_sm", "h_ok_after_notify_test") },
    );

    story(
      "§12.15: who does not see the presence any more hears nothing, with a subscription or without",
      { romeo: 1, juliet: 1 },
      async ({ romeo, juliet, befriend }) => {
        const node = fresh("urn:test");
        const r = own(romeo);
        const j = new Talk(juliet, romeo.bare);
        await befriend(romeo, juliet);
        await r.creates(node);
        expect((await j.subscribes(node)).attrs["subid"]).toMatch(/./);
        await r.publishes(node, "fish");
        expect(isItem(await j.hears(), romeo, node, "fish")).toBe(true);
        romeo.sends`<presence to="${juliet.bare}" type="unsubscribed"/>`;
        await romeo.settles();
        await juliet.settles();
        await r.publishes(node, "salmon");
        await j.hearsNothing();
        expect(await r.subscribers(node)).toEqual([]);
        await j.refused("get", items(node), "auth", "not-authorized", "presence-subscription-required");
        await r.deletes(node);
      },
      covers("unsubscribe_after_presence_unsubscription"),
    );
  });
}

describe("personal nodes", () => {
  const { story } = stage(config());

  story(
    "§6: the service and the account are discovered as what they are",
    { romeo: 1, juliet: 1 },
    async ({ romeo, juliet }) => {
      const service = show(await new Talk(romeo, SERVICE).gets("get", discovery("info")));
      for (const type of ["service", "pep"])
        expect(service).toMatch(new RegExp(`category="pubsub"[^>]* type="${type}"`));
      expect(service).toContain(`<feature var="${NS_PUBSUB}"/>`);
      const node = fresh("urn:test");
      const r = own(romeo);
      for (const at of [undefined, node]) {
        const account = show(await r.gets("get", discovery("info", at)));
        expect(account).toContain(`category="pubsub" type="pep"`);
        expect(account).not.toContain(`type="service"`);
        expect(account).toContain(`<feature var="${NS_PUBSUB}"/>`);
      }
      const nodes = async (at?: string) => {
        const answer = await r.asks("get", discovery("items", at));
        const query = childOf(answer, "query")!;
        return answer.attrs["type"] === "error"
          ? []
          : childrenOf(query).map((e) => `${e.attrs["jid"]} ${e.attrs["node"]}`);
      };
      expect(await nodes(node)).toEqual([]);
      expect(await nodes()).not.toContain(`${romeo.bare} ${node}`);
      await r.publishes(node, "item1");
      expect(await nodes(node)).toEqual([`${romeo.bare} ${node}`]);
      expect(await nodes()).toContain(`${romeo.bare} ${node}`);
      const stranger = new Talk(juliet, romeo.bare);
      for (const what of ["info", "items"] as const) {
        await stranger.refused("get", discovery(what, node), "cancel", "service-unavailable");
      }
      await r.deletes(node);
    },
    covers("disco_test", "disco_sm_test", "disco_sm_node_test", "disco_sm_items_test", "disco_sm_items_node_test"),
  );

  story(
    "§4.3: contacts that want events of a node get them, and nobody else",
    { romeo: 1, juliet: 1, nurse: 1 },
    async ({ romeo, juliet, nurse }) => {
      const node = fresh("urn:test");
      await romeo.comesOnline();
      await wantsEvents(juliet, node);
      await wantsEvents(nurse, node);
      await follows(juliet, romeo);
      await own(romeo).publishes(node, "item1");
      expect(isItem(await juliet.next(), romeo, node, "item1")).toBe(true);
      await nurse.receivesNothing();
      await own(romeo).deletes(node);
    },
    { ...silent, ...covers("publish_and_notify_test") },
  );

  story(
    "XEP-0060 §7.1.5: publish-options make a node as they say, and are met or refused by one that is there",
    { romeo: 1 },
    async ({ romeo }) => {
      const r = own(romeo);
      const made = fresh("urn:test");
      await r.publishes(made, "item1", undefined, { "pubsub#access_model": "open" });
      expect(await r.configuration(made)).toMatchObject({ "pubsub#access_model": "open" });
      const node = fresh("urn:test");
      await r.creates(node, { "pubsub#roster_groups_allowed": ["friends", "enemies"] });
      await r.publishes(node, "item1", undefined, {
        "pubsub#deliver_payloads": "1",
        "pubsub#notify_config": "0",
        "pubsub#notify_delete": "0",
        "pubsub#purge_offline": "0",
        "pubsub#notify_retract": "0",
        "pubsub#persist_items": "1",
        "pubsub#roster_groups_allowed": ["friends", "enemies"],
        "pubsub#max_items": "1",
        "pubsub#subscribe": "1",
        "pubsub#access_model": "presence",
        "pubsub#publish_model": "publishers",
        "pubsub#notification_type": "headline",
        "pubsub#max_payload_size": "60000",
        "pubsub#send_last_published_item": "on_sub_and_presence",
        "pubsub#deliver_notifications": "1",
        "pubsub#presence_based_delivery": "1",
      });
      const wrong: Fields[] = [
        { deliver_payloads: "1" },
        { deliver_payloads: "0" },
        { "pubsub#not_existing_option": "1" },
        { "pubsub#deliver_payloads": "0" },
        { "pubsub#roster_groups_allowed": "friends" },
      ];
      for (const options of wrong) {
        await r.refused(
          "set",
          publish(node, "item2", undefined, options),
          "cancel",
          "conflict",
          "precondition-not-met",
        );
      }
      expect(await r.items(node)).toEqual(["item1"]);
      for (const name of [made, node]) await r.deletes(name);
    },
    covers(
      "auto_create_with_publish_options_test",
      "publish_options_success_test",
      "publish_options_fail_unknown_option_story",
      "publish_options_fail_wrong_value_story",
      "publish_options_fail_wrong_form",
    ),
  );

  story(
    "authorize: the account's owner lets a subscriber in by a message to himself",
    { romeo: 1, juliet: 1 },
    async ({ romeo, juliet }) => {
      const node = fresh("urn:test");
      const r = own(romeo);
      const j = new Talk(juliet, romeo.bare);
      await r.creates(node, { "pubsub#access_model": "authorize" });
      expect((await j.subscribes(node)).attrs["subscription"]).toBe("pending");
      const request = await r.request(node, juliet.full);
      expect(await j.subscriptions()).toEqual([`${node} pending`]);
      r.with(undefined).decides(request, true);
      await j.subscriptionIs(node, "subscribed");
      await r.publishes(node, "fish");
      expect(isItem(await j.hears(), romeo, node, "fish")).toBe(true);
      await r.deletes(node);
    },
    covers("authorize_access_model"),
  );

  story(
    "XEP-0402: bookmarks are added, read, and removed, and one's own clients hear of it",
    { romeo: 1 },
    async ({ romeo }) => {
      const node = "urn:xmpp:bookmarks:1";
      await wantsEvents(romeo, node);
      const r = own(romeo);
      const room = "myroom@conference.localhost";
      const options = {
        "pubsub#persist_items": "true",
        "pubsub#max_items": "max",
        "pubsub#send_last_published_item": "never",
        "pubsub#access_model": "whitelist",
      };
      await r.publishes(node, room, `<conference xmlns="${node}"/>`, options);
      await r.item(node, room);
      expect(await r.items(node)).toEqual([room]);
      await r.gets("set", pubsub(`<retract node="${node}" notify="true"><item id="${room}"/></retract>`));
      await r.retraction(node, room);
      expect(await r.items(node)).toEqual([]);
      await r.deletes(node);
    },
    { ...silent, ...covers("native_bookmarks_test") },
  );

  story(
    "nobody else makes, fills, changes or reads an account's nodes",
    { romeo: 1, juliet: 1 },
    async ({ romeo, juliet }) => {
      const node = fresh("urn:test");
      const r = own(romeo);
      await r.publishes(node, "mine");
      const j = new Talk(juliet, romeo.bare);
      await j.refused("set", create(fresh("urn:test")), "auth", "forbidden");
      await j.refused("set", publish(node, "x"), "auth", "forbidden");
      await j.refused("set", publish(fresh("urn:test"), "x"), "auth", "forbidden");
      await j.refused("set", retract(node, "mine"), "auth", "forbidden");
      await j.refused("set", deletion(node), "auth", "forbidden");
      await j.refused("get", owner(`<configure node="${node}"/>`), "auth", "forbidden");
      await j.refused("get", items(node), "auth", "not-authorized", "presence-subscription-required");
      await j.refused("set", subscribe(node, juliet.full), "auth", "not-authorized", "presence-subscription-required");
      await j.refused("set", subscribe(node, romeo.full), "modify", "bad-request", "invalid-jid");
      expect(await r.items(node)).toEqual(["mine"]);
      await r.deletes(node);
    },
  );

  story(
    "XEP-0277: a microblog is a node that everybody may read",
    { romeo: 1, juliet: 1 },
    async ({ romeo, juliet }) => {
      const node = "urn:xmpp:microblog:0";
      const r = own(romeo);
      const entry = `<entry xmlns="http://www.w3.org/2005/Atom"><title type="text">O that I were a glove</title><id>tag:1</id></entry>`;
      await r.publishes(node, "1", entry, { "pubsub#access_model": "open", "pubsub#max_items": "10" });
      const j = new Talk(juliet, romeo.bare);
      await j.subscribes(node);
      const last = await j.hears();
      expect(isItem(last, romeo, node, "1")).toBe(true);
      await r.publishes(node, "2", entry);
      const post = await j.hears();
      expect(isItem(post, romeo, node, "2")).toBe(true);
      expect(show(find(post, "title")!)).toContain("O that I were a glove");
      expect(await j.items(node)).toEqual(["2", "1"]);
      await j.refused("set", publish(node, "3"), "auth", "forbidden");
      await r.deletes(node);
    },
  );

  story(
    "XEP-0384: devices and bundles: contacts hear of new devices, and everybody may fetch a bundle",
    { romeo: 1, juliet: 1, nurse: 1 },
    async ({ romeo, juliet, nurse }) => {
      const [devices, bundles] = ["urn:xmpp:omemo:2:devices", "urn:xmpp:omemo:2:bundles"];
      await romeo.comesOnline();
      await wantsEvents(juliet, devices);
      await nurse.comesOnline();
      await follows(juliet, romeo);
      const r = own(romeo);
      const open = { "pubsub#access_model": "open" };
      const list = (...ids: number[]) =>
        `<devices xmlns="urn:xmpp:omemo:2">${ids.map((id) => `<device id="${id}"/>`).join("")}</devices>`;
      await r.publishes(bundles, "31415", `<bundle xmlns="urn:xmpp:omemo:2"><spk id="0">AA==</spk></bundle>`, {
        ...open,
        "pubsub#max_items": "max",
      });
      await r.publishes(bundles, "27182", `<bundle xmlns="urn:xmpp:omemo:2"><spk id="0">BB==</spk></bundle>`);
      await r.publishes(devices, "current", list(31415), open);
      expect(isItem(await juliet.next(), romeo, devices, "current")).toBe(true);
      await r.publishes(devices, "current", list(31415, 27182), open);
      const event = await juliet.next();
      expect(childrenOf(find(event, "devices")!).map((e) => e.attrs["id"])).toEqual(["31415", "27182"]);
      const n = new Talk(nurse, romeo.bare);
      expect(await n.items(devices)).toEqual(["current"]);
      const bundle = await n.gets("get", items(bundles, "27182"));
      expect(show(bundle)).toContain("BB==");
      for (const node of [devices, bundles]) await r.deletes(node);
    },
    silent,
  );
});

describe("default_node_config, pep_mapping", () => {
  const { story } = stage(
    config({
      default_node_config: { access_model: "open", max_items: 3, notify_retract: true },
      pep_mapping: [{ namespace: "urn:mapped", node: "flat" }],
    }),
  );
  story(
    "a new node is configured as the option says, over its kind; a mapped one is of another kind",
    { romeo: 1, juliet: 1 },
    async ({ romeo, juliet }) => {
      const r = own(romeo);
      const node = fresh("urn:test");
      await r.publishes(node, "item1");
      const set = { "pubsub#access_model": "open", "pubsub#max_items": "3", "pubsub#notify_retract": "1" };
      const last = (when: string) => ({ "pubsub#send_last_published_item": when });
      expect(await r.configuration(node)).toMatchObject({ ...set, ...last("on_sub_and_presence") });
      expect(await new Talk(juliet, romeo.bare).items(node)).toEqual(["item1"]);
      await r.publishes("urn:mapped", "item1");
      expect(await r.configuration("urn:mapped")).toMatchObject({ ...set, ...last("never") });
      const service = new Talk(romeo, SERVICE);
      await service.creates(node);
      expect(await service.configuration(node)).toMatchObject({ ...set, ...last("never") });
      for (const name of [node, "urn:mapped"]) await r.deletes(name);
      await service.deletes(node);
    },
    { door: "tcp" },
  );
});

describe("ignore_pep_from_offline", () => {
  for (const ignore of [true, false]) {
    const { story } = stage(config({ ignore_pep_from_offline: ignore }));
    story(
      `${ignore}: newest items of contacts that are not there ${ignore ? "do not come" : "come too"}`,
      { romeo: 0, juliet: 0 },
      async ({ romeo, juliet }) => {
        const node = fresh("urn:test");
        const author = await romeo.comes();
        await author.comesOnline();
        const reader = await juliet.comes();
        await reader.comesOnline();
        await follows(reader, author);
        await own(author).publishes(node, "old");
        await author.leaves();
        await reader.settles();
        const { c, query } = capabilities([node, `${node}+notify`]);
        reader.says(`<presence>${c}</presence>`);
        const asked = await reader.skipsTo((e) => e.name === "iq");
        reader.says(`<iq type="result" id="${asked.attrs["id"]}" to="localhost">${query}</iq>`);
        await reader.settled();
        await new Promise((resolve) => setTimeout(resolve, 100));
        const came = (await reader.settles()).filter((e) => e.name === "message");
        expect(came).toHaveLength(ignore ? 0 : 1);
        reader.tally.assertions++;
      },
      { ...silent, door: "tcp" },
    );
  }
});

describe("beside mod_pubsub", () => {
  const { story } = stage({
    modules: { mod_caps: {}, mod_pubsub: {}, mod_pubsub_old: { plugins: ["flat", "pep"] } },
  });
  story("accounts are mod_pubsub's, the service is mod_pubsub_old's", { romeo: 1 }, async ({ romeo, server }) => {
    const node = fresh("urn:test");
    await own(romeo).publishes(node, "item1");
    const [host] = [...server.node.hosts.values()];
    const stored = host.modules.get("mod_pubsub_old")?.ctx.store as { load(s: object, n: string): Promise<unknown> };
    expect(await stored.load({ text: romeo.bare }, node)).toBeUndefined();
    const service = new Talk(romeo, SERVICE);
    await service.publishes(node, "item2");
    expect(await own(romeo).items(node)).toEqual(["item1"]);
    expect(await service.items(node)).toEqual(["item2"]);
  });
});
