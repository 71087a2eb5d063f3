// XEP-0077 In-Band Registration: accounts are made before authentication, passwords changed and accounts removed after.

import ipaddr from "ipaddr.js";
import { z } from "zod";
import { accessRule, enumOf, ipMask, iqdisc, jidText, nonNegative } from "../core/config/types.ts";
import { StanzaError } from "../core/errors.ts";
import { STOP } from "../core/hooks.ts";
import { type BareJid, JidError, makeBare, parseJid } from "../core/jid.ts";
import { defineModule, type Iq, type ModuleContext, type Session } from "../core/module.ts";
import { networkOf } from "../core/network.ts";
import { iqResult } from "../core/replies.ts";
import { type Element, IQ, type Stanza } from "../core/stanza.ts";
import { attr, Markup, xml } from "../core/xml/markup.ts";

const NS_REGISTER = "jabber:iq:register";
const FEATURE = new Markup("<register xmlns='http://jabber.org/features/iq-register'/>");

/** What a feature that lets somebody register has to say, and what it does about it. */
export interface RegistrationPermit {
  /** The options `access` and `ip_access` are not asked. */
  readonly overridesAccess: boolean;
  /** Called before the account is made; throws a StanzaError when the permission is gone meanwhile. */
  claim(): Promise<void>;
  /** The account was not made after all. */
  release(): Promise<void>;
  /** The account is there. */
  done(jid: BareJid): Promise<void>;
}

declare module "../core/hooks.ts" {
  interface FoldHooks {
    /**
     * An account is about to be made in-band. A feature may permit it beyond the configuration, or refuse it by
     * throwing a StanzaError. Ours, not MongooseIM's.
     */
    registration_permit: {
      acc: RegistrationPermit | undefined;
      params: { jid: BareJid; session: Session | undefined };
    };
  }
}

// What this feature needs of the host type.
const config = z.strictObject({
  access: accessRule().default("all").describe("Who may register, and remove an account"),
  ip_access: z
    .array(
      z.strictObject({
        address: ipMask().describe("IP address or network"),
        policy: enumOf("allow", "deny").describe("Whether it may register"),
      }),
    )
    .default([])
    .describe("From where one may register; the narrowest network that holds the address decides"),
  password_strength: nonNegative().default(0).describe("Bits of entropy that a password must have"),
  registration_watchers: z.array(jidText()).default([]).describe("Who is told about every new account"),
  welcome_message: z
    .strictObject({
      subject: z.string().default("").describe("Its subject"),
      body: z.string().default("").describe("Its text"),
    })
    .optional()
    .describe("Message sent to a new account"),
  iqdisc: iqdisc("one_queue"),
});
type Context = ModuleContext<z.output<typeof config>, undefined>;

export default defineModule({
  name: "mod_register",
  xeps: [{ n: 77, version: "2.4" }],
  config,
  features: [NS_REGISTER],
  iq: {
    "get host jabber:iq:register": form,
    "set host jabber:iq:register": change,
    "get own jabber:iq:register": form,
    "set own jabber:iq:register": change,
  },
  hooks: {
    c2s_stream_features: (features) => void features.push(FEATURE),
    // 30: before those who look at any first-level element
    user_send_xmlel: { at: 30, type: ["get", "set"], ns: NS_REGISTER, child: "query", run: beforeLogin },
  },
});

// --- before authentication ---

async function beforeLogin(stanza: Stanza, session: Session, ctx: Context): Promise<typeof STOP | undefined> {
  if (session.jid !== undefined || stanza.kind !== IQ) return;
  const head = xml`<iq from='${session.domain}'${attr("id", stanza.id)}`.text;
  try {
    if (stanza.type === "get") session.write(`${head} type='result'>${formFor("").text}</iq>`);
    else {
      await firstAccount(stanza.child("query", NS_REGISTER)!, session, ctx);
      session.write(`${head} type='result'/>`);
    }
  } catch (error) {
    if (!(error instanceof StanzaError)) throw error;
    session.write(`${head} type='error'>${stanza.innerXml}${error.toXml()}</iq>`);
  }
  return STOP;
}

