// Conversations about subscriptions (RFC 6121 §3), with rosters and presence together.
import { beforeEach, describe, expect, test } from "vitest";
import { parseBareJid } from "../../../core/jid.ts";
import modPresence from "../../../modules/mod_presence/index.ts";
import modRoster from "../../../modules/mod_roster/index.ts";
import { type FakeClient, FakeServer } from "../../support/fake-server.ts";

let server: FakeServer;
let romeo: FakeClient;
let juliet: FakeClient;

const stanza = (who: string, type: string) => `<presence to='${who}@localhost' type='${type}'/>`;
const from = (who: string, type: string, to: FakeClient) =>
  `<presence from='${who}@localhost' to='${to.jid.text}' type='${type}'/>`;
const push = (to: FakeClient, item: string) =>
  `<iq from='${to.jid.bare.text}' to='${to.jid.text}' type='set'><query xmlns='jabber:iq:roster'>${item}</query></iq>`;
const item = (who: string, subscription: string, ask = "") =>
  `<item jid='${who}@localhost' subscription='${subscription}'${ask}/>`;
const ASK = " ask='subscribe'";

async function rosterOf(client: FakeClient): Promise<string> {
  client.received();
  await client.sends("<iq type='get' id='r'><query xmlns='jabber:iq:roster'/></iq>");
  return client.received()[0];
}

async function online(jid: string): Promise<FakeClient> {
  const client = server.connect(jid);
  await client.sends("<presence/>");
  client.received();
  return client;
}

beforeEach(async () => {
  server = new FakeServer({ users: ["romeo", "juliet"] });
  await server.startModule(modRoster);
  await server.startModule(modPresence);
  romeo = await online("romeo@localhost/orchard");
  juliet = await online("juliet@localhost/balcony");
});

