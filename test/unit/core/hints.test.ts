import { describe, expect, test } from "vitest";
import { archivable, noCopy, noPermanentStore, noStore, storable } from "../../../core/hints.ts";
import { viewText } from "../../../core/xml/framer.ts";

const message = (inner: string, type = "chat") => viewText(`<message type='${type}'>${inner}</message>`);
const hint = (name: string) => `<${name} xmlns='urn:xmpp:hints'/>`;
const fastened = (ns: string, id: string) =>
  `<apply-to xmlns='urn:xmpp:fasten:0'${id}><retract xmlns='${ns}'/></apply-to>`;
const BODY = "<body>b</body>";

describe("XEP-0334: the four hints", () => {
  test.each([
    ["", false, false, false],
    [hint("no-store"), true, true, false],
    [hint("no-permanent-store"), false, true, false],
    [hint("no-copy"), false, false, true],
    [hint("store"), false, false, false],
    ["<no-store/>", false, false, false], // of no namespace of hints
  ])("%s", (inner, store, permanent, copy) => {
    const m = message(BODY + inner);
    expect([noStore(m), noPermanentStore(m), noCopy(m)]).toEqual([store, permanent, copy]);
  });
});

const MARKER = "<displayed xmlns='urn:xmpp:chat-markers:0' id='1'/>";
const RECEIPT = "<received xmlns='urn:xmpp:receipts' id='1'/>";

describe("what an archive keeps", () => {
  test.each<[title: string, inner: string, type: string, always: boolean, bare: boolean]>([
    ["a body", BODY, "chat", true, true],
    ["a body of type normal", BODY, "normal", true, true],
    ["a body in a room", BODY, "groupchat", true, true],
    ["a headline", BODY, "headline", false, false],
    ["an error", BODY + hint("store"), "error", false, false],
    ["a chat state", "<composing xmlns='http://jabber.org/protocol/chatstates'/>", "chat", false, false],
    ["a marker", MARKER, "chat", false, true],
    ["a marker that says store", MARKER + hint("store"), "chat", true, true],
    ["a receipt", RECEIPT, "chat", false, true],
    ["a request for a receipt, alone", "<request xmlns='urn:xmpp:receipts'/>", "chat", false, false],
    ["a retraction", "<retract xmlns='urn:xmpp:message-retract:1' id='1'/>", "chat", true, true],
    ["a retraction of nothing", "<retract xmlns='urn:xmpp:message-retract:1'/>", "chat", false, false],
    ["a fastened retraction", fastened("urn:xmpp:message-retract:0", " id='1'"), "chat", true, true],
    ["a retraction by archive id", fastened("urn:esl:message-retract-by-stanza-id:0", " id='1'"), "chat", true, true],
    ["a fastened retraction of nothing", fastened("urn:xmpp:message-retract:0", ""), "chat", false, false],
    ["something else that is fastened", fastened("urn:example:x", " id='1'"), "chat", false, false],
    ["reactions", "<reactions xmlns='urn:xmpp:reactions:0' id='1'/>", "chat", true, true],
    ["no-store", BODY + hint("no-store"), "chat", false, false],
    ["no-permanent-store", BODY + hint("no-permanent-store"), "chat", false, false],
    ["no-permanent-store and store", BODY + hint("no-permanent-store") + hint("store"), "chat", false, false],
    ["a payload that nobody knows", "<x xmlns='urn:example:x'/>", "chat", false, false],
  ])("%s", (_title, inner, type, always, bare) => {
    expect(archivable(message(inner, type))).toBe(always);
    expect(archivable(message(inner, type), true)).toBe(bare);
  });

  test("a copy is not kept again", () => {
    const m = message(BODY);
    m.copy = true;
    expect(archivable(m)).toBe(false);
  });
});

describe("what waits for its addressee", () => {
  test.each<[inner: string, yes: boolean]>([
    [BODY, true],
    [BODY + hint("no-store"), false],
    [BODY + hint("no-permanent-store"), true],
    [MARKER, true],
    [RECEIPT, true],
    ["<thread>t</thread>", false],
    ["<thread>t</thread><active xmlns='http://jabber.org/protocol/chatstates'/>", false],
    ["<x xmlns='jabber:x:expire' seconds='5'/>", false],
    [`<active xmlns='http://jabber.org/protocol/chatstates'/>${hint("store")}`, true],
    ["", false],
  ])("%s: %s", (inner, yes) => {
    expect(storable(message(inner))).toBe(yes);
  });
});
