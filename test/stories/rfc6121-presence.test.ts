// RFC 6121 §4: who is seen by whom, and for how long.
import { describe, expect } from "vitest";
import { stage } from "../support/story.ts";

const { story } = stage();

describe("initial presence", () => {
  story(
    "RFC 6121 §4.2.2: a client gets its own presence back",
    { romeo: 1 },
    async ({ romeo }) => {
      romeo.sends`<presence id="p"><show>chat</show><status xml:lang="en">Wooing</status><priority>1</priority></presence>`;
      await romeo.receives`<presence id="p" from="${romeo.full}" to="${romeo.full}"><show>chat</show><status xml:lang="en">Wooing</status><priority>1</priority></presence>`;
    },
    { silent: true, covers: ["presence_SUITE:available"] },
  );

  story("RFC 6121 §4.2.2: the account's sessions learn of each other", { romeo: 0 }, async ({ romeo }) => {
    const laptop = await romeo.comes("laptop");
    await laptop.comesOnline();
    const phone = await romeo.comes("phone");
    phone.sends`<presence><show>away</show></presence>`;
    await phone.receives`<presence from="${phone.full}"/><presence from="${laptop.full}"/>`;
    await laptop.receives`<presence from="${phone.full}" to="${laptop.full}"><show>away</show></presence>`;
  });

  story(
    "RFC 6121 §4.2.3: contacts who may see it get it, and it gets theirs",
    { romeo: 1, juliet: 1 },
    async ({ romeo, juliet, befriend, another, server, door }) => {
      await befriend(romeo, juliet);
      await romeo.leaves();
      await juliet.receives`<presence type="unavailable" from="${romeo.full}"/>`;
      juliet.sends`<presence><show>dnd</show></presence>`;
      await juliet.receives`<presence from="${juliet.full}"/>`;
      const again = await another(romeo).logsIn(server.target(door), "again");
      again.sends`<presence/>`;
      await again.receives`<presence from="${again.full}"/><presence from="${juliet.full}" to="{any}"><show>dnd</show></presence>`;
      await juliet.receives`<presence from="${again.full}" to="{any}" type="{none}"/>`;
    },
  );

  story("RFC 6121 §4.2.2: strangers get nothing", { romeo: 1, juliet: 1 }, async ({ romeo, juliet }) => {
    romeo.sends`<presence><show>away</show></presence>`;
    await romeo.receives`<presence from="${romeo.full}"/>`;
    await juliet.receivesNothing();
  });
});

