// XEP-0030 Service Discovery of the server and of accounts, contact addresses (XEP-0157), and the server's own
// capabilities in its stream features (XEP-0115 §6.3, XEP-0390). What there is to discover comes from the features
// that run: their declarations, and the disco hooks.

import { z } from "zod";
import { domainName, erlangModule, iqdisc, nonEmpty, url } from "../../core/config/types.ts";
import { letsSee } from "../../core/contacts.ts";
import { type EntityInfo, infoMarkup, itemsMarkup } from "../../core/disco/answers.ts";
import { capabilityHash, formOf, verification } from "../../core/disco/caps.ts";
import { StanzaError } from "../../core/errors.ts";
import type { DiscoItem, DiscoParams, Identity } from "../../core/hooks.ts";
import { type BareJid, makeBare } from "../../core/jid.ts";
import { defineModule, type HostType, type Iq, type ModuleContext, type RunningModule } from "../../core/module.ts";
import { NS_CAPS, NS_CAPS2, NS_DATA, NS_DISCO_INFO, NS_DISCO_ITEMS, NS_HASHES } from "../../core/ns.ts";
import { Markup, xml } from "../../core/xml/markup.ts";
import { versionsOf } from "../mod_caps/index.ts";
import { sessionsSeenBy } from "../mod_presence/index.ts";

// Clients that were written for MongooseIM know the server by this name and node.
const NAME = "MongooseIM";
const CAPS_NODE = "https://www.erlang-solutions.com/products/mongooseim.html";
const NS_HASH_NAMES = "urn:xmpp:hash-function-text-names";
const NS_SERVER_INFO = "http://jabber.org/network/serverinfo";

const config = z.strictObject({
  extra_domains: z.array(domainName()).default([]).describe("More domains to list among the server's services"),
  server_info: z
    .array(
      z.strictObject({
        name: nonEmpty().describe("Name of the field, such as abuse-addresses"),
        urls: z.array(url()).describe("Addresses"),
        modules: z.array(erlangModule()).optional().describe("Services that tell it; all when left out"),
      }),
    )
    .default([])
    .describe("Contact addresses (XEP-0157)"),
  users_can_see_hidden_services: z.boolean().default(true).describe("Show hidden components to users"),
  iqdisc: iqdisc("one_queue"),
});
type Context = ModuleContext<z.output<typeof config>, undefined, "mod_disco_roster_get_count">;

declare module "../../core/hooks.ts" {
  interface FoldHooks {
    /** Forms (XEP-0128) in an account's disco#info. */
    disco_sm_info: { acc: Markup[]; params: DiscoParams };
  }
}

export default defineModule<z.output<typeof config>, undefined, "mod_disco_roster_get_count">({
  name: "mod_disco",
  xeps: [
    { n: 30, version: "2.5.0" },
    { n: 157, version: "1.1.1" },
    { n: 115, version: "1.6.0" },
    { n: 390, version: "0.3.2" },
  ],
  config,
  uses: ["mod_caps", "mod_presence"],
  features: [NS_DISCO_INFO, NS_DISCO_ITEMS],
  accountFeatures: [NS_DISCO_INFO, NS_DISCO_ITEMS],
  metrics: { mod_disco_roster_get_count: { kind: "counter", help: "Rosters read to answer a disco query" } },
  iq: {
    "get host http://jabber.org/protocol/disco#info": serverInfo,
    "get host http://jabber.org/protocol/disco#items": serverItems,
    "get account http://jabber.org/protocol/disco#info": accountInfo,
    "get account http://jabber.org/protocol/disco#items": accountItems,
    "get absent http://jabber.org/protocol/disco#items": absentItems,
  },
  hooks: {
    disco_local_features: (features, { node }, { host }) => {
      if (node !== "") return;
      for (const version of versions(host)) {
        const own = version === "v1" ? [NS_CAPS] : [NS_CAPS2, NS_HASHES, `${NS_HASH_NAMES}:sha-256`];
        for (const feature of own) features.add(feature);
      }
    },
    c2s_stream_features: (features, { domain }, ctx) => {
      const known = capsOf(ctx).get(domain, ctx.host);
      if (known) return void features.push(known.feature);
      return learn(domain, ctx).then((caps) => void features.push(caps.feature));
    },
  },
});

// --- the server ---

