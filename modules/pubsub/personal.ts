// What makes publish-subscribe personal (XEP-0163): whoever sees an account's presence is a subscriber of its nodes, who
// has only to say what interests him; and who comes online gets the newest items of that.

import { letsSee, subscriptionLists } from "../../core/contacts.ts";
import type { MaybePromise } from "../../core/hooks.ts";
import { type BareJid, parseJid } from "../../core/jid.ts";
import { type HostType, type Server, type Session, Slot } from "../../core/module.ts";
import { viewText } from "../../core/xml/framer.ts";
import { allows, requireReader } from "./access.ts";
import type { Audience, PubsubEngine } from "./engine.ts";
import { Delivery, delayOf, eventOf, itemEvent } from "./event.ts";
import type { Item, NodeConfig, PubsubNode } from "./model.ts";

const NOTIFY = "+notify";
/** The newest item of a node, with what decides who gets it and how. */
export interface LastItem {
  readonly service: BareJid;
  readonly name: string;
  readonly config: NodeConfig;
  readonly item: Item;
  /** Nobody has an affiliation: the access model alone says who may read. */
  readonly plain?: boolean;
}

/** What personal eventing is made with in a feature. */
export interface PersonalParts {
  readonly host: HostType;
  readonly server: Server;
  /** The disco#info features of a session's client; undefined when they are not known. */
  featuresOf(session: Session): ReadonlySet<string> | undefined;
  /** The contacts of a node's account in the roster groups that it is open to. */
  inGroups(node: PubsubNode): Promise<readonly string[]>;
  /** The newest items of nodes of these names, of accounts of one domain. */
  lastItems(domain: string, users: readonly string[], names: readonly string[]): Promise<readonly LastItem[]>;
  /** Whether the newest items of a contact go to who comes online; of all of them where absent. */
  sends?(contact: BareJid): boolean;
}

// --- Who gets events -------------------------------------------------------------------------------------------------------

/** The account, the contacts that receive its presence as far as the access model lets them, and those on the list. */
export function personalAudience(parts: PersonalParts, node: PubsubNode): MaybePromise<Audience> {
  const { service } = node;
  if (node.config.access_model === "roster") return parts.inGroups(node).then((jids) => visible(parts, node, jids));
  const lists = subscriptionLists(parts.host, service);
  return lists instanceof Promise
    ? lists.then(({ from }) => visible(parts, node, from))
    : visible(parts, node, lists.from);
}

/** Leaves out those whom the account has blocked, or hides its presence from. */
function visible(parts: PersonalParts, node: PubsubNode, contacts: readonly string[]): MaybePromise<Audience> {
  const { subscriptions, service } = node;
  const [session] = parts.server.sessionsOf(service);
  const asked =
    subscriptions.size === 0
      ? contacts
      : [...new Set([...contacts, ...[...subscriptions.values()].map(([s]) => s.jid.bare.text)])];
  if (asked.length === 0) return audience(parts, node, contacts, asked);
  const allowed = parts.host.hooks.fold("presence_audience", asked, { account: service, session, type: "" });
  const give = (some: readonly string[]): Audience =>
    audience(parts, node, contacts, some, some === asked ? undefined : new Set(some.map(bareText)));
  return allowed instanceof Promise ? allowed.then(give) : give(allowed);
}

const bareText = (jid: string): string => parseJid(jid).bare.text;

function within(jids: readonly string[], contacts: readonly string[]): readonly string[] {
  const known = new Set(contacts);
  return jids.filter((jid) => known.has(bareText(jid)));
}

/**
 * @param some the contacts that may have events, some of them by their resources; others may be among them
 * @param allowed all that may have events; undefined: everybody
 */
