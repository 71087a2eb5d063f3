// What RFC 6120 and 6121 demand of a server where an unkind or old client tries it; and what nobody may forge.
import { describe, expect } from "vitest";
import { stage } from "../support/story.ts";

const STANZAS = "urn:ietf:params:xml:ns:xmpp-stanzas";
const SID = "urn:xmpp:sid:0";

describe("what nobody may forge", () => {
  const { story } = stage();

  for (const type of ["chat", "headline", "groupchat", "error", "normal", "odd"]) {
    story(
      `XEP-0359 §5: a message of type ${type} brings no id in the name of its recipient or the server`,
      { romeo: 1, juliet: 1 },
      async ({ romeo, juliet }) => {
        const ids = [juliet.bare, juliet.bare.toUpperCase(), "localhost", "LOCALHOST"]
          .map((by) => `<stanza-id xmlns="${SID}" by="${by}" id="forged"/>`)
          .join("");
        romeo.says(`<message to="${juliet.full}" type="${type}" id="1"><body>x</body>${ids}</message>`);
        const got = await juliet.next();
        expect(got.name).toBe("message");
        const forged = JSON.stringify(got.children).includes("forged");
        expect(forged).toBe(false);
        juliet.tally.assertions++;
      },
    );
  }

  story(
    "RFC 6120 §8.1.2.1: a from that is somebody else's ends the stream",
    { romeo: 1, juliet: 1 },
    async ({ romeo, juliet }) => {
      romeo.says(`<message from="${juliet.full}" to="${juliet.bare}"><body>x</body></message>`);
      await romeo.receivesStreamError("invalid-from");
      await juliet.receivesNothing();
    },
  );

  story(
    "XEP-0280 §11: a made-up carbon keeps its sender's full address and is not copied on",
    { romeo: 1, juliet: 2 },
    async ({ romeo, juliet: [laptop, phone] }) => {
      await phone.enables("carbons");
      const inside = `<forwarded xmlns="urn:xmpp:forward:0"><message xmlns="jabber:client" from="nurse@localhost/x" to="${laptop.bare}" type="chat"><body>Fake</body></message></forwarded>`;
      romeo.says(
        `<message to="${laptop.full}" type="chat"><received xmlns="urn:xmpp:carbons:2">${inside}</received></message>`,
      );
      const got = await laptop.next();
      expect(got.attrs["from"]).toBe(romeo.full);
      await phone.receivesNothing();
    },
  );

  story(
    "XEP-0198 §5: a stream of somebody else's cannot be resumed",
    { romeo: 1, juliet: 1 },
    async ({ romeo, juliet, another, server, door }) => {
      await romeo.managesStream();
      const thief = await another(juliet).connects(server.target(door));
      await thief.opens();
      await thief.authenticates();
      thief.sendsRaw(`<resume xmlns='urn:xmpp:sm:3' h='0' previd='${romeo.resumeId}'/>`);
      await thief.receives`<failed xmlns="urn:xmpp:sm:3"><item-not-found xmlns="${STANZAS}"/></failed>`;
      await romeo.settled();
    },
  );

  story("an account's roster is nobody else's to read or write", { romeo: 1, juliet: 1 }, async ({ romeo, juliet }) => {
    for (const type of ["get", "set"]) {
      romeo.says(
        `<iq to="${juliet.bare}" type="${type}" id="${type}"><query xmlns="jabber:iq:roster"><item jid="evil@localhost"/></query></iq>`,
      );
      const answer = await romeo.next();
      expect([answer.attrs["type"], answer.attrs["id"]]).toEqual(["error", type]);
      romeo.tally.assertions++;
    }
    await juliet.receivesNothing();
  });

  story(
    "a result that nobody asked for reaches nobody's question",
    { romeo: 1, juliet: 1 },
    async ({ romeo, juliet, server }) => {
      const session = server.node.sessions.of(juliet.bare)[0];
      const { Markup } = await import("../../core/xml/markup.ts");
      const answer = session.request("get", new Markup("<ping xmlns='urn:xmpp:ping'/>"), 2_000);
      const asked = await juliet.next();
      const id = asked.attrs["id"];
      romeo.says(`<iq type="result" id="${id}" to="localhost"/>`);
      romeo.says(`<iq type="result" id="${id}" to="${juliet.bare}"/>`);
      await romeo.settled();
      juliet.says(`<iq type="result" id="${id}" to="localhost"><mine xmlns="urn:x"/></iq>`);
      expect((await answer)?.has("mine", "urn:x")).toBe(true);
      juliet.tally.assertions++;
    },
  );
});

