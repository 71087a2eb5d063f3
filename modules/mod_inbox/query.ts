// A user asks for his inbox (erlang-solutions.com:xmpp:inbox:0): which entries, in which order, a page at a time.

import { StanzaError } from "../../core/errors.ts";
import type { MaybePromise } from "../../core/hooks.ts";
import type { Iq, Session } from "../../core/module.ts";
import { NS_DATA, NS_RSM } from "../../core/ns.ts";
import { parseDateTime } from "../../core/operations/scalars.ts";
import type { Element } from "../../core/stanza.ts";
import { type DataForm, formMarkup } from "../../core/xml/form.ts";
import { escapeXml, Markup, xml } from "../../core/xml/markup.ts";
import { type PageRequest, pageRequest } from "../../core/xml/rsm.ts";
import { ANY_TIME } from "./bin.ts";
import { boxesOf, type InboxConfig, type InboxContext, NS_INBOX } from "./config.ts";
import { forwardedMarkup, type InboxResult, propertiesMarkup } from "./entry.ts";
import type { Place, Query } from "./select.ts";

/** Characters of a wrong value that are repeated to who sent it. */
const MAX_SHOWN = 64;

/** The form that says what can be asked. */
export function get({ payload }: Iq, { config }: InboxContext): Markup {
  const tag = new Markup(payload.name === "inbox" ? "inbox" : "query");
  return xml`<${tag} xmlns='${NS_INBOX}'>${formMarkup(form(config))}</${tag}>`;
}

export async function set(iq: Iq, ctx: InboxContext): Promise<Markup> {
  const { payload, session } = iq;
  if (payload.name === "empty-bin") {
    const gone = await ctx.store.bin.emptyOfUser(iq.from.bare, ANY_TIME);
    return xml`<empty-bin xmlns='${NS_INBOX}'><num>${gone}</num></empty-bin>`;
  }
  if (payload.name !== "inbox") throw new StanzaError("bad-request");
  if (session === undefined) throw new StanzaError("not-allowed", "An inbox is for a session of its owner");
  const query = queryOf(payload, ctx.config);
  const queryid = payload.attrs["queryid"] ?? iq.stanza.id ?? "";
  const given = new Given();
  for await (const { entries, places } of ctx.store.inParts(iq.from.bare, query)) {
    const results = await ctx.host.hooks.fold(
      "extend_inbox_result",
      entries.map((entry): InboxResult => ({ entry, extra: [] })),
      { iq },
    );
    await give(results, session, queryid, ctx);
    if (ctx.server.session(session.jid) !== session) break;
    given.add(results, places);
  }
  return given.fin();
}

/** A message for each entry; a client that reads slowly is waited for. */
function give(
  results: readonly InboxResult[],
  session: Session,
  queryid: string,
  { server, now }: InboxContext,
): MaybePromise<void> {
  const from = escapeXml(session.jid.bare.text);
  const to = escapeXml(session.jid.text);
  const at = now() * 1000;
  const messages = results.map(({ entry, extra }) => {
    const about = xml`${forwardedMarkup(entry)}${propertiesMarkup(entry, at)}${extra}`;
    const result = xml`<result queryid='${queryid}' unread='${entry.unread}' xmlns='${NS_INBOX}'>${about}</result>`;
    return `<message from='${from}' id='${server.token(8)}' to='${to}'>${result.text}</message>`;
  });
  if (session.serve !== undefined) return session.serve(messages);
  for (const message of messages) session.write(message);
}

/** What was given, counted as MongooseIM does: of this page. */
class Given {
  private count = 0;
  private unread = 0;
  private active = 0;
  private first: Place | undefined;
  private last: Place | undefined;

  add(results: readonly InboxResult[], places: readonly Place[]): void {
    this.count += results.length;
    for (const { entry } of results) {
      this.unread += entry.unread;
      if (entry.unread > 0) this.active++;
    }
    this.first ??= places.at(0);
    this.last = places.at(-1) ?? this.last;
  }

  fin(): Markup {
    const { first, last } = this;
    const ends = first && last && xml`<first>${idOf(first)}</first><last>${idOf(last)}</last>`;
    const counts = xml`<active-conversations>${this.active}</active-conversations><count>${this.count}</count><unread-messages>${this.unread}</unread-messages>`;
    return xml`<fin xmlns='${NS_INBOX}'><set xmlns='${NS_RSM}'>${ends}</set>${counts}</fin>`;
  }
}

const ORDERS = [
  { value: "asc", label: "Ascending by timestamp" },
  { value: "desc", label: "Descending by timestamp" },
];

