// RFC 6121 §4 as conversations.
import { beforeEach, describe, expect, test } from "vitest";
import type { SessionEnd } from "../../../core/hooks.ts";
import modPresence, { lastPresence } from "../../../modules/mod_presence/index.ts";
import modRoster from "../../../modules/mod_roster/index.ts";
import { type FakeClient, FakeServer, wireText } from "../../support/fake-server.ts";

let server: FakeServer;
let romeo: FakeClient;
let juliet: FakeClient;

const ROMEO = "romeo@localhost/orchard";
const JULIET = "juliet@localhost/balcony";
const presence = (from: string, to: string, rest = "", children = "") =>
  `<presence from='${from}' to='${to}'${rest}>${children}</presence>`;
const gone = (from: string, to: string, status = "") =>
  presence(from, to, " type='unavailable'", status && `<status>${status}</status>`);

/** Writes a subscription into both rosters: `both`, or `from`/`to` as the first user sees it. */
async function subscribe(a: string, b: string, subscription: "B" | "F" | "T"): Promise<void> {
  const columns = ["server", "username", "jid", "nick", "subscription", "ask", "askmessage"];
  const other = subscription === "F" ? "T" : subscription === "T" ? "F" : "B";
  await server.db.insertMany("rosterusers", columns, [
    ["localhost", a, b.includes("@") ? b : `${b}@localhost`, "", subscription, "N", ""],
    ...(b.includes("@") ? [] : [["localhost", b, `${a}@localhost`, "", other, "N", ""]]),
  ]);
}

beforeEach(async () => {
  server = new FakeServer({ users: ["romeo", "juliet", "nurse"] });
  await server.startModule(modRoster);
  await server.startModule(modPresence);
  romeo = server.connect(ROMEO);
  juliet = server.connect(JULIET);
});

describe("§4.2: initial presence", () => {
  test("comes back to the client itself", async () => {
    await romeo.sends("<presence/>");
    romeo.hears(presence(ROMEO, ROMEO));
  });

  test("goes to contacts who have a subscription, and to nobody else", async () => {
    const nurse = server.connect("nurse@localhost/kitchen");
    await subscribe("romeo", "juliet", "F");
    await juliet.sends("<presence/>");
    await nurse.sends("<presence/>");
    juliet.received();
    nurse.received();
    await romeo.sends("<presence><show>dnd</show></presence>");
    juliet.hears(presence(ROMEO, JULIET, "", "<show>dnd</show>"));
    nurse.hears();
    romeo.hears(presence(ROMEO, ROMEO, "", "<show>dnd</show>"));
  });

  test("shows the contacts whose presence the user has a subscription to", async () => {
    await subscribe("romeo", "juliet", "T");
    await juliet.sends("<presence><status>at the window</status></presence>");
    await romeo.sends("<presence/>");
    romeo.hears(presence(ROMEO, ROMEO), presence(JULIET, ROMEO, "", "<status>at the window</status>"));
  });

  test("does not reach a contact's resource that is not available", async () => {
    await subscribe("romeo", "juliet", "B");
    await romeo.sends("<presence/>");
    juliet.hears();
  });

  test("is exchanged with the user's other resources", async () => {
    const garden = server.connect("romeo@localhost/garden");
    await garden.sends("<presence><show>away</show></presence>");
    garden.received();
    await romeo.sends("<presence/>");
    garden.hears(presence(ROMEO, "romeo@localhost/garden"));
    romeo.hears(presence(ROMEO, ROMEO), presence("romeo@localhost/garden", ROMEO, "", "<show>away</show>"));
  });

  test("§4.3.1: contacts of other domains are probed from the full JID", async () => {
    await subscribe("romeo", "paris@verona.example", "T");
    await romeo.sends("<presence/>");
    expect(server.remote).toEqual([`<presence from='${ROMEO}' to='paris@verona.example' type='probe'/>`]);
  });

  test("the notices come in MongooseIM's order, stored messages before the client's own presence", async () => {
    const seen: string[] = [];
    server.hook({
      set_presence: () => void seen.push("set_presence"),
      user_available: () => void seen.push("user_available"),
      resend_offline_messages: async ({ session }) => {
        await Promise.resolve();
        seen.push("resend_offline_messages");
        session.write("<message id='stored'/>");
      },
    });
    await romeo.sends("<presence/>");
    expect(seen).toEqual(["set_presence", "user_available", "resend_offline_messages"]);
    romeo.hears("<message id='stored'/>", presence(ROMEO, ROMEO));
  });

  test("costs one query for a user whose roster was not read", async () => {
    server.db.log.length = 0;
    await romeo.sends("<presence/>");
    expect(server.db.log).toHaveLength(1);
  });

  test("costs no query after the roster was fetched", async () => {
    await romeo.sends("<iq type='get' id='1'><query xmlns='jabber:iq:roster'/></iq>");
    server.db.log.length = 0;
    await romeo.sends("<presence/>", "<presence type='unavailable'/>");
    expect(server.db.log).toEqual([]);
  });

  test("of a session that ended meanwhile is not shown", async () => {
    await subscribe("romeo", "juliet", "B");
    await juliet.sends("<presence/>");
    juliet.received();
    const gate = Promise.withResolvers<void>();
    server.hook({ roster_get_subscription_lists: { at: 1, run: () => gate.promise } });
    const sending = romeo.sends("<presence/>");
    await romeo.ends("lost");
    gate.resolve();
    await sending;
    expect(romeo.available).toBe(false);
    juliet.hears();
  });
});

