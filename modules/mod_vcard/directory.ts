// The user directory at the domain of option `host` (vjud.@HOST@): XEP-0055 searches of the vCards of one domain, with
// a data form or with the four old fields.

import type { Element } from "@xmpp/xml";
import { StanzaError } from "../../core/errors.ts";
import type { HostType, Iq, ServiceAt, ServiceDef } from "../../core/module.ts";
import { NS_DATA, NS_DISCO_INFO, NS_DISCO_ITEMS, NS_VCARD } from "../../core/ns.ts";
import { type Column, formMarkup, Submission, tableMarkup } from "../../core/xml/form.ts";
import { Markup, xml } from "../../core/xml/markup.ts";
import { type Page, pageMarkup, pageOf, pageRequest } from "../../core/xml/rsm.ts";
import { contactForms } from "../mod_disco/index.ts";
import { serverCard } from "./card.ts";
import { FIELDS, folded } from "./fields.ts";
import type { Context } from "./index.ts";
import type { Condition, Found } from "./store.ts";

const NS_SEARCH = "jabber:iq:search";

/** Fields of searches without a form (XEP-0055 §2.1). */
const OLD_FIELDS = FIELDS.filter((f) => ["first", "last", "nick", "email"].includes(f.var));
const SEARCHABLE = [{ var: "user", label: "User", column: "username" }, ...FIELDS];
const REPORTED: readonly Column[] = [
  { var: "jid", label: "Jabber ID", type: "jid-single" },
  ...FIELDS.map((f): Column => ({ var: f.var, label: f.reported ?? f.label, type: "text-single" })),
];

export const directory: ServiceDef<Context["config"], Context["store"], never> = {
  address: ({ search, host }) => (search ? host : undefined),
  iq: answer,
};

async function answer(iq: Iq, ctx: Context, at: ServiceAt): Promise<Markup> {
  if (!iq.to.isDomain) throw new StanzaError("service-unavailable");
  const get = iq.type === "get";
  switch (iq.payload.getNS()) {
    case NS_SEARCH:
      return get ? searchForm(at.domain) : search(iq, ctx, at);
    case NS_DISCO_INFO:
      if (!get) throw new StanzaError("not-allowed");
      return info(iq.payload.attrs["node"], ctx.host);
    case NS_DISCO_ITEMS:
      if (!get) throw new StanzaError("not-allowed");
      if (iq.payload.attrs["node"]) throw new StanzaError("item-not-found");
      return xml`<query xmlns='${NS_DISCO_ITEMS}'/>`;
    case NS_VCARD:
      if (!get) throw new StanzaError("not-allowed");
      return serverCard("MongooseIM/mod_vcard", "MongooseIM vCard module");
    default:
      throw new StanzaError("service-unavailable");
  }
}

function info(node: string | undefined, host: HostType): Markup {
  if (node) throw new StanzaError("item-not-found");
  const features = [NS_DISCO_INFO, NS_DISCO_ITEMS, NS_SEARCH, NS_VCARD].map((f) => xml`<feature var='${f}'/>`);
  return xml`<query xmlns='${NS_DISCO_INFO}'><identity category='directory' name='vCard User Search' type='user'/>${features}${contactForms(host, "mod_vcard")}</query>`;
}

function searchForm(domain: string): Markup {
  const form = formMarkup({
    title: `Search users in ${domain}`,
    instructions: "Fill in one or more fields; an asterisk at the end of a value stands for anything that may follow",
    formType: NS_SEARCH,
    fields: SEARCHABLE.map((f) => ({ var: f.var, label: f.label })),
  });
  const old = OLD_FIELDS.map((f) => xml`<${new Markup(f.var)}/>`);
  return xml`<query xmlns='${NS_SEARCH}'><instructions>Fill in one or more fields to search for users</instructions>${old}${form}</query>`;
}

async function search(iq: Iq, ctx: Context, at: ServiceAt): Promise<Markup> {
  if (iq.payload.name !== "query") throw new StanzaError("bad-request");
  const domain = at.parent ?? domainOf(iq, ctx);
  const request = pageRequest(iq.payload);
  const x = iq.payload.getChild("x", NS_DATA);
  const conditions = x === undefined ? oldConditions(iq.payload) : formConditions(x);
  const found = conditions.length === 0 ? [] : await ctx.store.search(domain, conditions, ctx.config.matches);
  const page = pageOf(found, jidOf, request);
  const set = request === undefined ? undefined : pageMarkup(page, jidOf);
  const results = x === undefined ? oldResults(page) : [formResults(page, at.domain)];
  return xml`<query xmlns='${NS_SEARCH}'>${results}${set}</query>`;
}

/** A directory whose address is one whole domain searches the asker's domain. */
function domainOf({ from }: Iq, { host, server }: Context): string {
  if (server.hostTypeOf(from.domain) === host) return from.domain;
  throw new StanzaError("forbidden");
}

const jidOf = (user: Found): string => `${user.username}@${user.server}`;

// --- what is asked for ---

function formConditions(x: Element): Condition[] {
  const form = Submission.of(x);
  if (form.type !== "submit") throw new StanzaError("bad-request", "The form was not submitted");
  return SEARCHABLE.flatMap((f) => condition(f.column, form.all(f.var).length === 1 ? form.get(f.var) : undefined));
}

function oldConditions(query: Element): Condition[] {
  const given = OLD_FIELDS.filter((f) => query.getChild(f.var, NS_SEARCH) !== undefined);
  if (given.length === 0) throw new StanzaError("bad-request", "There is nothing to search for");
  return given.flatMap((f) => condition(f.column, query.getChild(f.var, NS_SEARCH)?.text()));
}

/** MongooseIM's wildcard is an asterisk at the end; an empty value asks for nothing. */
function condition(column: string, value: string | undefined): Condition[] {
  if (value === undefined || value === "") return [];
  const beginning = value.endsWith("*");
  return [{ column, text: folded(beginning ? value.slice(0, -1) : value), beginning }];
}

// --- what is found ---

function formResults({ items }: Page<Found>, domain: string): Markup {
  const rows = items.map((user) => ({
    jid: jidOf(user),
    ...Object.fromEntries(FIELDS.map((f) => [f.var, user[f.column]])),
  }));
  return tableMarkup({ title: `Search Results for ${domain}`, formType: NS_SEARCH }, REPORTED, rows);
}

function oldResults({ items }: Page<Found>): Markup[] {
  return items.map((user) => {
    const fields = OLD_FIELDS.map((f) => {
      const tag = new Markup(f.var);
      return xml`<${tag}>${user[f.column]}</${tag}>`;
    });
    return xml`<item jid='${jidOf(user)}'>${fields}</item>`;
  });
}