describe("RFC 6121", () => {
  const { story } = stage();

  story(
    "§8.5.1: a request to an account that does not exist is answered with service-unavailable",
    { romeo: 1 },
    async ({ romeo }) => {
      for (const payload of [
        "<ping xmlns='urn:xmpp:ping'/>",
        "<query xmlns='http://jabber.org/protocol/disco#info'/>",
        "<vCard xmlns='vcard-temp'/>",
        "<query xmlns='jabber:iq:last'/>",
      ]) {
        romeo.says(`<iq to="nobody-at-all@localhost" type="get" id="1">${payload}</iq>`);
        const answer = await romeo.next();
        expect([payload, answer.attrs["type"]]).toEqual([payload, "error"]);
        romeo.tally.assertions++;
      }
    },
  );

  story(
    "§5.2.2: a message of an unknown type is treated as a normal one",
    { romeo: 1, juliet: 0 },
    async ({ romeo, juliet }) => {
      romeo.says(`<message to="${juliet.bare}" type="smoke-signal" id="1"><body>x</body></message>`);
      await romeo.receivesNothing();
      const back = await juliet.comes();
      back.says("<presence/>");
      await back.skipsTo((e) => e.attrs["id"] === "1");
    },
  );

  story(
    "§8.5.2.1.1: a headline for the account goes to every resource with a non-negative priority",
    { romeo: 1, juliet: 2 },
    async ({ romeo, juliet: [laptop, phone] }) => {
      romeo.says(`<message to="${laptop.bare}" type="headline" id="1"><body>x</body></message>`);
      await laptop.receives`<message id="1"><body>x</body></message>`;
      await phone.receives`<message id="1"><body>x</body></message>`;
    },
  );

  story(
    "§8.5.3.2.3: a request to a resource that is not there is answered with service-unavailable",
    { romeo: 1, juliet: 1 },
    async ({ romeo, juliet }) => {
      romeo.says(`<iq to="${juliet.bare}/nowhere" type="get" id="1"><ping xmlns="urn:xmpp:ping"/></iq>`);
      await romeo.receives`<iq type="error" id="1" from="${juliet.bare}/nowhere"><ping xmlns="urn:xmpp:ping"/><error type="cancel"><service-unavailable xmlns="${STANZAS}"/></error></iq>`;
      romeo.says(`<presence to="${juliet.bare}/nowhere"/>`);
      await romeo.receivesNothing();
    },
  );

  story("presence to oneself changes nothing that others see wrongly", { romeo: 2 }, async ({ romeo: [a, b] }) => {
    a.says(`<presence to="${a.full}"/>`);
    await a.receives`<presence from="${a.full}" to="${a.full}"/>`;
    await b.receivesNothing();
    a.says(`<presence to="${a.bare}" type="unavailable"/>`);
    await b.receives`<presence from="${a.full}" type="unavailable"/>`;
  });
});