describe("§4.3: probes", () => {
  beforeEach(async () => {
    await romeo.sends("<presence><show>chat</show></presence>");
    romeo.received();
  });
  const PARIS = "paris@verona.example";
  const probe = (to: string) => `<presence from='${PARIS}/hall' to='${to}' type='probe'/>`;

  test("§4.3.2: who has a subscription is told of every available resource", async () => {
    await subscribe("juliet", PARIS, "F");
    const cell = server.connect("juliet@localhost/cell");
    await juliet.sends("<presence><show>xa</show></presence>");
    await cell.sends("<presence/>");
    server.remote.length = 0;
    await server.receivesFrom(probe("juliet@localhost"));
    expect(server.remote).toEqual([
      `<presence from='${JULIET}' to='${PARIS}/hall'><show>xa</show></presence>`,
      `<presence from='juliet@localhost/cell' to='${PARIS}/hall'/>`,
    ]);
  });

  test("§4.3.2: a probe for a full JID is answered for that resource", async () => {
    await subscribe("juliet", PARIS, "F");
    await juliet.sends("<presence/>");
    await server.connect("juliet@localhost/cell").sends("<presence/>");
    server.remote.length = 0;
    await server.receivesFrom(probe("juliet@localhost/cell"));
    expect(server.remote).toEqual([`<presence from='juliet@localhost/cell' to='${PARIS}/hall'/>`]);
  });

  test("§4.3.2: who has no subscription is told so, and nothing else", async () => {
    await server.receivesFrom(probe("romeo@localhost"));
    expect(server.remote).toEqual([`<presence from='romeo@localhost' to='${PARIS}' type='unsubscribed'/>`]);
  });

  test("an account that is not there answers like one that gives no presence", async () => {
    server.hook({ account_presence: { at: 1, run: () => undefined } });
    await server.receivesFrom(probe("nurse@localhost"));
    expect(server.remote).toEqual([`<presence from='nurse@localhost' to='${PARIS}' type='unsubscribed'/>`]);
  });

  test("a local contact whose roster knows no subscription sets the user's right", async () => {
    await server.db.insertNew("rosterusers", {
      server: "localhost",
      username: "juliet",
      jid: "romeo@localhost",
      nick: "",
      subscription: "T",
      ask: "N",
      askmessage: "",
    });
    await juliet.sends("<presence/>");
    expect(await server.db.query("SELECT subscription FROM rosterusers")).toEqual([{ subscription: "N" }]);
  });

  test("§4.6.3: who was sent presence directly may probe it", async () => {
    await juliet.sends(`<presence to='${PARIS}/hall'/>`);
    server.remote.length = 0;
    await server.receivesFrom(probe("juliet@localhost"));
    expect(server.remote).toEqual([`<presence from='${JULIET}' to='${PARIS}/hall'/>`]);
  });
});

