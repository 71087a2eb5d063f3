// One entry of an inbox, by its owner: what it is like, and changes to it (erlang-solutions.com:xmpp:inbox:0#conversation).

import { StanzaError } from "../../core/errors.ts";
import { tryParseJid } from "../../core/jid.ts";
import type { Iq } from "../../core/module.ts";
import type { Element } from "../../core/stanza.ts";
import { type DataForm, formMarkup } from "../../core/xml/form.ts";
import { Markup, xml } from "../../core/xml/markup.ts";
import { announce } from "./announce.ts";
import { boxesOf, type InboxConfig, type InboxContext, NS_CONVERSATION } from "./config.ts";
import { type EntryKey, forwardedMarkup, propertiesMarkup } from "./entry.ts";
import type { Changes } from "./store.ts";

/** Seconds that an entry may be muted for: thirty years. */
const SECONDS = /^\d{1,9}$/;

/** A get: of an entry, or the form that says what entries have. */
export async function get(iq: Iq, ctx: InboxContext): Promise<Markup> {
  const { payload } = iq;
  const tag = new Markup(payload.name === "inbox" ? "inbox" : "query");
  if (payload.attrs["jid"] === undefined) {
    return xml`<${tag} xmlns='${NS_CONVERSATION}'>${formMarkup(form(ctx.config))}</${tag}>`;
  }
  const key = keyOf(iq, payload);
  const now = ctx.now() * 1000;
  if (payload.attrs["complete"] !== "true" && payload.attrs["complete"] !== "1") {
    const properties = await ctx.store.getEntryProperties(key);
    if (properties === undefined) throw notFound();
    return xml`<${tag} xmlns='${NS_CONVERSATION}'>${propertiesMarkup(properties, now)}</${tag}>`;
  }
  const entry = await ctx.store.getFullEntry(key);
  if (entry === undefined) throw notFound();
  const [{ extra }] = await ctx.host.hooks.fold("extend_inbox_result", [{ entry, extra: [] }], { iq });
  return xml`<${tag} xmlns='${NS_CONVERSATION}'>${forwardedMarkup(entry)}${propertiesMarkup(entry, now)}${extra}</${tag}>`;
}

/** A set: changes of an entry, or <reset/>, which marks it as read. */
export async function set(iq: Iq, ctx: InboxContext): Promise<Markup | undefined> {
  const { payload } = iq;
  const key = keyOf(iq, payload);
  if (payload.name === "reset") {
    await ctx.store.setEntryProperties(key, { read: true });
    return xml`<reset xmlns='${NS_CONVERSATION}'/>`;
  }
  if (payload.name !== "query") throw new StanzaError("bad-request");
  const changes = changesOf(payload, ctx);
  const properties = await ctx.store.setEntryProperties(key, changes);
  if (properties === undefined) throw notFound();
  const id = iq.stanza.id ?? "";
  announce(key, properties, id, ctx, { session: iq.session, queryid: payload.attrs["queryid"] ?? id });
  return undefined;
}

const notFound = (): StanzaError => new StanzaError("item-not-found", "item-not-found: there is no such conversation");

const form = (config: InboxConfig): DataForm => ({
  formType: NS_CONVERSATION,
  fields: [
    { var: "archive", type: "boolean", values: ["false"] },
    { var: "read", type: "boolean", values: ["false"] },
    { var: "mute", type: "text-single", values: ["0"] },
    {
      var: "box",
      type: "list-single",
      values: ["all"],
      options: ["all", ...boxesOf(config)].map((value) => ({ value, label: value })),
    },
  ],
});

/** Only the asker's own inbox can be meant. */
function keyOf(iq: Iq, payload: Element): EntryKey {
  const jid = payload.attrs["jid"];
  if (jid === undefined) throw new StanzaError("bad-request", "jid-required: the attribute jid must say which entry");
  const remote = tryParseJid(jid)?.bare;
  if (remote === undefined) throw new StanzaError("bad-request", "invalid-jid: the attribute jid is no JID");
  return { user: iq.from.bare, remote: remote.text };
}

/** Throws bad-request for what cannot be set. The box is what <box/> says, whatever <archive/> says. */
function changesOf(payload: Element, ctx: InboxContext): Changes {
  let box: string | undefined;
  let archive: string | undefined;
  let mutedUntil: number | undefined;
  let read: boolean | undefined;
  for (const child of payload.getChildElements()) {
    const value = child.text();
    switch (child.name) {
      case "box":
        if (!boxesOf(ctx.config).includes(value))
          throw new StanzaError("bad-request", "invalid-box: there is no such box");
        box = value;
        break;
      case "archive":
        archive = isTrue("archive", value) ? "archive" : "inbox";
        break;
      case "read":
        read = isTrue("read", value);
        break;
      case "mute":
        if (!SECONDS.test(value)) throw wrong("mute", "a number of seconds");
        mutedUntil = value === "0" ? 0 : (ctx.now() + Number(value) * 1000) * 1000;
        break;
      default:
        throw new StanzaError("bad-request", "bad-request: an entry has box, archive, read and mute");
    }
  }
  box ??= archive;
  if (box === undefined && mutedUntil === undefined && read === undefined) {
    throw new StanzaError("bad-request", "no-property: nothing is to be changed");
  }
  return {
    ...(box === undefined ? {} : { box }),
    ...(mutedUntil === undefined ? {} : { mutedUntil }),
    ...(read === undefined ? {} : { read }),
  };
}

const wrong = (name: string, what: string) => new StanzaError("bad-request", `bad-request: <${name}/> must be ${what}`);

function isTrue(name: string, value: string): boolean {
  if (value === "true" || value === "1") return true;
  if (value === "false" || value === "0") return false;
  throw wrong(name, "true or false");
}
