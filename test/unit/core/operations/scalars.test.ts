import { describe, expect, test } from "vitest";
import { FullJid } from "../../../../core/jid.ts";
import { scalars } from "../../../../core/operations/scalars.ts";

const refusal = (run: () => unknown): string => {
  try {
    run();
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
  return "accepted";
};

describe("scalars prepare what they accept", () => {
  test("JID gives a full JID, with its domain in lower case", () => {
    const jid = scalars.JID.parse("Alice@LOCALHOST/Phone");
    expect(jid).toBeInstanceOf(FullJid);
    expect(jid.text).toBe("alice@localhost/Phone");
  });

  test("UserName is case-mapped", () => expect(scalars.UserName.parse("Alice")).toBe("alice"));
  test("DomainName is case-mapped", () => expect(scalars.DomainName.parse("LocalHost")).toBe("localhost"));
  test("ResourceName keeps its case", () => expect(scalars.ResourceName.parse("Res 1")).toBe("Res 1"));
  test("NodeName takes self", () => expect(scalars.NodeName.parse("self")).toBe("self"));
  test("XmlElement takes one element and keeps its text", () =>
    expect(scalars.XmlElement.parse(" <a xmlns='x'><b/></a> ").text).toBe("<a xmlns='x'><b/></a>"));
  test("XmlElement gives its attributes", () =>
    expect(scalars.XmlElement.parse("<message to='a@b'/>").toText).toBe("a@b"));
});

describe("scalars refuse with MongooseIM's reasons", () => {
  test.each([
    ["JID", "@", "failed_to_parse_jid"],
    ["JID", "localhost", "jid_without_local_part"],
    ["JID", 5, "not_a_string"],
    ["BareJID", "alice@localhost/r", "jid_with_resource"],
    ["BareJID", "localhost", "jid_without_local_part"],
    ["FullJID", "alice@localhost", "jid_without_resource"],
    ["UserName", "", "empty_user_name"],
    ["UserName", "a@b", "failed_to_parse_user_name"],
    ["RoomName", "", "empty_room_name"],
    ["DomainName", "", "empty_domain_name"],
    ["DomainName", "a b", "failed_to_parse_domain_name"],
    ["ResourceName", "", "empty_resource_name"],
    ["NodeName", "", "empty_node_name"],
    ["NodeName", "a", "incorrect_node_name"],
    ["DateTime", "yesterday", "failed_to_parse_datetime"],
    ["DateTime", "2026-13-01T00:00:00Z", "failed_to_parse_datetime"],
    ["DateTime", "2026-00-10T00:00:00Z", "failed_to_parse_datetime"],
    ["DateTime", "2026-02-29T00:00:00Z", "failed_to_parse_datetime"],
    ["DateTime", "2026-04-31T00:00:00Z", "failed_to_parse_datetime"],
    ["DateTime", "2026-04-30T25:00:00Z", "failed_to_parse_datetime"],
    ["XmlElement", "<a>", '<<"expected >">>'],
    ["XmlElement", "<a/><b/>", '<<"something follows the element">>'],
    ["XmlElement", "", '<<"expected <">>'],
    ["NonEmptyString", "", '"Given string is empty"'],
    ["PosInt", 0, '"Value is not a positive integer"'],
    ["PosInt", 1.5, '"Value is not a positive integer"'],
    ["NonNegInt", -1, '"Value is not a non-negative integer"'],
  ] as const)("%s %j: %s", (name, value, reason) => {
    expect(refusal(() => scalars[name].parse(value))).toBe(reason);
  });
});

describe("DateTime", () => {
  test.each([
    ["2026-11-22T10:20:30Z", "2026-11-22T10:20:30.000000Z"],
    ["2026-11-22T10:20:30.123456Z", "2026-11-22T10:20:30.123456Z"],
    ["2026-11-22T10:20:30.5+01:00", "2026-11-22T09:20:30.500000Z"],
    ["2028-02-29T00:00:00.1234567891234Z", "2028-02-29T00:00:00.123456Z"],
    ["1969-12-31T23:59:59.25Z", "1969-12-31T23:59:59.250000Z"],
  ])("%s is printed as %s", (given, printed) => {
    expect(scalars.DateTime.print(scalars.DateTime.parse(given))).toBe(printed);
  });
});