describe("§4.4: subsequent presence", () => {
  test("goes to subscribers and own resources, without probes", async () => {
    await subscribe("romeo", "juliet", "B");
    await juliet.sends("<presence/>");
    await romeo.sends("<presence/>");
    romeo.received();
    juliet.received();
    await romeo.sends("<presence><show>away</show></presence>");
    romeo.hears(presence(ROMEO, ROMEO, "", "<show>away</show>"));
    juliet.hears(presence(ROMEO, JULIET, "", "<show>away</show>"));
  });

  test("is what newcomers see", async () => {
    await romeo.sends("<presence/>", "<presence><show>away</show><priority>5</priority></presence>");
    const garden = server.connect("romeo@localhost/garden");
    await garden.sends("<presence/>");
    expect(garden.received()[1]).toContain("<show>away</show>");
    expect(romeo.priority).toBe(5);
  });

  test("stored messages are delivered when a negative priority ends", async () => {
    let resent = 0;
    server.hook({ resend_offline_messages: () => void resent++ });
    await romeo.sends("<presence><priority>-1</priority></presence>");
    expect(resent).toBe(0);
    await romeo.sends("<presence/>", "<presence><show>away</show></presence>");
    expect(resent).toBe(1);
  });
});

describe("§4.5: unavailable presence", () => {
  beforeEach(async () => {
    await subscribe("romeo", "juliet", "B");
    await juliet.sends("<presence/>");
    await romeo.sends("<presence/>");
    romeo.received();
    juliet.received();
  });

  test("goes to subscribers and other resources, not back to the client", async () => {
    const garden = server.connect("romeo@localhost/garden");
    await garden.sends("<presence/>");
    romeo.received();
    juliet.received();
    garden.received();
    await romeo.sends("<presence type='unavailable'><status>gone</status></presence>");
    romeo.hears();
    juliet.hears(gone(ROMEO, JULIET, "gone"));
    garden.hears(gone(ROMEO, "romeo@localhost/garden", "gone"));
    expect(romeo.available).toBe(false);
  });

  test("is told as a notice with its status", async () => {
    const seen: string[] = [];
    server.hook({ unset_presence: ({ session, status }) => void seen.push(`${session.jid.text} ${status}`) });
    await romeo.sends("<presence type='unavailable'><status>gone</status></presence>");
    expect(seen).toEqual([`${ROMEO} gone`]);
  });

  test("said twice is told once", async () => {
    await romeo.sends("<presence type='unavailable'/>", "<presence type='unavailable'/>");
    juliet.hears(gone(ROMEO, JULIET));
  });

  test.each<[SessionEnd, string]>([
    ["closed", "Shutdown by reason: stream_end"],
    ["lost", "Shutdown by reason: socket_closed"],
    ["replaced", "Replaced by new connection"],
    ["kicked", "Shutdown by reason: kicked"],
    ["shutdown", "Shutdown by reason: system_shutdown"],
    ["timeout", "Shutdown by reason: resume_timeout"],
    ["error", "Shutdown by reason: stream_error"],
  ])("§4.5.2: the server sends it for a session that is %s", async (reason, status) => {
    await romeo.ends(reason);
    juliet.hears(gone(ROMEO, JULIET, status));
    romeo.hears();
  });

  test("a session that is resumed is not gone", async () => {
    await romeo.ends("resumed");
    juliet.hears();
  });

  test("a session that has said goodbye ends in silence", async () => {
    await romeo.sends("<presence type='unavailable'/>");
    juliet.received();
    await romeo.ends();
    juliet.hears();
  });

  test("a session that never was available ends in silence", async () => {
    await server.connect("romeo@localhost/garden").ends();
    juliet.hears();
  });
});

