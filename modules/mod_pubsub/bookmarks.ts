// Bookmarks of rooms in their forms: an item each (XEP-0402), or all in one element (XEP-0048).

import type { Element } from "@xmpp/xml";
import { tryParseJid } from "../../core/jid.ts";
import { attr, Markup, xml } from "../../core/xml/markup.ts";
import { parseElement } from "../../core/xml/tree.ts";
import { booleanOf } from "../pubsub/form.ts";
import type { Item } from "../pubsub/model.ts";
import { markupOf } from "../pubsub/publish.ts";

export const NS_NATIVE = "urn:xmpp:bookmarks:1";
export const NS_LEGACY = "storage:bookmarks";

export interface Bookmark {
  /** The room. */
  readonly jid: string;
  readonly name: string | undefined;
  readonly autojoin: boolean;
  readonly nick: string | undefined;
  readonly password: string | undefined;
  /** What clients have put there, as markup; undefined in the old form of a client that knows of none. */
  readonly extensions: string | undefined;
}

/** The bookmark of an item; undefined for what is none. */
export function bookmarkOf(item: Item): Bookmark | undefined {
  const jid = roomOf(item.id);
  const conference = item.payload === "" ? undefined : parseElement(item.payload);
  return jid !== undefined && conference?.is("conference", NS_NATIVE) ? read(jid, conference, NS_NATIVE) : undefined;
}

/** The bookmarks in <storage/>, one for each room. */
export function bookmarksIn(storage: Element): Map<string, Bookmark> {
  const found = new Map<string, Bookmark>();
  for (const conference of storage.getChildren("conference", NS_LEGACY)) {
    const jid = roomOf(conference.attrs["jid"] ?? "");
    if (jid !== undefined) found.set(jid, read(jid, conference, NS_LEGACY));
  }
  return found;
}

const roomOf = (text: string): string | undefined => tryParseJid(text)?.bare.text;

function read(jid: string, conference: Element, ns: string): Bookmark {
  const extensions = conference.getChild("extensions", ns);
  return {
    jid,
    name: conference.attrs["name"],
    autojoin: booleanOf(conference.attrs["autojoin"]) ?? false,
    nick: conference.getChildText("nick", ns) ?? undefined,
    password: conference.getChildText("password", ns) ?? undefined,
    extensions: extensions?.getChildElements().map(markupOf).join(""),
  };
}

/** Whether a bookmark of the old form says the same as one that is there. */
export const saysTheSame = (old: Bookmark, there: Bookmark): boolean =>
  old.name === there.name &&
  old.autojoin === there.autojoin &&
  old.nick === there.nick &&
  old.password === there.password &&
  (old.extensions === undefined || old.extensions === (there.extensions ?? ""));

/** The payload of an item. */
export const nativeMarkup = (bookmark: Bookmark): Markup => {
  const { name, autojoin } = bookmark;
  return xml`<conference autojoin='${String(autojoin)}'${attr("name", name)} xmlns='${NS_NATIVE}'>${inside(bookmark)}</conference>`;
};

/** <storage/> with these bookmarks, and with what else was in it. */
export function legacyMarkup(bookmarks: Iterable<Bookmark>, before: Element | undefined): Markup {
  const rooms = [...bookmarks].map(
    (b) =>
      xml`<conference autojoin='${String(b.autojoin)}' jid='${b.jid}'${attr("name", b.name)}>${inside(b)}</conference>`,
  );
  // Bookmarks of web pages have no other form.
  const others = before?.getChildElements().filter((el) => !el.is("conference", NS_LEGACY)) ?? [];
  return xml`<storage xmlns='${NS_LEGACY}'>${rooms}${others.map((el) => new Markup(markupOf(el)))}</storage>`;
}

function inside({ nick, password, extensions }: Bookmark): Markup {
  return xml`${nick === undefined ? undefined : xml`<nick>${nick}</nick>`}${
    password === undefined ? undefined : xml`<password>${password}</password>`
  }${extensions ? xml`<extensions>${new Markup(extensions)}</extensions>` : undefined}`;
}