describe("RFC 6120", () => {
  const { story } = stage();

  story("§8.2.3: an iq that breaks the rules is answered with bad-request", { romeo: 1 }, async ({ romeo }) => {
    for (const iq of [
      `<iq type="get" to="localhost" id="1"/>`,
      `<iq type="get" to="localhost" id="1"><a xmlns="u"/><b xmlns="u"/></iq>`,
      `<iq type="wrong" to="localhost" id="1"><a xmlns="u"/></iq>`,
      `<iq to="localhost" id="1"><a xmlns="u"/></iq>`,
      `<iq type="get" to="localhost"><ping xmlns="urn:xmpp:ping"/></iq>`,
    ]) {
      romeo.says(iq);
      const answer = await romeo.next();
      expect([iq, answer.attrs["type"], JSON.stringify(answer.children).includes("bad-request")]).toEqual([
        iq,
        "error",
        true,
      ]);
      romeo.tally.assertions++;
    }
  });

  story("§8.3.1: an error is not answered with an error", { romeo: 1 }, async ({ romeo }) => {
    romeo.says(`<message type="error" to="nobody@nowhere.example" id="1"><body>x</body></message>`);
    romeo.says(`<iq type="error" to="@@" id="1"/>`);
    romeo.says(`<iq type="result" to="nobody@localhost/x" id="1"/>`);
    romeo.says(`<presence type="error" to="nobody@nowhere.example"/>`);
    await romeo.receivesNothing();
  });

  story(
    "§6.4.6: after SASL a stanza without a new stream ends the stream",
    {},
    async ({ actor, server }) => {
      const c = await (await actor("romeo")).connects(server.target("tcp"));
      await c.opens();
      c.sendsRaw(
        `<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>${Buffer.from(`\0${c.local}\0romeo's secret`).toString("base64")}</auth>`,
      );
      await c.receives`<success xmlns="urn:ietf:params:xml:ns:xmpp-sasl"/>`;
      c.wire.restart();
      c.sendsRaw("<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>");
      const error = await c.next();
      expect(error.name).toBe("error");
      await c.receivesEnd();
    },
    { door: "tcp" },
  );

  story(
    "§7.1: nothing but binding is possible before a resource is bound",
    { juliet: 1 },
    async ({ juliet, actor, server, door }) => {
      const c = await (await actor("romeo")).connects(server.target(door));
      await c.opens();
      await c.authenticates();
      c.says(`<message to="${juliet.full}"><body>Early</body></message>`);
      await c.receivesStreamError("not-authorized");
      await juliet.receivesNothing();
    },
  );

  story(
    "§5.3.1: TLS cannot be begun on a stream that has authenticated",
    {},
    async ({ actor, server }) => {
      const c = await (await actor("romeo")).connects(server.target("tcp", 0));
      await c.opens();
      await c.authenticates();
      c.sendsRaw("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
      await c.receives`<failure xmlns="urn:ietf:params:xml:ns:xmpp-tls"/>`;
      await c.receivesEnd();
    },
    { door: "tcp" },
  );
});

describe("XEP-0077", () => {
  const { story } = stage();

  story(
    "§3.2: who removes the own account is told so before the stream ends",
    { romeo: 2 },
    async ({ romeo: [laptop, phone] }) => {
      laptop.says(`<iq type="set" id="r"><query xmlns="jabber:iq:register"><remove/></query></iq>`);
      await laptop.skipsTo((e) => e.attrs["id"] === "r" && e.attrs["type"] === "result");
      laptop.tally.assertions++;
      await phone.skipsTo((e) => e.name === "error");
    },
  );
});

describe("what a stranger may not learn", () => {
  const { story } = stage();

  story(
    "RFC 6121 §4.3.2: whether an account is online, offline or does not exist looks the same to a stranger's probe",
    { romeo: 1, juliet: 1, nurse: 0 },
    async ({ romeo, juliet, nurse }) => {
      const answers: string[] = [];
      for (const jid of [juliet.bare, nurse.bare, "nobody-at-all@localhost"]) {
        romeo.says(`<presence to="${jid}" type="probe"/>`);
        const came = await romeo.settles();
        answers.push(came.map((e) => `${e.name} ${e.attrs["type"]}`).join());
      }
      expect(answers).toEqual([answers[0], answers[0], answers[0]]);
      romeo.tally.assertions++;
    },
  );

  story(
    "XEP-0012 §4, XEP-0030 §8: nor by its last activity or its resources",
    { romeo: 1, juliet: 1, nurse: 0 },
    async ({ romeo, juliet, nurse }) => {
      for (const payload of [
        "<query xmlns='jabber:iq:last'/>",
        "<query xmlns='http://jabber.org/protocol/disco#items'/>",
        "<query xmlns='http://jabber.org/protocol/disco#info'/>",
      ]) {
        const answers: string[] = [];
        for (const jid of [juliet.bare, nurse.bare, "nobody-at-all@localhost"]) {
          romeo.says(`<iq to="${jid}" type="get" id="1">${payload}</iq>`);
          const e = await romeo.next();
          answers.push(`${e.attrs["type"]} ${JSON.stringify(e.children)}`);
        }
        expect([payload, answers[1]]).toEqual([payload, answers[0]]);
      }
      romeo.tally.assertions++;
    },
  );
});