async function serverInfo(iq: Iq, ctx: Context): Promise<Markup> {
  const node = iq.payload.attrs["node"] ?? "";
  if (node.startsWith(`${CAPS_NODE}#`) || node.startsWith(`${NS_CAPS2}#`)) {
    const caps = capsOf(ctx).get(iq.to.domain, ctx.host) ?? (await learn(iq.to.domain, ctx));
    if (!caps.nodes.includes(node)) throw new StanzaError("item-not-found");
    return infoMarkup(await infoOfServer(paramsOf(iq, ""), ctx), node);
  }
  return infoMarkup(await infoOfServer(paramsOf(iq, node), ctx), node);
}

/** What the server is. Throws item-not-found for a node that nobody knows. */
async function infoOfServer(params: DiscoParams, { host, config }: Context): Promise<EntityInfo> {
  const root = params.node === "";
  const { hooks } = host;
  const own: Identity[] = root ? [{ category: "server", type: "im", name: NAME }] : [];
  const declared = root ? [...host.modules.values()].flatMap((m) => m.def.features ?? []) : [];
  const contacts = root ? serverInfoForm(config.server_info, "mod_disco") : [];
  const identities = await hooks.fold("disco_local_identity", own, params);
  const features = await hooks.fold("disco_local_features", new Set(declared), params);
  const forms = await hooks.fold("disco_info", contacts, params);
  return found({ identities, features: [...features].sort(), forms });
}

/** The contact addresses that a service of another feature is to tell (`server_info` of mod_disco). */
export function contactForms(host: HostType, module: string): Markup[] {
  const ctx = host.modules.get("mod_disco")?.ctx as Context | undefined;
  return ctx === undefined ? [] : serverInfoForm(ctx.config.server_info, module);
}

/** The form of XEP-0157, of the addresses that `module` is to tell; an empty list when there are none. */
function serverInfoForm(entries: Context["config"]["server_info"], module: string): Markup[] {
  const fields = entries
    .filter((e) => e.modules === undefined || e.modules.includes(module))
    .map((e) => xml`<field type='list-multi' var='${e.name}'>${e.urls.map((u) => xml`<value>${u}</value>`)}</field>`);
  if (fields.length === 0) return [];
  const type = xml`<field type='hidden' var='FORM_TYPE'><value>${NS_SERVER_INFO}</value></field>`;
  return [xml`<x type='result' xmlns='${NS_DATA}'>${type}${fields}</x>`];
}

async function serverItems(iq: Iq, ctx: Context): Promise<Markup> {
  const { host, config } = ctx;
  const params = paramsOf(iq, iq.payload.attrs["node"] ?? "");
  const extra = params.node === "" ? config.extra_domains.map((jid) => ({ jid })) : [];
  const items = await host.hooks.fold("disco_local_items", extra, params);
  // A node without items exists when there is something to say about it.
  if (params.node !== "" && items.length === 0) await infoOfServer(params, ctx);
  // Other servers and components always see everything.
  const all = config.users_can_see_hidden_services || iq.from.local === "";
  return itemsMarkup(all ? items : items.filter((item) => !item.hidden), params.node);
}

// --- accounts ---

/**
 * Only the owner and those who may see his presence learn that the account exists (XEP-0030 §8, RFC 6121 §8.5), unless
 * a feature shows strangers something of it: an open node.
 */
async function accountInfo(iq: Iq, ctx: Context): Promise<Markup> {
  const params = await accountParams(iq, ctx);
  if (params.node === "" && !params.subscribed) throw new StanzaError("service-unavailable");
  return infoMarkup(await infoOfAccount(params, ctx), params.node);
}

/** What an account is. Throws item-not-found for a node that nobody knows; strangers are told of none. */
async function infoOfAccount(params: DiscoParams, { host, server }: Context): Promise<EntityInfo> {
  const root = params.node === "";
  const type = server.sessionsOf(params.to.bare)[0]?.anonymous ? "anonymous" : "registered";
  const own: Identity[] = root ? [{ category: "account", type }] : [];
  const declared = root ? [...host.modules.values()].flatMap((m) => m.def.accountFeatures ?? []) : [];
  const identities = await host.hooks.fold("disco_sm_identity", own, params);
  const features = await host.hooks.fold("disco_sm_features", new Set(declared), params);
  const forms = await host.hooks.fold("disco_sm_info", [], params);
  if (!params.subscribed && identities.length + features.size === 0) throw new StanzaError("service-unavailable");
  return found({ identities, features: [...features].sort(), forms });
}