describe("changes", () => {
  story(
    "RFC 6121 §4.4.2: everything in presence is passed on as it was",
    { romeo: 1, juliet: 1 },
    async ({ romeo, juliet, befriend }) => {
      await befriend(romeo, juliet);
      romeo.sends`<presence><show>xa</show><status>In Mantua</status><priority>-5</priority><c xmlns="http://jabber.org/protocol/caps" hash="sha-1" node="urn:n" ver="v"/></presence>`;
      await juliet.receives`<presence from="${romeo.full}"><show>xa</show><status>In Mantua</status><priority>-5</priority><c xmlns="http://jabber.org/protocol/caps" hash="sha-1" node="urn:n" ver="v"/></presence>`;
    },
  );

  story(
    "RFC 6121 §4.5.2: unavailable presence reaches contacts and the other sessions, with its status",
    { romeo: 2, juliet: 1 },
    async ({ romeo: [laptop, phone], juliet, befriend }) => {
      await befriend(laptop, juliet);
      await phone.settles();
      await juliet.settles();
      laptop.sends`<presence type="unavailable"><status>Gone to Mantua</status></presence>`;
      await juliet.receives`<presence type="unavailable" from="${laptop.full}"><status>Gone to Mantua</status></presence>`;
      await phone.receives`<presence type="unavailable" from="${laptop.full}"><status>Gone to Mantua</status></presence>`;
    },
  );

  story(
    "RFC 6121 §4.5: after unavailable presence no messages for the account come, and contacts' presence stops",
    { romeo: 1, juliet: 1 },
    async ({ romeo, juliet, befriend }) => {
      await befriend(romeo, juliet);
      juliet.sends`<presence type="unavailable"/>`;
      await romeo.receives`<presence type="unavailable" from="${juliet.full}"/>`;
      await juliet.settles();
      romeo.sends`<presence><show>away</show></presence>`;
      romeo.sends`<message to="${juliet.bare}" type="chat"><body>Are you there?</body></message>`;
      await juliet.receivesNothing();
      juliet.sends`<presence/>`;
      await juliet.receives`<presence from="${juliet.full}"/><presence from="${romeo.full}"><show>away</show></presence><message type="chat"><body>Are you there?</body></message>`;
    },
    { covers: ["presence_SUITE:become_unavailable"] },
  );

  story("RFC 6121 §4.7.2.3: a priority outside -128..127 or no number is refused", { romeo: 1 }, async ({ romeo }) => {
    for (const priority of ["128", "-129", "high"]) {
      romeo.says(`<presence id="${priority}"><priority>${priority}</priority></presence>`);
      const e = await romeo.next();
      expect([e.attrs["type"], e.attrs["id"]]).toEqual(["error", priority]);
      romeo.tally.assertions++;
    }
  });

  story(
    "RFC 6121 §4.7.1: presence of an unknown type is a bad-request",
    { romeo: 1 },
    async ({ romeo }) => {
      romeo.sends`<presence type="sleepy" id="1"/>`;
      await romeo.receives`<presence type="error" id="1"><error type="modify"><bad-request xmlns="urn:ietf:params:xml:ns:xmpp-stanzas"/></error></presence>`;
    },
    { covers: ["presence_SUITE:invalid_presence"] },
  );

  story(
    "RFC 6121 §8.5.2.1.1: with a negative priority no messages for the account come",
    { romeo: 1, juliet: 1 },
    async ({ romeo, juliet }) => {
      juliet.sends`<presence><priority>-10</priority></presence>`;
      await juliet.receives`<presence from="${juliet.full}"><priority>-10</priority></presence>`;
      romeo.sends`<message to="${juliet.bare}" type="chat"><body>Hello?</body></message>`;
      await juliet.receivesNothing();
      juliet.sends`<presence><priority>0</priority></presence>`;
      await juliet.receives`<presence from="${juliet.full}"/><message type="chat"><body>Hello?</body></message>`;
    },
    { covers: ["presence_SUITE:negative_priority_presence"] },
  );
});

describe("every kind of end", () => {
  for (const how of ["closes its stream", "loses its connection", "breaks the protocol", "is replaced"] as const) {
    story(
      `RFC 6121 §4.5.2: contacts and the account's sessions see a client go that ${how}`,
      { romeo: 2, juliet: 1 },
      async ({ romeo: [laptop, phone], juliet, befriend, another, server, door }) => {
        await befriend(laptop, juliet);
        await phone.settles();
        await juliet.settles();
        if (how === "closes its stream") await laptop.leaves();
        else if (how === "loses its connection") await laptop.breaks();
        else if (how === "breaks the protocol") laptop.sendsRaw("<nonsense/>");
        else await another(laptop).logsIn(server.target(door), "laptop");
        await juliet.receives`<presence type="unavailable" from="${laptop.full}"/>`;
        await phone.receives`<presence type="unavailable" from="${laptop.full}"/>`;
        await juliet.receivesNothing();
      },
    );
  }

  story(
    "a session that never was available goes unseen",
    { romeo: 1, juliet: 1 },
    async ({ romeo, juliet, befriend, another, server, door }) => {
      await befriend(romeo, juliet);
      const quiet = await another(romeo).logsIn(server.target(door), "quiet");
      await quiet.leaves();
      await juliet.receivesNothing();
    },
  );
});

