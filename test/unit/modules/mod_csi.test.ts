import { beforeEach, expect, test } from "vitest";
import type { Jid } from "../../../core/jid.ts";
import type { Stanza } from "../../../core/stanza.ts";
import { viewText } from "../../../core/xml/framer.ts";
import modCsi from "../../../modules/mod_csi.ts";
import { type FakeClient, FakeServer, wireText } from "../../support/fake-server.ts";

const INACTIVE = "<inactive xmlns='urn:xmpp:csi:0'/>";
const ACTIVE = "<active xmlns='urn:xmpp:csi:0'/>";

let server: FakeServer;
let romeo: FakeClient;
let juliet: FakeClient;
beforeEach(async () => {
  server = new FakeServer();
  await server.startModule(modCsi, { buffer_max: 3 });
  romeo = server.connect("romeo@localhost/orchard");
  juliet = server.connect("juliet@localhost/balcony");
  romeo.setPresence(viewText("<presence/>"), 0);
  // Output past the hooks, as the stream machine has it.
  Object.assign(romeo, { put: (stanza: Stanza, to?: Jid) => romeo.write(wireText(stanza, to)) });
});

const say = (...texts: string[]) =>
  juliet.sends(...texts.map((t) => `<message to='romeo@localhost' type='chat'><body>${t}</body></message>`));
const bodies = () => romeo.received().map((text) => /<body>(.*)<\/body>/.exec(text)?.[1] ?? text);

test("XEP-0352: it is offered as a stream feature", async () => {
  const params = { session: romeo, domain: "localhost", authenticated: true };
  const features = await server.host.hooks.fold("c2s_stream_features", [], params);
  expect(features.map(String)).toEqual(["<csi xmlns='urn:xmpp:csi:0'/>"]);
});

test("messages wait while the client is inactive, and come in order when it is active again", async () => {
  await romeo.sends(INACTIVE);
  await say("1", "2");
  expect(bodies()).toEqual([]);
  await romeo.sends(ACTIVE);
  expect(bodies()).toEqual(["1", "2"]);
  await say("3");
  expect(bodies()).toEqual(["3"]);
});

test("when buffer_max is passed all that waits is sent, and the client is still inactive", async () => {
  await romeo.sends(INACTIVE);
  await say("1", "2", "3", "4");
  expect(bodies()).toEqual(["1", "2", "3", "4"]);
  await say("5");
  expect(bodies()).toEqual([]);
});

test("a request is not held, and what waited goes before it", async () => {
  await romeo.sends(INACTIVE);
  await say("1");
  await juliet.sends("<iq type='get' id='x' to='romeo@localhost/orchard'><query xmlns='jabber:iq:version'/></iq>");
  expect(romeo.received().map((text) => /<(body|query)/.exec(text)?.[1])).toEqual(["body", "query"]);
});

test("of the presence of one sender the last is kept, in the place of the last", async () => {
  await romeo.sends(INACTIVE);
  const presence = (show: string) =>
    juliet.sends(`<presence to='romeo@localhost/orchard'><show>${show}</show></presence>`);
  await presence("away");
  await say("1");
  await presence("dnd");
  await romeo.sends(ACTIVE);
  const heard = romeo.received();
  expect(heard).toHaveLength(2);
  expect(heard[1]).toContain("dnd");
});

test("a request for a subscription is not replaced by presence", async () => {
  await romeo.sends(INACTIVE);
  await juliet.sends(
    "<presence to='romeo@localhost/orchard' type='subscribe'/>",
    "<presence to='romeo@localhost/orchard'/>",
  );
  await romeo.sends(ACTIVE);
  expect(romeo.received()).toHaveLength(2);
});

test.each([["session_detached"], ["reroute_unacked_messages"]] as const)(
  "at %s what waits is given on",
  async (notice) => {
    await romeo.sends(INACTIVE);
    await say("1");
    await server.host.hooks.notify(notice, { session: romeo });
    expect(bodies()).toEqual(["1"]);
    await say("2");
    expect(bodies()).toEqual(["2"]);
  },
);

test("changes of state are counted", async () => {
  await romeo.sends(INACTIVE, ACTIVE);
  expect(server.metric("mod_csi", "mod_csi_inactive_count")).toBe(1);
  expect(server.metric("mod_csi", "mod_csi_active_count")).toBe(1);
});
