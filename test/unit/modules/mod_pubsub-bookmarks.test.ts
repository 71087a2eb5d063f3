// Bookmarks from one form to another and back (XEP-0402, XEP-0048).
import { describe, expect, test } from "vitest";
import { parseJid } from "../../../core/jid.ts";
import { parseElement } from "../../../core/xml/tree.ts";
import {
  bookmarkOf,
  bookmarksIn,
  legacyMarkup,
  nativeMarkup,
  saysTheSame,
} from "../../../modules/mod_pubsub/bookmarks.ts";
import { configOf, packed } from "../../../modules/mod_pubsub/packed.ts";
import type { NodeConfig } from "../../../modules/pubsub/model.ts";

const native = (inside: string, attributes = "") =>
  `<conference xmlns='urn:xmpp:bookmarks:1'${attributes}>${inside}</conference>`;
const item = (id: string, payload: string) => ({ id, payload, publisher: parseJid("a@b"), at: 1 });
const storage = (inside: string) => parseElement(`<storage xmlns='storage:bookmarks'>${inside}</storage>`);

describe("bookmarks", () => {
  const rich = native(
    "<nick>J &amp; C</nick><password/><extensions><s xmlns='u' a='1'>t<i/></s><n/></extensions>",
    " name=\"The Play's\" autojoin='1'",
  );

  test("go to the old form and come back the same", () => {
    const bookmark = bookmarkOf(item("Room@Muc.Example", rich));
    expect(bookmark).toMatchObject({
      jid: "room@muc.example",
      name: "The Play's",
      autojoin: true,
      nick: "J & C",
      password: "",
    });
    if (bookmark === undefined) throw new Error("no bookmark");
    const old = bookmarksIn(parseElement(legacyMarkup([bookmark], undefined).text)).get("room@muc.example");
    expect(old && saysTheSame(old, bookmark)).toBe(true);
    const again = bookmarkOf(item("room@muc.example", nativeMarkup(bookmark).text));
    expect(again && saysTheSame(again, bookmark)).toBe(true);
  });

  test("without anything are bookmarks too", () => {
    const bookmark = bookmarkOf(item("room@muc.example", native("")));
    expect(bookmark).toMatchObject({ autojoin: false, name: undefined, nick: undefined, extensions: undefined });
  });

  test.each([
    ["@@", rich],
    ["room@muc.example", ""],
    ["room@muc.example", "<other xmlns='urn:xmpp:bookmarks:1'/>"],
    ["room@muc.example", "<conference xmlns='urn:other'/>"],
  ])("are not what is none: %s", (id, payload) => expect(bookmarkOf(item(id, payload))).toBeUndefined());

  test("of pages stay where they are, rooms without an address go", () => {
    const before = storage(
      "<url name='W' url='http://x/'/><conference jid='a@b'/><conference/><note xmlns='u'>t</note>",
    );
    expect([...bookmarksIn(before).keys()]).toEqual(["a@b"]);
    const after = parseElement(legacyMarkup(bookmarksIn(before).values(), before).text);
    expect(after.getChildElements().map((e) => [e.name, e.getNS()])).toEqual([
      ["conference", "storage:bookmarks"],
      ["url", "storage:bookmarks"],
      ["note", "u"],
    ]);
  });

  test("differ in what a client can see", () => {
    const bookmark = (attributes: string, inside = "") =>
      [...bookmarksIn(storage(`<conference jid='a@b' ${attributes}>${inside}</conference>`)).values()][0];
    const one = bookmark("name='A' autojoin='true'");
    expect(saysTheSame(bookmark("name='A' autojoin='1'"), one)).toBe(true);
    expect(saysTheSame(bookmark("name='B' autojoin='1'"), one)).toBe(false);
    expect(saysTheSame(bookmark("name='A'"), one)).toBe(false);
    expect(saysTheSame(bookmark("name='A' autojoin='1'", "<nick>N</nick>"), one)).toBe(false);
    const extended = bookmark("name='A' autojoin='1'", "<extensions><e xmlns='u'/></extensions>");
    expect(saysTheSame(extended, one)).toBe(false);
    expect(saysTheSame(one, extended)).toBe(true);
  });
});

describe("a configuration in its row", () => {
  const defaults = { access_model: "presence", title: "", item_expire: 9, max_items: 1 } as NodeConfig;
  const row = (config: string | null, access_model = "presence", max_items: number | null = null) =>
    configOf({ node_id: "n", access_model, max_items, config }, defaults);

  test("is the same when it is read again, whatever its texts are", () => {
    const config = {
      ...defaults,
      title: "max",
      item_expire: Number.POSITIVE_INFINITY,
      max_items: 4,
      access_model: "roster",
    } as const;
    const { access_model, max_items, config: text } = packed(config);
    expect([access_model, max_items]).toEqual(["presence", 4]);
    expect(row(text, access_model, max_items)).toEqual(config);
    expect(packed({ ...config, max_items: Number.POSITIVE_INFINITY }).max_items).toBeNull();
  });

  test.each([
    [null, "open", "open"],
    [null, "presence", "presence"],
    ['{"access_model":"whitelist"}', "presence", "whitelist"],
    ['{"access_model":"whitelist"}', "open", "open"],
    ['{"access_model":"open"}', "presence", "presence"],
  ])("%s and %s: %s", (config, column, wanted) => {
    expect(row(config, column).access_model).toBe(wanted);
  });
});