describe("directed presence", () => {
  story(
    "RFC 6121 §4.6: it reaches somebody who sees no other presence",
    { romeo: 1, juliet: 1 },
    async ({ romeo, juliet }) => {
      romeo.sends`<presence to="${juliet.bare}"><show>chat</show></presence>`;
      await juliet.receives`<presence from="${romeo.full}"><show>chat</show></presence>`;
      romeo.sends`<presence><show>away</show></presence>`;
      await romeo.receives`<presence from="${romeo.full}"/>`;
      await juliet.receivesNothing();
    },
    { covers: ["presence_SUITE:available_direct"] },
  );

  story(
    "RFC 6121 §4.6.3: to a full JID it reaches that session alone",
    { romeo: 1, juliet: 2 },
    async ({ romeo, juliet: [laptop, phone] }) => {
      romeo.sends`<presence to="${phone.full}"/>`;
      await phone.receives`<presence from="${romeo.full}" to="${phone.full}"/>`;
      await laptop.receivesNothing();
    },
  );

  story(
    "RFC 6121 §4.6.3: who got it is told when the sender goes unavailable",
    { romeo: 1, juliet: 1 },
    async ({ romeo, juliet }) => {
      romeo.sends`<presence to="${juliet.full}"/>`;
      await juliet.receives`<presence from="${romeo.full}"/>`;
      romeo.sends`<presence type="unavailable"/>`;
      await juliet.receives`<presence type="unavailable" from="${romeo.full}"/>`;
      await juliet.receivesNothing();
    },
    { covers: ["presence_SUITE:available_direct_then_unavailable"] },
  );

  story(
    "RFC 6121 §4.6.3: and when the sender's connection breaks",
    { romeo: 1, juliet: 1 },
    async ({ romeo, juliet }) => {
      romeo.sends`<presence to="${juliet.full}"/>`;
      await juliet.receives`<presence from="${romeo.full}"/>`;
      await romeo.breaks();
      await juliet.receives`<presence type="unavailable" from="${romeo.full}"/>`;
    },
    { covers: ["presence_SUITE:available_direct_then_disconnect"] },
  );

  story(
    "RFC 6121 §4.6.3: after directed unavailable presence not again",
    { romeo: 1, juliet: 1 },
    async ({ romeo, juliet }) => {
      romeo.sends`<presence to="${juliet.full}"/>`;
      await juliet.receives`<presence from="${romeo.full}"/>`;
      romeo.sends`<presence to="${juliet.full}" type="unavailable"/>`;
      await juliet.receives`<presence type="unavailable" from="${romeo.full}"/>`;
      await romeo.leaves();
      await juliet.receivesNothing();
    },
  );

  story(
    "RFC 6121 §4.6: a client without initial presence may send it",
    { romeo: 1, juliet: 0 },
    async ({ romeo, juliet }) => {
      const her = await juliet.comes();
      await her.comesOnline();
      romeo.sends`<presence to="${her.full}"/>`;
      await her.receives`<presence from="${romeo.full}"/>`;
      await romeo.leaves();
      await her.receives`<presence type="unavailable" from="${romeo.full}"/>`;
    },
    { silent: true },
  );
});

describe("probes", () => {
  story(
    "RFC 6121 §4.3: a contact who may see it is answered, a stranger is not",
    { romeo: 1, juliet: 1, tybalt: 1 },
    async ({ romeo, juliet, tybalt, befriend }) => {
      await befriend(romeo, juliet);
      romeo.sends`<presence><show>dnd</show></presence>`;
      await juliet.receives`<presence from="${romeo.full}"/>`;
      juliet.sends`<presence type="probe" to="${romeo.bare}"/>`;
      await juliet.receives`<presence from="${romeo.full}"><show>dnd</show></presence>`;
      tybalt.sends`<presence type="probe" to="${romeo.bare}"/>`;
      const came = await tybalt.settles();
      expect(came.filter((e) => e.attrs["type"] === undefined)).toEqual([]);
    },
  );
});