describe("RFC 6121 §3.1: requesting a subscription", () => {
  test("§3.1.2: the user gets a push with ask, the contact the request from the user's bare JID", async () => {
    await romeo.sends(stanza("juliet", "subscribe"));
    romeo.hears(push(romeo, item("juliet", "none", ASK)));
    juliet.hears(from("romeo", "subscribe", juliet));
  });

  test("§3.1.2: a request to a full JID is one to the bare JID", async () => {
    await romeo.sends("<presence to='juliet@localhost/balcony' type='subscribe'/>");
    romeo.hears(push(romeo, item("juliet", "none", ASK)));
    juliet.hears(from("romeo", "subscribe", juliet));
  });

  test("§3.1.3: the request is not an item of the contact's roster", async () => {
    await romeo.sends(stanza("juliet", "subscribe"));
    expect(await rosterOf(juliet)).not.toContain("<item");
  });

  test("§3.1.3: the request waits for the contact, with its text, until it is answered", async () => {
    await juliet.ends();
    await romeo.sends("<presence to='juliet@localhost' type='subscribe'><status>'tis I</status></presence>");
    for (const resource of ["a", "b"]) {
      const back = server.connect(`juliet@localhost/${resource}`);
      await back.sends("<presence/>");
      back.hears(
        `<presence from='${back.jid.text}' to='${back.jid.text}'/>`,
        `<presence from='romeo@localhost' to='${back.jid.text}' type='subscribe'><status>'tis I</status></presence>`,
      );
      await back.ends();
    }
    const back = await online("juliet@localhost/c");
    await back.sends(stanza("romeo", "subscribed"));
    await back.ends();
    const again = server.connect("juliet@localhost/d");
    await again.sends("<presence/>");
    expect(again.received().join()).not.toContain("type='subscribe'");
  });

  test("§3.1.3: many requests that wait are read in one query", async () => {
    for (const name of ["a", "b", "c"]) {
      await server.receivesFrom(`<presence from='${name}@verona.example' to='juliet@localhost' type='subscribe'/>`);
    }
    const cell = server.connect("juliet@localhost/cell");
    server.db.log.length = 0;
    await cell.sends("<presence/>");
    expect(server.db.log).toHaveLength(1);
    expect(cell.received().filter((text) => text.includes("type='subscribe'"))).toHaveLength(3);
  });

  test("a request that cannot be stored is not shown", async () => {
    server.db.failing = true;
    await server.receivesFrom("<presence from='a@verona.example' to='juliet@localhost' type='subscribe'/>");
    juliet.hears();
    expect(server.logged.join()).toContain("subscription_failed");
  });

  test("a client is told when its request cannot be stored", async () => {
    server.db.failing = true;
    await romeo.sends(stanza("juliet", "subscribe"));
    expect(romeo.received().join()).toContain("<internal-server-error ");
    juliet.hears();
  });

  test("§3.1.3: the text of a request goes when it is answered", async () => {
    await romeo.sends("<presence to='juliet@localhost' type='subscribe'><status>secret</status></presence>");
    await juliet.sends(stanza("romeo", "subscribed"));
    expect(await server.db.query("SELECT askmessage FROM rosterusers WHERE askmessage <> ''")).toEqual([]);
  });

  test("§3.1.3: a second request before the answer is not shown again", async () => {
    await romeo.sends(stanza("juliet", "subscribe"), stanza("juliet", "subscribe"));
    juliet.hears(from("romeo", "subscribe", juliet));
  });

  test("§3.1.3: who is subscribed already is answered by the server", async () => {
    await befriend();
    await romeo.sends(stanza("juliet", "subscribe"));
    juliet.hears();
    await server.receivesFrom("<presence from='tybalt@verona.example' to='juliet@localhost' type='subscribe'/>");
    await juliet.sends("<presence to='tybalt@verona.example' type='subscribed'/>");
    server.remote.length = 0;
    await server.receivesFrom("<presence from='tybalt@verona.example' to='juliet@localhost' type='subscribe'/>");
    expect(server.remote).toHaveLength(1);
    expect(server.remote[0]).toContain("type='subscribed'");
  });

  test("nobody asks for an account that is not there", async () => {
    await romeo.sends(stanza("nobody", "subscribe"));
    romeo.hears(push(romeo, item("nobody", "none", ASK)));
    expect(await server.db.query("SELECT * FROM rosterusers WHERE username = 'nobody'")).toEqual([]);
  });

  test("§3.1.5, §3.1.6: approval, then the push, then the contact's presence", async () => {
    await romeo.sends(stanza("juliet", "subscribe"));
    romeo.received();
    juliet.received();
    await juliet.sends(stanza("romeo", "subscribed"));
    juliet.hears(push(juliet, item("romeo", "from")));
    romeo.hears(
      from("juliet", "subscribed", romeo),
      push(romeo, item("juliet", "to")),
      "<presence from='juliet@localhost/balcony' to='romeo@localhost/orchard'/>",
    );
  });

  test("§3.1.4: approval that nobody asked for goes nowhere", async () => {
    await juliet.sends(stanza("romeo", "subscribed"));
    romeo.hears();
    juliet.hears();
  });

  test("name and groups outlive the request and its approval", async () => {
    await romeo.sends(
      "<iq type='set' id='s'><query xmlns='jabber:iq:roster'><item jid='juliet@localhost' name='J'><group>L</group></item></query></iq>",
    );
    await befriend();
    expect(await rosterOf(romeo)).toContain(
      "<item jid='juliet@localhost' name='J' subscription='both'><group>L</group></item>",
    );
  });

  test("a contact of the roster who asks stays in it", async () => {
    await juliet.sends(
      "<iq type='set' id='s'><query xmlns='jabber:iq:roster'><item jid='romeo@localhost' name='R'/></query></iq>",
    );
    await romeo.sends(stanza("juliet", "subscribe"));
    expect(await rosterOf(juliet)).toContain("<item jid='romeo@localhost' name='R' subscription='none'/>");
  });

  test("a subscription needs a contact", async () => {
    await romeo.sends("<presence type='subscribe'/>");
    expect(romeo.received().join()).toContain("<bad-request ");
  });

  test("nobody subscribes to himself", async () => {
    await romeo.sends(stanza("romeo", "subscribe"));
    romeo.hears();
    expect(await rosterOf(romeo)).not.toContain("<item");
  });
});

async function befriend(): Promise<void> {
  await romeo.sends(stanza("juliet", "subscribe"));
  await juliet.sends(stanza("romeo", "subscribed"), stanza("romeo", "subscribe"));
  await romeo.sends(stanza("juliet", "subscribed"));
  romeo.received();
  juliet.received();
}

