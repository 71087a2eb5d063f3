// The stories' matcher: a story proves as much as this tells apart.
import { expect, test } from "vitest";
import { mismatch, parseTemplate, parseWhole } from "../../support/match.ts";

const fits = (template: string, actual: string): boolean =>
  mismatch(parseTemplate(template)[0], parseTemplate(actual)[0]) === undefined;

test.each([
  ["the same", "<message id='1'/>", "<message id='1'/>", true],
  ["another name", "<message/>", "<iq/>", false],
  ["another value", "<message id='1'/>", "<message id='2'/>", false],
  ["an attribute that is missing", "<message id='1'/>", "<message/>", false],
  ["one more attribute in jabber:client", "<message/>", "<message id='1'/>", true],
  ["one more attribute elsewhere", "<x xmlns='urn:x'/>", "<x xmlns='urn:x' a='1'/>", false],
  ["one more child in jabber:client", "<message/>", "<message><body/></message>", true],
  ["one more child elsewhere", "<x xmlns='urn:x'/>", "<x xmlns='urn:x'><y/></x>", false],
  ["a child that is missing", "<message><body/></message>", "<message/>", false],
  ["a child twice that came once", "<message><a/><a/></message>", "<message><a/></message>", false],
  ["another namespace", "<x xmlns='urn:x'/>", "<x xmlns='urn:y'/>", false],
  ["another prefix of the same namespace", "<x xmlns='urn:x'/>", "<p:x xmlns:p='urn:x'/>", true],
  ["another text", "<message><body>a</body></message>", "<message><body>b</body></message>", false],
  ["text where none was, elsewhere", "<x xmlns='urn:x'/>", "<x xmlns='urn:x'>a</x>", false],
  ["{any} as a value", "<message id='{any}'/>", "<message id='7'/>", true],
  ["{any} and no attribute", "<message id='{any}'/>", "<message/>", false],
  ["{none} and no attribute", "<message type='{none}'/>", "<message/>", true],
  ["{none} and an attribute", "<message type='{none}'/>", "<message type='chat'/>", false],
  ["{any} as content", "<x xmlns='urn:x'>{any}</x>", "<x xmlns='urn:x'><y/>z</x>", true],
  [
    "open again inside another namespace",
    "<x xmlns='urn:x'><message xmlns='jabber:client'/></x>",
    "<x xmlns='urn:x'><message xmlns='jabber:client' id='1'/></x>",
    true,
  ],
])("%s", (_, template, actual, yes) => {
  expect(fits(template, actual)).toBe(yes);
});

test("a whole element must declare its prefixes", () => {
  expect(() => parseWhole("<stream:features/>")).toThrow();
});

test("a whole element is one element", () => {
  expect(() => parseWhole("<a/><b/>")).toThrow();
});
