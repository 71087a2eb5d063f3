// RFC 6120 §8.2.3 and RFC 6121 §8: requests and their answers.
import { describe, expect } from "vitest";
import { stage } from "../support/story.ts";

const NS_STANZAS = "urn:ietf:params:xml:ns:xmpp-stanzas";
const error = (type: string, condition: string): string =>
  `<error type="${type}"><${condition} xmlns="${NS_STANZAS}"/></error>`;

const { story } = stage();

describe("between clients", () => {
  story(
    "RFC 6121 §8.5.3.1: a request for a full JID reaches that session, and the answer comes back",
    { romeo: 1, juliet: 2 },
    async ({ romeo, juliet: [laptop, phone] }) => {
      romeo.sends`<iq type="get" id="q" to="${laptop.full}"><query xmlns="urn:own">Which?</query></iq>`;
      await laptop.receives`<iq type="get" id="q" from="${romeo.full}" to="${laptop.full}"><query xmlns="urn:own">Which?</query></iq>`;
      laptop.sends`<iq type="result" id="q" to="${romeo.full}"><query xmlns="urn:own">This</query></iq>`;
      await romeo.receives`<iq type="result" id="q" from="${laptop.full}"><query xmlns="urn:own">This</query></iq>`;
      await phone.receivesNothing();
    },
  );

  story(
    "RFC 6121 §8.5.3.1: it reaches a session that has sent no presence, too",
    { romeo: 1, juliet: 1 },
    async ({ romeo, juliet }) => {
      romeo.sends`<iq type="set" id="q" to="${juliet.full}"><query xmlns="urn:own"/></iq>`;
      await juliet.receives`<iq type="set" id="q" from="${romeo.full}"/>`;
      juliet.sends`<iq type="error" id="q" to="${romeo.full}"><error type="cancel"><not-allowed xmlns="${NS_STANZAS}"/></error></iq>`;
      await romeo.receives`<iq type="error" id="q" from="${juliet.full}">${error("cancel", "not-allowed")}</iq>`;
    },
    { silent: true },
  );

  story(
    "RFC 6121 §8.5.3.2.3: a request for a session that is not there is service-unavailable, with its payload",
    { romeo: 1, juliet: 1 },
    async ({ romeo, juliet }) => {
      romeo.sends`<iq type="get" id="q" to="${juliet.bare}/gone"><query xmlns="urn:own"/></iq>`;
      await romeo.receives`<iq type="error" id="q" from="${juliet.bare}/gone"><query xmlns="urn:own"/>${error("cancel", "service-unavailable")}</iq>`;
      await juliet.receivesNothing();
    },
  );

  story(
    "RFC 6120 §8.2.3: answers for a session that is not there are forgotten",
    { romeo: 1, juliet: 1 },
    async ({ romeo, juliet }) => {
      romeo.sends`<iq type="result" id="q" to="${juliet.bare}/gone"/>`;
      romeo.sends`<iq type="error" id="q" to="${juliet.bare}/gone">${error("cancel", "gone")}</iq>`;
      romeo.sends`<iq type="result" id="q" to="${juliet.bare}"/>`;
      romeo.sends`<iq type="result" id="q" to="localhost"/>`;
      await romeo.receivesNothing();
      await juliet.receivesNothing();
    },
    { covers: ["race_conditions_SUITE:ignore_iq_result_from_old_session"] },
  );
});

describe("to the server and to accounts", () => {
  const table: [title: string, to: string, condition: string][] = [
    ["§8.2.3: an unknown request to the server is feature-not-implemented", "localhost", "feature-not-implemented"],
    ["§8.5.2.1.3: an unknown request to an account is service-unavailable", "{juliet}", "service-unavailable"],
    ["§8.5.1: to an account that is not there, the same", "nobody@localhost", "service-unavailable"],
    [
      "§8.2.3: an unknown request to a resource of the server is service-unavailable",
      "localhost/x",
      "service-unavailable",
    ],
    ["§8.3: a request to a foreign domain is remote-server-not-found", "nowhere.example", "remote-server-not-found"],
  ];
  for (const [title, to, condition] of table) {
    for (const type of ["get", "set"]) {
      story(`RFC 6121 ${title} (${type})`, { romeo: 1, juliet: 1 }, async ({ romeo, juliet }) => {
        const whom = to.replace("{juliet}", juliet.bare);
        romeo.sends`<iq type="${type}" id="q" to="${whom}"><query xmlns="urn:own"/></iq>`;
        await romeo.receives`<iq type="error" id="q" from="${whom}" to="${romeo.full}"><query xmlns="urn:own"/>${error("cancel", condition)}</iq>`;
        await juliet.receivesNothing();
      });
    }
  }

  story("RFC 6120 §10.3.3: a request without 'to' is for one's own account", { romeo: 1 }, async ({ romeo }) => {
    romeo.sends`<iq type="get" id="q"><query xmlns="urn:own"/></iq>`;
    await romeo.receives`<iq type="error" id="q" from="${romeo.bare}">${error("cancel", "service-unavailable")}</iq>`;
  });

  const malformed: [title: string, attributes: string, payload: string][] = [
    ["a get without a payload", `type="get" id="q"`, ""],
    ["a set without a payload", `type="set" id="q"`, ""],
    ["a get with two payloads", `type="get" id="q"`, `<a xmlns="urn:a"/><b xmlns="urn:b"/>`],
    ["an unknown type", `type="ask" id="q"`, `<a xmlns="urn:a"/>`],
    ["no type", `id="q"`, `<a xmlns="urn:a"/>`],
    ["no id", `type="get"`, `<a xmlns="urn:a"/>`],
  ];
  for (const [title, attributes, payload] of malformed) {
    story(`RFC 6120 §8.2.3: an iq with ${title} is a bad-request`, { romeo: 1 }, async ({ romeo }) => {
      romeo.says(`<iq ${attributes} to="localhost">${payload}</iq>`);
      await romeo.hears(`<iq type="error" from="localhost">${error("modify", "bad-request")}</iq>`);
      await romeo.receivesNothing();
    });
  }

  story("answers are sent to the one session that asked", { romeo: 2 }, async ({ romeo: [laptop, phone] }) => {
    laptop.sends`<iq type="get" id="v" to="localhost"><query xmlns="jabber:iq:version"/></iq>`;
    const answer = await laptop.receives`<iq type="result" id="v" to="${laptop.full}"/>`;
    expect(answer.attrs["from"]).toBe("localhost");
    await phone.receivesNothing();
  });
});