const form = (config: InboxConfig): DataForm => ({
  formType: NS_INBOX,
  fields: [
    { var: "start", type: "text-single" },
    { var: "end", type: "text-single" },
    { var: "hidden_read", type: "text-single", values: ["false"] },
    { var: "order", type: "list-single", values: ["desc"], options: ORDERS },
    {
      var: "box",
      type: "list-single",
      values: ["all"],
      options: ["all", ...boxesOf(config)].map((value) => ({ value, label: value })),
    },
    { var: "archive", type: "boolean", values: ["false"] },
  ],
});

interface Filled {
  start?: number;
  end?: number;
  order?: "asc" | "desc";
  unreadOnly?: boolean;
  box?: string;
  archive?: boolean;
}

/** What is asked for. Where the page and the form bound the same side, the page does. */
function queryOf(payload: Element, config: InboxConfig): Query {
  const filled = filledIn(payload.getChild("x", NS_DATA), config);
  const page = pageOf(payload);
  const { order = "desc", archive } = filled;
  const after = page.after === undefined || page.after === "" ? undefined : placeOf(page.after);
  const before = page.before === undefined ? undefined : page.before === "" ? "end" : placeOf(page.before);
  // Newest first, what is before a place is newer, and what is after it older.
  const newerBound = order === "desc" ? page.before : page.after;
  const olderBound = order === "desc" ? page.after : page.before;
  return {
    order,
    start: newerBound === undefined ? filled.start : undefined,
    end: olderBound === undefined ? filled.end : undefined,
    unreadOnly: filled.unreadOnly === true,
    box: filled.box ?? (archive === undefined ? undefined : archive ? "archive" : "inbox"),
    after,
    before,
    limit: Math.min(page.max ?? Number.POSITIVE_INFINITY, config.max_result_limit),
  };
}

/** The fields of a form, up to the first that is wrong: bad-request. */
function filledIn(x: Element | undefined, config: InboxConfig): Filled {
  const filled: Filled = {};
  for (const field of x?.getChildren("field", NS_DATA) ?? []) {
    const name = field.attrs["var"] ?? "";
    const value = field.getChild("value", NS_DATA)?.text() ?? "";
    if (!readField(filled, name, value, config)) {
      const shown = `field=${name.slice(0, MAX_SHOWN)}, value=${value.slice(0, MAX_SHOWN)}`;
      throw new StanzaError("bad-request", `The form is wrong: ${shown}`);
    }
  }
  return filled;
}

/** False for a field that the form does not have, and for a value that makes no sense. */
function readField(filled: Filled, name: string, value: string, config: InboxConfig): boolean {
  // An empty field says nothing.
  const given = value !== "";
  switch (name) {
    case "FORM_TYPE":
      return value === NS_INBOX;
    case "start":
    case "end": {
      const at = given ? timeOf(value) : undefined;
      if (at !== undefined) filled[name] = at;
      return !given || at !== undefined;
    }
    case "order":
      if (value === "asc" || value === "desc") filled.order = value;
      return !given || filled.order === value;
    case "hidden_read":
      filled.unreadOnly = value === "true" || value === "1";
      return isBoolean(value);
    case "archive":
      if (given) filled.archive = value === "true" || value === "1";
      return isBoolean(value);
    case "box":
      if (given) filled.box = value;
      return !given || value === "all" || boxesOf(config).includes(value);
    default:
      return false;
  }
}

const isBoolean = (value: string): boolean => ["", "0", "1", "false", "true"].includes(value);

function timeOf(text: string): number | undefined {
  try {
    return parseDateTime(text);
  } catch {
    return undefined;
  }
}

/** XEP-0059, as far as inboxes have it. */
function pageOf(payload: Element): PageRequest {
  let page: PageRequest;
  try {
    page = pageRequest(payload) ?? {};
  } catch (error) {
    const why = error instanceof StanzaError ? error.text : undefined;
    throw new StanzaError("bad-request", `bad-request: ${why ?? "the page makes no sense"}`);
  }
  if (page.index !== undefined) throw new StanzaError("feature-not-implemented", "A page has no index");
  return page;
}

/** Of an entry, for pages: unique, since a time alone is not. */
const idOf = ({ timestamp, remote }: Place): string => `${timestamp}/${Buffer.from(remote).toString("base64")}`;

const ID = /^(\d{1,16})\/([A-Za-z0-9+/]+=*)$/;

function placeOf(id: string): Place {
  const match = ID.exec(id);
  const timestamp = Number(match?.[1]);
  // MongooseIM's entries may be of addresses that are none here (RFC 6122): it is a place all the same.
  const remote = match === null ? "" : Buffer.from(match[2], "base64").toString();
  if (remote === "" || /[\0\uFFFD]/.test(remote) || !Number.isSafeInteger(timestamp)) {
    throw new StanzaError("bad-request", "bad-request: there is no such place in an inbox");
  }
  return { timestamp, remote };
}
