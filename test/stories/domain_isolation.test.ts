// mod_domain_isolation: the domains of an installation do not know each other.
import { afterAll, beforeAll } from "vitest";
import { z } from "zod";
import { StanzaError } from "../../core/errors.ts";
import { defineModule } from "../../core/module.ts";
import { NS_STANZAS } from "../support/privacy.ts";
import { covering, stage } from "../support/story.ts";

const of = stage({
  general: { hosts: ["localhost", "second.example"] },
  modules: { mod_domain_isolation: {} },
});
const { story } = of;
const covers = covering("domain_isolation_SUITE");
const filtered = `<error type="cancel"><service-unavailable xmlns="${NS_STANZAS}"/><text xmlns="${NS_STANZAS}">Filtered by the domain isolation</text></error>`;

/** A service of each domain, which refuses what it gets in words of its own. */
const rooms = defineModule({
  name: "mod_story_rooms",
  xeps: [],
  config: z.strictObject({}),
  services: [
    {
      address: () => "rooms.@HOST@",
      iq: () => undefined,
      stanza: () => {
        throw new StanzaError("bad-request", "Resource expected to be empty");
      },
    },
  ],
});
const hosts = () => ["localhost", "second.example"].map((domain) => of.server.node.hostOf(domain));
beforeAll(async () => {
  for (const host of hosts()) await host?.startModule(rooms, {});
});
afterAll(async () => {
  for (const host of hosts()) await host?.stopModule("mod_story_rooms");
});

story(
  "within a domain all is as ever",
  { romeo: 1, juliet: 1 },
  async ({ romeo, juliet }) => {
    romeo.sends`<message to="${juliet.full}" type="chat"><body>Hello</body></message>`;
    await juliet.receives`<message from="${romeo.full}" type="chat"><body>Hello</body></message>`;
  },
  covers("routing_one2one_message_inside_one_domain_works"),
);

story(
  "a stanza for another domain is dropped and counted, and its sender is told",
  { romeo: 1, juliet: 1 },
  async ({ romeo, juliet, actor, server, door }) => {
    const bis = await (await (await actor("bis", "second.example")).logsIn(server.target(door))).comesOnline();
    const dropped = () => server.node.hostOf("localhost")?.counters.dropped ?? 0;
    const before = dropped();
    bis.sends`<message to="${romeo.full}" type="chat" id="m"><body>Hello</body></message>`;
    await bis.hears(`<message from="${romeo.full}" id="m" type="error">${filtered}</message>`);
    if (dropped() !== before + 1) throw new Error("The stanza was not counted as dropped");
    juliet.sends`<message to="${romeo.full}" type="chat" id="n"><body>Forces to flush</body></message>`;
    await romeo.receives`<message from="${juliet.full}" id="n"/>`;
    await romeo.receivesNothing();
    for (const to of [romeo.full, romeo.bare, "localhost"]) {
      bis.sends`<iq to="${to}" type="get" id="i"><query xmlns="jabber:iq:version"/></iq>`;
      await bis.hears(`<iq from="${to}" id="i" type="error">${filtered}</iq>`);
    }
    bis.sends`<presence to="${romeo.bare}"/>`;
    bis.sends`<presence to="${romeo.bare}" type="subscribe"/>`;
    bis.sends`<message to="${romeo.full}" type="error" id="e"><body>x</body></message>`;
    await bis.receives`<iq type="set"/><presence from="${romeo.bare}" type="error"/>`;
    await bis.receivesNothing();
    await romeo.receivesNothing();
  },
  covers(
    "routing_one2one_message_to_another_domain_gets_dropped",
    "routing_one2one_message_to_another_domain_results_in_service_unavailable",
  ),
);

story(
  "services under the own domain are reached, those under another are not",
  { romeo: 1 },
  async ({ romeo, actor, server, door }) => {
    const bis = await (await (await actor("bis", "second.example")).logsIn(server.target(door))).comesOnline();
    const to = "rooms.localhost/wow_resource_not_so_empty";
    romeo.sends`<message to="${to}" type="chat" id="m"><body>Hi!</body></message>`;
    await romeo.receives`<message from="${to}" id="m" type="error"><error type="modify"><bad-request xmlns="${NS_STANZAS}"/><text xmlns="${NS_STANZAS}">Resource expected to be empty</text></error></message>`;
    bis.sends`<message to="${to}" type="chat" id="m"><body>Hi!</body></message>`;
    await bis.hears(`<message from="${to}" id="m" type="error">${filtered}</message>`);
    bis.sends`<iq to="rooms.localhost" type="get" id="i"><query xmlns="jabber:iq:version"/></iq>`;
    await bis.hears(`<iq from="rooms.localhost" id="i" type="error">${filtered}</iq>`);
  },
  covers(
    "routing_to_yours_subdomain_gets_passed_to_muc_module",
    "routing_to_foreign_subdomain_results_in_service_unavailable",
  ),
);

story("presence between domains is not shown", { romeo: 1 }, async ({ romeo, actor, server, door }) => {
  const bis = await (await (await actor("bis", "second.example")).logsIn(server.target(door))).comesOnline();
  // Both had a subscription before the domains were kept apart.
  for (const [one, other] of [
    [romeo, bis],
    [bis, romeo],
  ]) {
    await server.db.insertNew("rosterusers", {
      server: one.domain,
      username: one.local,
      jid: other.bare,
      nick: "",
      subscription: "B",
      ask: "N",
      askmessage: "",
    });
  }
  romeo.sends`<presence type="unavailable"/>`;
  romeo.sends`<presence/>`;
  await romeo.receives`<presence from="${romeo.full}" type="{none}"/>`;
  await romeo.receivesNothing();
  await bis.receivesNothing();
});