function audience(
  { featuresOf }: PersonalParts,
  node: PubsubNode,
  contacts: readonly string[],
  some: readonly string[],
  allowed?: ReadonlySet<string>,
): Audience {
  const { service, config, affiliations } = node;
  const wanted = node.name + NOTIFY;
  const mayRead = (jid: string): boolean => {
    const affiliation = affiliations.get(jid);
    return affiliation === "owner" || affiliation === "publisher" || affiliation === "member";
  };
  const outcast = (jid: string): boolean => {
    const affiliation = affiliations.get(jid);
    return affiliation === "outcast" || affiliation === "publish-only";
  };
  const listed = config.access_model === "whitelist" || config.access_model === "authorize";
  const among = allowed === undefined ? contacts : within(some, contacts);
  const reached = listed
    ? among.filter((jid) => mayRead(bareText(jid)))
    : affiliations.size === 0
      ? among
      : among.filter((jid) => !outcast(bareText(jid)));
  let known: Set<string> | undefined;
  return {
    accounts: [service.text, ...reached],
    wants: (session: Session) => featuresOf(session)?.has(wanted) === true,
    admits: ({ text }) => {
      if (text === service.text) return true;
      if (allowed?.has(text) === false) return false;
      if (mayRead(text)) return true;
      if (outcast(text) || config.access_model === "whitelist") return false;
      if (config.access_model === "open" || config.access_model === "authorize") return true;
      known ??= new Set(contacts);
      return known.has(text);
    },
  };
}

// --- Newest items for who comes (XEP-0163 §4.3.4) ----------------------------------------------------------------------------

/** What a session has been sent the newest items of; the set is shared by all clients of its kind. */
const SERVED = new Slot<ReadonlySet<string>>();

/** Nodes whose newest items a client is given when it comes; clients want a dozen or two. */
const MAX_WANTED = 128;

/** The node names that a client wants events of. */
const wantedOf = (features: ReadonlySet<string>): string[] =>
  [...features]
    .filter((f) => f.endsWith(NOTIFY))
    .slice(0, MAX_WANTED)
    .map((f) => f.slice(0, -NOTIFY.length));

/** A feature's engine for personal nodes, with what it is personal by. */
export interface Personal {
  readonly engine: PubsubEngine;
  readonly parts: PersonalParts;
}

/**
 * A client's features became known: it has come online, or wants something else than before.
 * @param elsewhere who keeps the personal nodes of another host type's accounts
 */
export async function clientKnown(
  own: Personal,
  session: Session,
  features: ReadonlySet<string>,
  elsewhere: (host: HostType) => Personal | undefined,
): Promise<void> {
  const before = SERVED.get(session);
  if (before === features) return;
  SERVED.set(session, features);
  const names = wantedOf(features).filter((name) => before?.has(name + NOTIFY) !== true);
  if (names.length === 0) return;
  const { host, server } = own.parts;
  const { bare } = session.jid;
  const { to } = await subscriptionLists(host, bare);
  for (const [domain, jids] of byDomain([bare.text, ...to])) {
    const there = server.hostTypeOf(domain);
    const keeper = there === host ? own : there && elsewhere(there);
    if (keeper !== undefined) await sendNewest(keeper, domain, jids, names, session);
  }
}

/** Sends a session the newest items that accounts of one domain have at nodes of these names. */
async function sendNewest(
  { engine, parts }: Personal,
  domain: string,
  accounts: readonly BareJid[],
  names: readonly string[],
  session: Session,
): Promise<void> {
  const own = session.jid.bare.text;
  const some = accounts.filter((jid) => jid.text === own || parts.sends?.(jid) !== false);
  const users = some.map(({ local }) => local);
  const last = users.length === 0 ? [] : await parts.lastItems(domain, users, names);
  const withheld = await withholding(parts, last, session);
  for (const one of last) {
    if (session.available && !withheld.has(one.service.text)) await give(engine, one, [session]);
  }
}

/**
 * The accounts of these items that want nothing to reach a session (XEP-0191), or do not let it see their presence any
 * more: its own roster need not know, a stanza that said so may have been turned away.
 */