async function firstAccount(query: Element, session: Session, ctx: Context): Promise<void> {
  if (query.getChild("remove", NS_REGISTER)) throw new StanzaError("registration-required");
  await register(query, session.domain, session, "", ctx);
}

// --- with a session ---

function form(iq: Iq): Markup {
  return formFor(iq.from.domain === iq.to.domain ? iq.from.local : "");
}

function formFor(user: string): Markup {
  const registered = user === "" ? undefined : new Markup("<registered/>");
  const text = "Choose a user name and a password for the account on this server";
  return xml`<query xmlns='${NS_REGISTER}'><instructions>${text}</instructions><username>${user}</username><password/>${registered}</query>`;
}

async function change(iq: Iq, ctx: Context): Promise<void> {
  const query = iq.payload;
  if (query.getChild("remove", NS_REGISTER)) return remove(iq, ctx);
  const { from, to } = iq;
  const own = from.domain === to.domain && localOf(query) === from.local;
  const access = ctx.host.access.match(ctx.config.access, from, to.domain);
  if (access !== "allow") throw new StanzaError("forbidden");
  if (!own) return register(query, to.domain, iq.session, from.bare.text, ctx);
  const password = field(query, "password");
  if (!password) throw new StanzaError("bad-request", "The password is empty");
  checkStrength(password, ctx);
  const outcome = await ctx.host.auth.setPassword(from.local, from.domain, password);
  if (outcome === "bad_password")
    throw new StanzaError("bad-request", "The password has characters that are not allowed");
  if (outcome === "not_allowed") throw new StanzaError("not-allowed");
}

/** §3.2: the account goes with all its data; then its sessions end, the one that asked after it has its answer. */
async function remove(iq: Iq, { config, host, server }: Context): Promise<void> {
  if (iq.payload.getChildElements().length !== 1) throw new StanzaError("bad-request");
  const { bare } = iq.from;
  if (bare.domain !== iq.to.domain) throw new StanzaError("not-allowed");
  if (host.access.match(config.access, bare, bare.domain) !== "allow") throw new StanzaError("not-allowed");
  const answered = (): void => iq.session?.write(iqResult(iq.stanza, ""));
  if (!(await server.removeUser(bare, answered, iq.session))) throw new StanzaError("not-allowed");
}

// --- making an account ---

/** Makes an account for somebody with a stream here, or for `from`, who is elsewhere. */
async function register(
  query: Element,
  domain: string,
  session: Session | undefined,
  from: string,
  ctx: Context,
): Promise<void> {
  const local = localOf(query);
  const jid = makeBare(local, domain);
  // First of all, as in MongooseIM: who is refused has had his turn.
  takeTurn(session === undefined ? from : networkOf(session.address), ctx);
  const permit = await ctx.host.hooks.fold("registration_permit", undefined, { jid, session });
  if (!permit?.overridesAccess) checkAccess(jid, session?.address, ctx);
  const password = field(query, "password");
  if (!password) throw new StanzaError("not-acceptable", "The password is empty");
  checkStrength(password, ctx);
  await permit?.claim();
  try {
    await create(jid, password, ctx);
  } catch (error) {
    await permit?.release();
    throw error;
  }
  await ctx.host.hooks.notify("register_user", { jid });
  await greet(jid, session?.address, ctx);
  try {
    await permit?.done(jid);
  } catch (error) {
    // The account is there, whatever was to follow.
    ctx.log.error("registration_follow_up_failed", { error, user: jid.text });
  }
}

function checkAccess(jid: BareJid, address: string | undefined, { config, host }: Context): void {
  if (host.access.match(config.access, jid, jid.domain) !== "allow") throw new StanzaError("forbidden");
  // Who has no session here has no address either: where addresses are told apart, it is none of those that may.
  const may = address === undefined ? config.ip_access.length === 0 : addressMay(address, config.ip_access);
  if (!may) throw new StanzaError("forbidden");
}

async function create({ local, domain }: BareJid, password: string, { host }: Context): Promise<void> {
  switch (await host.auth.create(local, domain, password)) {
    case "ok":
      return;
    case "exists":
      throw new StanzaError("conflict");
    case "bad_password":
      throw new StanzaError("not-acceptable", "The password has characters that are not allowed");
    case "limit":
      throw new StanzaError("resource-constraint", "The domain has as many accounts as it may have");
    case "not_allowed":
      throw new StanzaError("not-allowed");
  }
}