async function accountItems(iq: Iq, ctx: Context): Promise<Markup> {
  const params = await accountParams(iq, ctx);
  const shown = params.node === "" && params.subscribed ? ctx.server.sessionsOf(iq.to.bare) : [];
  const sessions = await sessionsSeenBy(ctx.host, iq.from, shown);
  const own = sessions.map(({ jid }): DiscoItem => ({ jid: jid.text, name: iq.to.local }));
  const items = await ctx.host.hooks.fold("disco_sm_items", own, params);
  if (params.node !== "" && items.length === 0) await infoOfAccount(params, ctx);
  return itemsMarkup(items, params.node);
}

/** An account that does not exist has the items that one has of which the asker may know nothing (XEP-0030 §8). */
function absentItems(iq: Iq): Markup {
  const node = iq.payload.attrs["node"] ?? "";
  if (node !== "") throw new StanzaError("service-unavailable");
  return itemsMarkup([], node);
}

async function accountParams(iq: Iq, { host, metrics }: Context): Promise<DiscoParams> {
  const params = paramsOf(iq, iq.payload.attrs["node"] ?? "");
  if (iq.from.bare.text === iq.to.bare.text) return params;
  metrics.mod_disco_roster_get_count.add();
  return { ...params, subscribed: await letsSee(host, iq.to.bare, iq.from.bare) };
}

// --- answers ---

function paramsOf(iq: Iq, node: string): DiscoParams {
  return { from: iq.from, to: iq.to, node, subscribed: true };
}

function found(info: EntityInfo): EntityInfo {
  if (info.identities.length + info.features.length + info.forms.length > 0) return info;
  throw new StanzaError("item-not-found");
}

// --- capabilities ---

interface Caps {
  /** The <c/> elements, one for each protocol. */
  feature: Markup;
  /** The nodes under which the answer that was hashed can be asked for. */
  nodes: readonly string[];
}

/** Domains in use at a time; others are computed again when they are asked for. */
const MAX_DOMAINS = 1000;

/** What each domain's stream features say, until another set of features runs. */
class CapsCache {
  private of: readonly RunningModule[] = [];
  private readonly byDomain = new Map<string, Caps>();

  get(domain: string, host: HostType): Caps | undefined {
    return this.current(host) ? this.byDomain.get(domain) : undefined;
  }

  set(domain: string, host: HostType, caps: Caps): void {
    if (!this.current(host) || this.byDomain.size >= MAX_DOMAINS) this.byDomain.clear();
    this.of = [...host.modules.values()];
    this.byDomain.set(domain, caps);
  }

  private current({ modules }: HostType): boolean {
    let i = 0;
    for (const module of modules.values()) if (this.of[i++] !== module) return false;
    return i === this.of.length;
  }
}

/** The cache of each host type; lives as long as the feature's context. */
const caches = new WeakMap<object, CapsCache>();

function capsOf(ctx: Context): CapsCache {
  const cache = caches.get(ctx) ?? new CapsCache();
  caches.set(ctx, cache);
  return cache;
}

/** Protocols of capabilities: mod_caps may be told to use one of them only. */
const versions = (host: HostType): readonly ("v1" | "v2")[] => versionsOf(host) ?? ["v1", "v2"];

async function learn(domain: string, ctx: Context): Promise<Caps> {
  const jid: BareJid = makeBare("", domain);
  const told = await infoOfServer({ from: jid, to: jid, node: "", subscribed: true }, ctx);
  const info = { ...told, forms: told.forms.map(formOf) };
  const ver = verification(info);
  const hash = capabilityHash(info);
  const v1 = xml`<c hash='sha-1' node='${CAPS_NODE}' ver='${ver}' xmlns='${NS_CAPS}'/>`;
  const v2 = xml`<c xmlns='${NS_CAPS2}'><hash algo='sha-256' xmlns='${NS_HASHES}'>${hash}</hash></c>`;
  const used = versions(ctx.host);
  const caps = {
    feature: new Markup(used.map((version) => (version === "v1" ? v1 : v2).text).join("")),
    nodes: used.map((version) => (version === "v1" ? `${CAPS_NODE}#${ver}` : `${NS_CAPS2}#sha-256.${hash}`)),
  };
  capsOf(ctx).set(domain, ctx.host, caps);
  return caps;
}