async function withholding(
  parts: PersonalParts,
  last: readonly LastItem[],
  session: Session,
): Promise<ReadonlySet<string>> {
  const services = new Map<string, BareJid>();
  const bySubscription = new Set<string>();
  for (const { service, plain, config } of last) {
    services.set(service.text, service);
    // Of the others the whole node is looked at.
    if (plain === true && config.access_model === "presence") bySubscription.add(service.text);
  }
  const { bare } = session.jid;
  services.delete(bare.text);
  const stanza = viewText("<message/>");
  stanza.to = session.jid;
  const said = [...services.values()].map(async (jid) => {
    const message = stanza.clone();
    message.from = jid;
    const { hooks } = parts.host;
    const verdict = await hooks.fold("privacy_check_packet", "allow", { jid, stanza: message, dir: "out" });
    if (verdict !== "allow") return [jid.text];
    return bySubscription.has(jid.text) && !(await shows(parts, jid, bare)) ? [jid.text] : [];
  });
  return new Set((await Promise.all(said)).flat());
}

/** Whether an account lets a contact see its presence, as its own roster has it. */
async function shows({ host, server }: PersonalParts, account: BareJid, contact: BareJid): Promise<boolean> {
  if (server.sessionsOf(account).length > 0) {
    const { from } = await subscriptionLists(host, account);
    return from.includes(contact.text);
  }
  return letsSee(host, account, contact);
}

function byDomain(jids: readonly string[]): Map<string, BareJid[]> {
  const found = new Map<string, BareJid[]>();
  for (const text of jids) {
    const { bare } = parseJid(text);
    const accounts = found.get(bare.domain);
    if (accounts === undefined) found.set(bare.domain, [bare]);
    else accounts.push(bare);
  }
  return found;
}

/** A session is gone for others: when it comes back it gets all anew. */
export function clientGone(session: Session): void {
  if (SERVED.get(session) !== undefined) SERVED.set(session, undefined);
}

/** An account lets a contact see its presence from now on. */
export async function contactAdmitted(
  engine: PubsubEngine,
  parts: PersonalParts,
  owner: BareJid,
  contact: BareJid,
): Promise<void> {
  const { featuresOf } = parts;
  const sessions = parts.server.sessionsOf(contact).filter((s) => s.available && featuresOf(s) !== undefined);
  if (sessions.length === 0) return;
  const names = new Set(sessions.flatMap((s) => wantedOf(featuresOf(s) ?? new Set())));
  if (names.size === 0) return;
  const last = await parts.lastItems(owner.domain, [owner.local], [...names]);
  if (last.length === 0 || (await withholding(parts, last, sessions[0])).size > 0) return;
  for (const one of last) {
    await give(
      engine,
      one,
      sessions.filter((s) => featuresOf(s)?.has(one.name + NOTIFY)),
    );
  }
}

/** Sends a newest item to sessions of one account that receives the presence of the node's, if it may read it. */
async function give(engine: PubsubEngine, one: LastItem, sessions: readonly Session[]): Promise<void> {
  const { service, name, config, item } = one;
  const [first] = sessions;
  if (first === undefined || config.send_last_published_item !== "on_sub_and_presence") return;
  if (!config.deliver_notifications || item.at < engine.keep({ config }).since) return;
  let node: PubsubNode = { service, name, config, ref: 0, affiliations: NONE, subscriptions: NONE };
  const simple = one.plain === true && (config.access_model === "open" || config.access_model === "presence");
  if (!simple) {
    const kept = await engine.nodes.get(service, name);
    if (kept === undefined || !(await allows(() => requireReader(engine, kept, first.jid.bare)))) return;
    node = kept;
  }
  const delivery = new Delivery(engine, eventOf(node, itemEvent(engine, node, item), delayOf(item)), false);
  for (const session of sessions) delivery.toSession(session);
}

/** Of a node whose affiliations and subscriptions do not matter; nobody writes to it. */
const NONE = new Map<string, never>();
