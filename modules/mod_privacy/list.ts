// Privacy lists (XEP-0016 §2.1) and how a stanza is judged by one. A list is read once and asked often: rules for JIDs
// are found by at most four look-ups, however many there are, and the few others are gone through in order.

import type { MaybePromise } from "../../core/hooks.ts";
import { isFull, type Jid } from "../../core/jid.ts";

// Kinds of stanzas, as bits, since an item may be for several.
/** Messages to the user. */
export const MESSAGE_IN = 1;
/** Requests and answers to the user. */
export const IQ_IN = 2;
/** Available and unavailable presence to the user. */
export const PRESENCE_IN = 4;
/** Available and unavailable presence of the user. */
export const PRESENCE_OUT = 8;
/** All else, such as subscription requests and what the user sends: only items for every kind are about these. */
export const OTHER = 16;
/** An item that names no kinds. */
export const EVERY_KIND = 31;

/** `block` is XEP-0191's deny: the user who writes to somebody he has blocked is told so. */
export type Action = "allow" | "deny" | "block";
export type Subscription = "none" | "to" | "from" | "both";

/** One rule. */
export interface Item {
  readonly type: "none" | "jid" | "group" | "subscription";
  /** A prepared JID, a group, a subscription; "" for type none. */
  readonly value: string;
  readonly action: Action;
  /** 0 to 2147483647, one of its own in a list; rules are tried from the lowest on. */
  readonly order: number;
  /** Bits. */
  readonly kinds: number;
}

/** What the user's roster says of somebody. */
export interface Contact {
  readonly subscription: Subscription;
  readonly groups: readonly string[];
}

/** How a list learns what the roster says; groups are asked for only when a rule needs them. */
export type Ask = (needsGroups: boolean) => MaybePromise<Contact>;

type Rules = Item | Item[];

export class PrivacyList {
  readonly items: readonly Item[];
  /** Kinds of which this list can turn a stanza away, as bits: 0 for a list that lets everything pass. */
  readonly denies: number;
  private readonly byJid = new Map<string, Rules>();
  /** Rules of the other types, by their order. */
  private readonly others: readonly Item[];
  /** Kinds that have a rule for a group. */
  private readonly groupKinds: number;
  /** Kinds that have a rule for a single resource. */
  private readonly resourceKinds: number;

  /** @param items with orders of their own each, in any order */
  constructor(
    readonly name: string,
    items: readonly Item[],
  ) {
    this.items = items.toSorted((a, b) => a.order - b.order);
    let denies = 0;
    let groupKinds = 0;
    let resourceKinds = 0;
    const others: Item[] = [];
    for (const item of this.items) {
      if (item.action !== "allow") denies |= item.kinds;
      if (item.type === "group") groupKinds |= item.kinds;
      if (item.type === "jid" && item.value.includes("/")) resourceKinds |= item.kinds;
      if (item.type === "jid") this.add(item);
      else others.push(item);
    }
    this.denies = denies;
    this.groupKinds = groupKinds;
    this.resourceKinds = resourceKinds;
    this.others = others;
  }

  /** Whether a rule for this kind is about a group. */
  needsGroups(kind: number): boolean {
    return (this.groupKinds & kind) !== 0;
  }

  /** Whether resources of one account may be treated unlike each other. */
  tellsResources(kind: number): boolean {
    return (this.resourceKinds & kind) !== 0;
  }

  private add(item: Item): void {
    const there = this.byJid.get(item.value);
    if (there === undefined) this.byJid.set(item.value, item);
    else if (Array.isArray(there)) there.push(item);
    else this.byJid.set(item.value, [there, item]);
  }

  /**
   * What the first rule that fits says of a stanza of this kind, to or from this peer; allow when none fits.
   * Takes time only when the roster has to be asked and is not at hand.
   */
  verdict(kind: number, peer: Jid, ask: Ask): MaybePromise<Action> {
    if ((this.denies & kind) === 0) return "allow";
    const rule = this.byJid.size === 0 ? undefined : this.jidRule(kind, peer);
    const until = rule?.order ?? Number.POSITIVE_INFINITY;
    for (const [i, item] of this.others.entries()) {
      if (item.order > until) break;
      if ((item.kinds & kind) === 0) continue;
      if (item.type === "none") return item.action;
      const contact = ask(this.needsGroups(kind));
      const rest = (known: Contact): Action => this.known(kind, known, i, until) ?? rule?.action ?? "allow";
      return contact instanceof Promise ? contact.then(rest) : rest(contact);
    }
    return rule?.action ?? "allow";
  }

  /** The rest of the rules that are for no JID, when it is known who the peer is. */
  private known(kind: number, contact: Contact, from: number, until: number): Action | undefined {
    for (let i = from; i < this.others.length; i++) {
      const item = this.others[i];
      if (item.order > until) return undefined;
      if ((item.kinds & kind) === 0) continue;
      if (item.type === "none") return item.action;
      const fits = item.type === "group" ? contact.groups.includes(item.value) : contact.subscription === item.value;
      if (fits) return item.action;
    }
    return undefined;
  }

  /** The first rule for this JID: a JID is itself, its bare JID, its domain, and its domain with the resource (§2.1). */
  private jidRule(kind: number, peer: Jid): Item | undefined {
    const { bare } = peer;
    let first = this.earlier(undefined, kind, bare.text);
    if (isFull(peer)) {
      first = this.earlier(first, kind, peer.text);
      if (!bare.isDomain) first = this.earlier(first, kind, `${bare.domain}/${peer.resource}`);
    }
    return bare.isDomain ? first : this.earlier(first, kind, bare.domain);
  }

  private earlier(found: Item | undefined, kind: number, jid: string): Item | undefined {
    const rules = this.byJid.get(jid);
    if (rules === undefined) return found;
    const rule = Array.isArray(rules) ? rules.find((r) => (r.kinds & kind) !== 0) : rules;
    if (rule === undefined || (rule.kinds & kind) === 0) return found;
    return found === undefined || rule.order < found.order ? rule : found;
  }
}
