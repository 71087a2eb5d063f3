// XEP-0313 §4.1: the form of a query, what may be asked for and what a client has asked for.

import type { Element } from "@xmpp/xml";
import { StanzaError } from "../../../core/errors.ts";
import { tryParseJid } from "../../../core/jid.ts";
import { idsAt, parseExternalId } from "../../../core/message-id.ts";
import { NS_DATA } from "../../../core/ns.ts";
import { parseDateTime } from "../../../core/operations/scalars.ts";
import { Submission } from "../../../core/xml/form.ts";
import { type Markup, xml } from "../../../core/xml/markup.ts";
import type { Filter } from "../backend.ts";
import { NS_MAM1 } from "./archive.ts";

const NS_VALIDATE = "http://jabber.org/protocol/xdata-validate";
/** XEP-0431. */
const FULLTEXT = "{urn:xmpp:fulltext:0}fulltext";
/** MongooseIM's names for the same. */
const SEARCHES = [FULLTEXT, "full-text-search", "fulltext"] as const;
/** Ids that one query may name, where a page may not hold more. */
const MOST_IDS = 500;

/** Fields that are understood. from-id and to-id are MongooseIM's, as before-id and after-id with the message itself. */
const KNOWN: ReadonlySet<string> = new Set([
  "FORM_TYPE",
  "with",
  "start",
  "end",
  "before-id",
  "after-id",
  "from-id",
  "to-id",
  "ids",
  "include-groupchat",
  "simple",
  ...SEARCHES,
]);

/** What a query asks for beside its page. */
export interface Asked {
  readonly filter: Filter;
  /** Ids of the filter that must be in the archive (§4.1.3). */
  readonly named: readonly bigint[];
  /** Neither the total nor the index is wanted: MongooseIM's field "simple". */
  readonly simple: boolean;
  /** No message can be what is asked for. */
  readonly nothing: boolean;
}

const EVERYTHING: Asked = { filter: {}, named: [], simple: false, nothing: false };

/** The <query/> that says what may be asked for (§4.1.5), in MongooseIM's order. `searches`: text can be searched for. */
export function formMarkup(ns: string, searches: boolean): Markup {
  const field = (type: string, name: string) => xml`<field type='${type}' var='${name}'/>`;
  const extended =
    ns !== NS_MAM1 &&
    xml`${field("text-single", "before-id")}${field("text-single", "after-id")}${field("boolean", "include-groupchat")}<field type='list-multi' var='ids'><validate datatype='xs:string' xmlns='${NS_VALIDATE}'><open/></validate></field>`;
  const search = searches && field("text-single", FULLTEXT);
  return xml`<query xmlns='${ns}'><x type='form' xmlns='${NS_DATA}'><field type='hidden' var='FORM_TYPE'><value>${ns}</value></field>${field("jid-single", "with")}${field("text-single", "start")}${field("text-single", "end")}${extended}${search}</x></query>`;
}

/**
 * What the form in a <query/> asks for; everything without one.
 * @param words the words of a text, where text can be searched for
 * @throws StanzaError feature-not-implemented for a field that is not understood (§4.1.5), not-acceptable for ids that
 *   cannot be, bad-request or jid-malformed for other values that make no sense
 */
export function readForm(
  query: Element,
  words: ((text: string) => string[]) | undefined,
  mostIds: number = MOST_IDS,
): Asked {
  const x = query.getChild("x", NS_DATA);
  if (x === undefined) return EVERYTHING;
  const form = Submission.of(x);
  if (form.type !== "submit") throw new StanzaError("bad-request", "The form of a query is submitted");
  const formType = form.get("FORM_TYPE");
  const ns: string = query.attrs["xmlns"];
  if (formType !== undefined && formType !== ns) {
    throw new StanzaError("bad-request", `The form is not one of ${ns}`);
  }
  for (const name of form.names) {
    if (!KNOWN.has(name)) throw new StanzaError("feature-not-implemented", `There is no field ${name.slice(0, 64)}`);
  }
  const low = idsAt(time(form, "start") ?? 0).lowest;
  const end = time(form, "end");
  const high = end === undefined ? undefined : idsAt(end).highest;
  const named = { afterId: id(form, "after-id"), beforeId: id(form, "before-id") };
  const ids = idsOf(form, Math.max(mostIds, MOST_IDS));
  const fromId = highest(low === 0n ? undefined : low, id(form, "from-id"));
  const toId = lowest(high, id(form, "to-id"));
  return {
    filter: {
      ...(fromId !== undefined && { fromId }),
      ...(toId !== undefined && { toId }),
      ...(named.afterId !== undefined && { afterId: named.afterId }),
      ...(named.beforeId !== undefined && { beforeId: named.beforeId }),
      ...(ids !== undefined && { ids }),
      ...remote(form),
      ...search(form, words),
      ...(flag(form, "include-groupchat") === false && { noGroupchat: true }),
    },
    named: [named.afterId, named.beforeId, ...(ids ?? [])].filter((one) => one !== undefined),
    simple: flag(form, "simple") === true,
    nothing: high !== undefined && high < 0n,
  };
}

/** A value that says something: clients send fields that were left empty too. */
function value(form: Submission, name: string): string | undefined {
  const text = form.get(name);
  return text === "" ? undefined : text;
}

function flag(form: Submission, name: string): boolean | undefined {
  const text = value(form, name);
  if (text === undefined) return undefined;
  if (!/^(?:0|1|true|false)$/.test(text)) throw new StanzaError("bad-request", `The field ${name} is yes or no`);
  return form.flag(name);
}

/** XEP-0082; microseconds since 1970. */
function time(form: Submission, name: string): number | undefined {
  const text = value(form, name);
  if (text === undefined) return undefined;
  try {
    return parseDateTime(text);
  } catch {
    throw new StanzaError("bad-request", `The field ${name} is a date and time (XEP-0082)`);
  }
}

function id(form: Submission, name: string): bigint | undefined {
  const text = value(form, name);
  return text === undefined ? undefined : messageId(text);
}

/** An id that a client has from us. Throws not-acceptable, as MongooseIM does, when it cannot be one. */
export function messageId(text: string): bigint {
  const found = parseExternalId(text);
  if (found === undefined) throw new StanzaError("not-acceptable", "Invalid stanza ID provided");
  return found;
}

function idsOf(form: Submission, most: number): readonly bigint[] | undefined {
  const texts = form.all("ids").filter((text) => text !== "");
  if (texts.length === 0) return undefined;
  if (texts.length > most) throw new StanzaError("policy-violation", `A query names ${most} messages at most`);
  return [...new Set(texts.map(messageId))];
}

function remote(form: Submission): Pick<Filter, "with"> {
  const text = value(form, "with");
  if (text === undefined) return {};
  const jid = tryParseJid(text);
  if (jid === undefined) throw new StanzaError("jid-malformed", "The field with is a JID");
  return { with: jid };
}

function search(form: Submission, words: ((text: string) => string[]) | undefined): Pick<Filter, "words"> {
  const name = SEARCHES.find((one) => form.has(one));
  if (name === undefined) return {};
  if (words === undefined) throw new StanzaError("feature-not-implemented", "This archive cannot be searched for text");
  const text = value(form, name);
  const wanted = text === undefined ? [] : words(text);
  return wanted.length === 0 ? {} : { words: wanted };
}

function highest(a: bigint | undefined, b: bigint | undefined): bigint | undefined {
  return a === undefined ? b : b === undefined || a > b ? a : b;
}
function lowest(a: bigint | undefined, b: bigint | undefined): bigint | undefined {
  return a === undefined ? b : b === undefined || a < b ? a : b;
}
