// The scalars of the admin and user schemas: text from outside becomes a prepared value here, and nowhere later.

import {
  type BareJid,
  type FullJid,
  isFull,
  type Jid,
  JidError,
  prepareDomain,
  prepareLocal,
  prepareResource,
  tryParseJid,
} from "../jid.ts";
import type { Stanza } from "../stanza.ts";
import { viewElement } from "../xml/framer.ts";
import { FrameError, type Limits } from "../xml/scan.ts";
import { ScalarError, scalarType } from "./language.ts";

/** Microseconds since 1970-01-01 UTC: MongooseIM's archives and DateTime count in them. */
export type Microseconds = number;
type JidOut = Jid | string;

function text(value: unknown): string {
  if (typeof value !== "string") throw new ScalarError("not_a_string");
  return value;
}

function jid(value: unknown): Jid {
  const parsed = tryParseJid(text(value));
  if (!parsed) throw new ScalarError("failed_to_parse_jid");
  if (parsed.local === "") throw new ScalarError("jid_without_local_part");
  return parsed;
}

function part(what: string, prepare: (text: string) => string) {
  return (value: unknown): string => {
    const raw = text(value);
    if (raw === "") throw new ScalarError(`empty_${what}`);
    try {
      return prepare(raw);
    } catch (error) {
      if (error instanceof JidError) throw new ScalarError(`failed_to_parse_${what}`);
      throw error;
    }
  };
}

function integer(least: number, complaint: string) {
  return (value: unknown): number => {
    if (typeof value !== "number" || !Number.isInteger(value) || value < least || value > 0x7fffffff) {
      throw new ScalarError(complaint);
    }
    return value;
  };
}

const DATE_TIME = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d+))?(Z|[+-]\d\d:\d\d)$/;

/** XEP-0082 date and time, as far as microseconds. */
export function parseDateTime(value: unknown): Microseconds {
  const match = DATE_TIME.exec(text(value));
  const seconds = match && isDay(match[1]) ? Date.parse(`${match[1]}${match[3]}`) / 1000 : Number.NaN;
  if (!match || Number.isNaN(seconds)) throw new ScalarError("failed_to_parse_datetime");
  return seconds * 1_000_000 + Number((match[2] ?? "").padEnd(6, "0").slice(0, 6));
}

/** Whether the month has the day: Date takes February 30 for March 1 or 2. */
function isDay(date: string): boolean {
  const [year, month, day] = date.slice(0, 10).split("-").map(Number);
  return day <= new Date(Date.UTC(year, month, 0)).getUTCDate();
}

/** Microseconds as `2026-11-22T10:20:30.000000Z`. */
export function printDateTime(at: Microseconds): string {
  const micros = ((at % 1_000_000) + 1_000_000) % 1_000_000;
  const seconds = new Date((at - micros) / 1000).toISOString().slice(0, 19);
  return `${seconds}.${String(micros).padStart(6, "0")}Z`;
}

/** What an administrator may send or store as one element. */
const ELEMENT: Limits = { size: 4_194_304, tag: 65_536, depth: 128, attributes: 128, elements: 65_536 };

/** What MongooseIM's parser says of the usual mistakes. */
const PARSER_WORDS: Readonly<Record<string, string>> = {
  "text outside of an element": "expected <",
  "the element does not end": "expected >",
};

function xmlElement(value: unknown): Stanza {
  const bytes = Buffer.from(text(value).trim());
  try {
    return viewElement(bytes, undefined, ELEMENT);
  } catch (error) {
    if (error instanceof FrameError) throw new ScalarError(`<<"${PARSER_WORDS[error.message] ?? error.message}">>`);
    throw error;
  }
}

const nonEmpty = (value: unknown): string => {
  const given = text(value);
  if (given === "") throw new ScalarError('"Given string is empty"');
  return given;
};
const same = <T extends string | number>(value: T): T => value;
const jidText = (value: JidOut): string => (typeof value === "string" ? value : value.text);

export const scalars = {
  JID: scalarType<Jid, JidOut>("JID", "A bare or full JID with a local part", jid, jidText),
  BareJID: scalarType<BareJid, BareJid | string>(
    "BareJID",
    "A JID with a local part and without a resource",
    (value) => {
      const parsed = jid(value);
      if (isFull(parsed)) throw new ScalarError("jid_with_resource");
      return parsed;
    },
    jidText,
  ),
  FullJID: scalarType<FullJid, FullJid | string>(
    "FullJID",
    "A JID with a local part and a resource",
    (value) => {
      const parsed = jid(value);
      if (!isFull(parsed)) throw new ScalarError("jid_without_resource");
      return parsed;
    },
    jidText,
  ),
  UserName: scalarType<string, string>(
    "UserName",
    "The local part of a user's JID",
    part("user_name", prepareLocal),
    same,
  ),
  RoomName: scalarType<string, string>(
    "RoomName",
    "The local part of a room's JID",
    part("room_name", prepareLocal),
    same,
  ),
  DomainName: scalarType<string, string>(
    "DomainName",
    "The domain part of a JID",
    part("domain_name", prepareDomain),
    same,
  ),
  ResourceName: scalarType<string, string>(
    "ResourceName",
    "The resource part of a JID",
    part("resource_name", prepareResource),
    same,
  ),
  NodeName: scalarType<string, string>(
    "NodeName",
    'The name of a cluster node; "self" is the node that answers',
    (value) => {
      const name = text(value);
      if (name === "") throw new ScalarError("empty_node_name");
      if (name !== "self" && !/^[^@\s]+@[^@\s]+$/.test(name)) throw new ScalarError("incorrect_node_name");
      return name;
    },
    same,
  ),
  DateTime: scalarType<Microseconds, Microseconds>(
    "DateTime",
    "UTC date and time, YYYY-MM-DDTHH:mm:ssZ, with fractions of a second as far as microseconds",
    parseDateTime,
    printDateTime,
  ),
  XmlElement: scalarType<Stanza, { readonly text: string } | string>(
    "XmlElement",
    "Text that is one XML element; jabber:client is its namespace unless it says otherwise",
    xmlElement,
    (element) => (typeof element === "string" ? element : element.text),
  ),
  NonEmptyString: scalarType<string, string>("NonEmptyString", "Text of at least one character", nonEmpty, same),
  PosInt: scalarType<number, number>(
    "PosInt",
    "An integer above zero",
    integer(1, '"Value is not a positive integer"'),
    same,
  ),
  NonNegInt: scalarType<number, number>(
    "NonNegInt",
    "An integer of zero or more",
    integer(0, '"Value is not a non-negative integer"'),
    same,
  ),
} as const;
