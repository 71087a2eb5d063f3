import { expect, test } from "vitest";
import { viewText } from "../../../core/xml/framer.ts";
import { readUserAgent } from "../../../modules/mod_sasl2/user-agent.ts";

const read = (inner: string) =>
  readUserAgent(viewText(`<authenticate xmlns='urn:xmpp:sasl:2'>${inner}</authenticate>`));
const ID = "d4565fa7-4d72-4749-b3d3-740edbf87770";

test("a client that says nothing of itself", () => {
  expect(read("")).toBeUndefined();
  expect(read("<user-agent xmlns='urn:other'/>")).toBeUndefined();
});

test("what a client may say of itself, each for itself", () => {
  expect(read("<user-agent/>")).toEqual({});
  expect(read(`<user-agent id='${ID}'/>`)).toEqual({ id: ID });
  expect(read("<user-agent><software>S &amp; T</software><device>D</device></user-agent>")).toEqual({
    software: "S & T",
    device: "D",
  });
});

test("an id is kept as it was sent, as MongooseIM's table has it", () => {
  expect(read(`<user-agent id='${ID.toUpperCase()}'/>`)).toEqual({ id: ID.toUpperCase() });
});

test.each([
  "",
  "bad-id",
  "a55c8fde-2cef-0655-a55c-8fde2cefc655",
  "d4565fa7-4d72-1749-b3d3-740edbf87770",
  "d4565fa7-4d72-4749-c3d3-740edbf87770",
  ` ${ID}`,
  `${ID}0`,
  `{${ID}}`,
])("%j is no UUID of version 4", (id) => {
  expect(read(`<user-agent id='${id}'/>`)).toBe("invalid");
});