describe("§4.6: directed presence", () => {
  test("goes to whom it is for, from the full JID", async () => {
    await juliet.sends("<presence/>");
    juliet.received();
    await romeo.sends(`<presence to='${JULIET}'><status>psst</status></presence>`);
    juliet.hears(presence(ROMEO, JULIET, "", "<status>psst</status>"));
    romeo.hears();
  });

  test("for a bare JID reaches the available resources", async () => {
    const cell = server.connect("juliet@localhost/cell");
    await juliet.sends("<presence/>");
    juliet.received();
    await romeo.sends("<presence to='juliet@localhost'/>");
    juliet.hears(presence(ROMEO, JULIET));
    cell.hears();
  });

  test.each(["says goodbye", "ends"])("§4.6.3: unavailable presence follows when the session %s", async (how) => {
    await romeo.sends("<presence/>", "<presence to='room@muc.example/Romeo'/>");
    server.remote.length = 0;
    if (how === "ends") await romeo.ends("lost");
    else await romeo.sends("<presence type='unavailable'/>");
    expect(server.remote).toHaveLength(1);
    expect(server.remote[0]).toContain("to='room@muc.example/Romeo'");
    expect(server.remote[0]).toContain("type='unavailable'");
  });

  test("of a session without other presence ends too", async () => {
    await romeo.sends("<presence to='room@muc.example/Romeo'/>");
    server.remote.length = 0;
    await romeo.ends();
    expect(server.remote.join()).toContain("type='unavailable'");
  });

  test("taken back is not ended twice", async () => {
    await romeo.sends("<presence to='room@muc.example/R'/>", "<presence to='room@muc.example/R' type='unavailable'/>");
    server.remote.length = 0;
    await romeo.ends();
    expect(server.remote).toEqual([]);
  });

  test("subscribers hear of the end once", async () => {
    await subscribe("romeo", "juliet", "F");
    await juliet.sends("<presence/>");
    await romeo.sends("<presence/>", `<presence to='${JULIET}'/>`);
    juliet.received();
    await romeo.ends("closed");
    juliet.hears(gone(ROMEO, JULIET, "Shutdown by reason: stream_end"));
  });

  test("is not followed by broadcasts", async () => {
    await romeo.sends("<presence/>", "<presence to='room@muc.example/R'/>");
    server.remote.length = 0;
    await romeo.sends("<presence><show>away</show></presence>");
    expect(server.remote).toEqual([]);
  });

  test("cannot be directed at everybody", async () => {
    const many = Array.from({ length: 4096 }, (_, i) => `<presence to='r${i}@muc.example/n'/>`);
    await romeo.sends(...many);
    await romeo.sends("<presence to='onemore@muc.example/n'/>");
    expect(romeo.received().join()).toContain("<resource-constraint ");
  });
});

describe("§4.7: syntax", () => {
  test.each(["128", "-129", "1.5", "high", "", "1e1"])("priority %j is refused", async (priority) => {
    await romeo.sends(`<presence><priority>${priority}</priority></presence>`);
    expect(romeo.received().join()).toContain("<bad-request ");
    expect(romeo.available).toBe(false);
  });

  test.each([
    ["127", 127],
    ["-128", -128],
    [" 7 ", 7],
    ["+3", 3],
  ])("priority %j is %i", async (text, priority) => {
    await romeo.sends(`<presence><priority>${text}</priority></presence>`);
    expect(romeo.priority).toBe(priority);
  });

  test("§4.7.1: a type that does not exist is refused", async () => {
    await romeo.sends("<presence type='invisible'/>");
    expect(romeo.received().join()).toContain("<bad-request ");
  });

  test("type available is no presence type, but MongooseIM takes it", async () => {
    await romeo.sends("<presence type='available'/>");
    romeo.hears(presence(ROMEO, ROMEO));
  });

  test("presence to oneself is presence to all", async () => {
    await subscribe("romeo", "juliet", "F");
    await juliet.sends("<presence/>");
    juliet.received();
    await romeo.sends("<presence to='romeo@localhost'/>");
    juliet.hears(presence(ROMEO, JULIET));
  });

  test("a probe without an address is refused, an error without one ignored", async () => {
    await romeo.sends("<presence type='probe'/>");
    expect(romeo.received().join()).toContain("<bad-request ");
    await romeo.sends("<presence type='error'/>");
    romeo.hears();
  });

  test("an error for an account is nobody's", async () => {
    await juliet.sends("<presence/>");
    juliet.received();
    await romeo.sends("<presence to='juliet@localhost' type='error'/>");
    juliet.hears();
  });
});

describe("what is kept of a presence", () => {
  test("plain ones are all the same object", async () => {
    await romeo.sends("<presence/>");
    await juliet.sends("<presence id='x'/>");
    expect(romeo.presence).toBe(juliet.presence);
  });

  test("others are copies, so that the client's input is not held", async () => {
    await romeo.sends("<presence><show>away</show></presence>");
    expect(romeo.presence!.raw.buffer.byteLength).toBe("<presence><show>away</show></presence>".length);
  });

  test("lastPresence gives it with its sender", async () => {
    await romeo.sends("<presence/>");
    expect(wireText(lastPresence(romeo)!)).toBe(`<presence from='${ROMEO}'/>`);
    expect(lastPresence(juliet)).toBeUndefined();
  });
});

describe("with a feature that watches what is routed", () => {
  test("presence to local contacts goes past it", async () => {
    await subscribe("romeo", "juliet", "F");
    await juliet.sends("<presence/>");
    juliet.received();
    const seen: string[] = [];
    server.hook({ filter_local_packet: (stanza) => void seen.push(stanza.to.text) });
    await romeo.sends("<presence/>");
    expect(seen).toEqual(["juliet@localhost"]);
    juliet.hears(presence(ROMEO, JULIET));
  });
});