describe("RFC 6121 §3.2: cancelling the contact's subscription", () => {
  beforeEach(befriend);

  test("the contact loses it, and the user's presence with it", async () => {
    await juliet.sends(stanza("romeo", "unsubscribed"));
    juliet.hears(push(juliet, item("romeo", "to")));
    romeo.hears(
      from("juliet", "unsubscribed", romeo),
      push(romeo, item("juliet", "from")),
      "<presence from='juliet@localhost/balcony' to='romeo@localhost/orchard' type='unavailable'/>",
    );
  });

  test("later presence is not for the contact", async () => {
    await juliet.sends(stanza("romeo", "unsubscribed"));
    romeo.received();
    await juliet.sends("<presence><show>dnd</show></presence>");
    romeo.hears();
  });
});

describe("RFC 6121 §3.2.1: denying a request", () => {
  test("leaves no trace in the contact's roster", async () => {
    await romeo.sends(stanza("juliet", "subscribe"));
    romeo.received();
    juliet.received();
    await juliet.sends(stanza("romeo", "unsubscribed"));
    juliet.hears();
    romeo.hears(from("juliet", "unsubscribed", romeo), push(romeo, item("juliet", "none")));
    expect(await server.db.query("SELECT * FROM rosterusers WHERE username = 'juliet'")).toEqual([]);
  });
});

describe("RFC 6121 §3.3: unsubscribing", () => {
  beforeEach(befriend);

  test("the contact hears of it, and his presence ends", async () => {
    await romeo.sends(stanza("juliet", "unsubscribe"));
    romeo.hears(
      push(romeo, item("juliet", "from")),
      "<presence from='juliet@localhost/balcony' to='romeo@localhost/orchard' type='unavailable'/>",
    );
    juliet.hears(from("romeo", "unsubscribe", juliet), push(juliet, item("romeo", "to")));
  });
});

test("RFC 6121 §3.3: a request that is taken back leaves no trace", async () => {
  await romeo.sends(stanza("juliet", "subscribe"), stanza("juliet", "unsubscribe"));
  expect(await server.db.query("SELECT * FROM rosterusers WHERE username = 'juliet'")).toEqual([]);
});

describe("RFC 6121 §2.5.2: removing a contact", () => {
  test("ends the subscriptions both ways", async () => {
    await befriend();
    await romeo.sends(
      "<iq type='set' id='rm'><query xmlns='jabber:iq:roster'><item jid='juliet@localhost' subscription='remove'/></query></iq>",
    );
    romeo.hears(
      push(romeo, "<item jid='juliet@localhost' subscription='remove'/>"),
      "<presence from='juliet@localhost/balcony' to='romeo@localhost/orchard' type='unavailable'/>",
      "<iq from='romeo@localhost' to='romeo@localhost/orchard' id='rm' type='result'/>",
    );
    juliet.hears(
      from("romeo", "unsubscribe", juliet),
      push(juliet, item("romeo", "to")),
      from("romeo", "unsubscribed", juliet),
      push(juliet, item("romeo", "none")),
      "<presence from='romeo@localhost/orchard' to='juliet@localhost/balcony' type='unavailable'/>",
    );
  });
});

describe("an account that is removed", () => {
  test("its contacts lose their subscriptions, its data goes", async () => {
    await befriend();
    await juliet.ends();
    romeo.received();
    await server.removeUser(parseBareJid("juliet@localhost"));
    expect(await rosterOf(romeo)).toContain(item("juliet", "none"));
    expect(await server.db.query("SELECT * FROM rosterusers WHERE username = 'juliet'")).toEqual([]);
  });
});

describe("contacts of other domains", () => {
  test("their server gets the stanza from the bare JID", async () => {
    await romeo.sends("<presence to='paris@verona.example' type='subscribe' id='x'/>");
    expect(server.remote).toHaveLength(1);
    expect(server.remote[0]).toContain("from='romeo@localhost'");
    expect(server.remote[0]).toContain("to='paris@verona.example'");
  });

  test("presence goes to those who have a subscription", async () => {
    await server.receivesFrom("<presence from='paris@verona.example' to='romeo@localhost' type='subscribe'/>");
    await romeo.sends("<presence to='paris@verona.example' type='subscribed'/>");
    server.remote.length = 0;
    await romeo.sends("<presence><show>away</show></presence>");
    expect(server.remote).toEqual([
      "<presence from='romeo@localhost/orchard' to='paris@verona.example'><show>away</show></presence>",
    ]);
  });
});