const field = (query: Element, name: string): string | null => query.getChildText(name, NS_REGISTER);

/** The prepared localpart that is asked for. */
function localOf(query: Element): string {
  const text = field(query, "username");
  if (text === null) throw new StanzaError("bad-request", "There is no user name");
  if (text === "") throw new StanzaError("not-acceptable", "The user name is empty");
  try {
    return makeBare(text, "localhost").local;
  } catch (error) {
    if (error instanceof JidError) throw new StanzaError("jid-malformed", "This cannot be a user name");
    throw error;
  }
}

async function greet(jid: BareJid, address: string | undefined, { config, server, now }: Context): Promise<void> {
  const from = makeBare("", jid.domain);
  const welcome = config.welcome_message;
  if (welcome && (welcome.subject !== "" || welcome.body !== "")) {
    const text = xml`<subject>${welcome.subject}</subject><body>${welcome.body}</body>`;
    await server.routeXml(from, jid, xml`<message to='${jid.text}' type='normal'>${text}</message>`);
  }
  for (const watcher of config.registration_watchers) {
    const body = `[${new Date(now()).toISOString()}] The account ${jid.text} was registered from ${address ?? "elsewhere"}`;
    const markup = xml`<message to='${watcher}' type='chat'><body>${body}</body></message>`;
    await server.routeXml(from, parseJid(watcher), markup);
  }
}

// --- bounds ---

/**
 * Entropy as MongooseIM counts it: length times the bits of the alphabets in use, lower and upper case 26 each, digits
 * 9, other printable ASCII 33, everything else 128.
 */
export function entropy(password: string): number {
  const alphabets: [RegExp, number][] = [
    [/[a-z]/, 26],
    [/[A-Z]/, 26],
    [/[0-9]/, 9],
    [/[!-/:-@[-`{-~]/, 33],
    [/[^!-~]/, 128],
  ];
  const size = alphabets.reduce((sum, [has, n]) => sum + (has.test(password) ? n : 0), 0);
  return size === 0 ? 0 : Buffer.byteLength(password) * Math.log2(size);
}

function checkStrength(password: string, { config }: Context): void {
  if (entropy(password) < config.password_strength) throw new StanzaError("not-acceptable", "The password is too weak");
}

/** The narrowest entry that holds the address decides; nobody is refused without an entry. */
export function addressMay(
  address: string,
  entries: readonly { readonly address: string; readonly policy: "allow" | "deny" }[],
): boolean {
  if (entries.length === 0 || !ipaddr.isValid(address)) return true;
  const ip = ipaddr.process(address);
  let narrowest = -1;
  let allowed = true;
  for (const entry of entries) {
    const [network, bits] = entry.address.includes("/")
      ? ipaddr.parseCIDR(entry.address)
      : ([ipaddr.process(entry.address), ipaddr.process(entry.address).kind() === "ipv4" ? 32 : 128] as const);
    if (network.kind() !== ip.kind() || bits <= narrowest || !ip.match(network, bits)) continue;
    narrowest = bits;
    allowed = entry.policy === "allow";
  }
  return allowed;
}

/** When each network (or remote user) last tried to register (`Server.steady`); lives as long as the feature's context. */
const turns = new WeakMap<object, Map<string, number>>();

/** One try for an address in general.registration_timeout seconds, whether it succeeds or not. */
function takeTurn(who: string, ctx: Context): void {
  const wait = ctx.host.registrationTimeout * 1000;
  if (wait === Number.POSITIVE_INFINITY) return;
  const byAddress = turns.get(ctx) ?? new Map<string, number>();
  turns.set(ctx, byAddress);
  const now = ctx.server.steady();
  const last = byAddress.get(who);
  if (last !== undefined && now - last < wait) {
    throw new StanzaError("resource-constraint", "An account was registered from this address a short while ago");
  }
  // Oldest first: a Map keeps the order in which its keys were put in.
  for (const [old, at] of byAddress) {
    if (now - at < wait) break;
    byAddress.delete(old);
  }
  byAddress.delete(who);
  byAddress.set(who, now);
}
