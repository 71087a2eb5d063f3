// Roster items (RFC 6121 §2.1): their state, and how clients see them.

import { NS_ROSTER } from "../../core/ns.ts";
import { escapeXml } from "../../core/xml/markup.ts";
import { asked, hasFrom, hasTo, type State } from "./subscription.ts";

export interface RosterItem {
  /** The contact, prepared; usually bare. */
  readonly jid: string;
  /** The handle the user gave, "" for none. */
  readonly name: string;
  readonly groups: readonly string[];
  readonly state: State;
  /** Text of the contact's pending request. */
  readonly askMessage: string;
}

export type Subscription = "none" | "to" | "from" | "both";
export type Ask = "none" | "in" | "out" | "both";

const NO_GROUPS: readonly string[] = Object.freeze([]);
export const newItem = (jid: string): RosterItem => ({
  jid,
  name: "",
  groups: NO_GROUPS,
  state: "none",
  askMessage: "",
});

export function subscriptionOf(state: State): Subscription {
  const slash = state.indexOf("/");
  return (slash < 0 ? state : state.slice(0, slash)) as Subscription;
}

export function askOf(state: State): Ask {
  if (state.endsWith("/out+in")) return "both";
  return state.endsWith("/in") ? "in" : asked(state) ? "out" : "none";
}

/** The state of a subscription and a pending request; what contradicts itself (out while subscribed) is left out. */
export function stateOf(subscription: Subscription, ask: Ask): State {
  const out = (ask === "out" || ask === "both") && subscription !== "to" && subscription !== "both";
  const into = (ask === "in" || ask === "both") && subscription !== "from" && subscription !== "both";
  if (out && into) return "none/out+in";
  return (out ? `${subscription}/out` : into ? `${subscription}/in` : subscription) as State;
}

/**
 * A contact who has asked for a subscription is remembered like an item but is none (§3.1.3), unless the user had
 * put the contact into the roster: then there is a name or a group to show.
 */
export const isHidden = (item: RosterItem): boolean =>
  item.state === "none/in" && item.name === "" && item.groups.length === 0;

export const seesPresence = (item: RosterItem): boolean => hasTo(item.state);
export const showsPresence = (item: RosterItem): boolean => hasFrom(item.state);

/** The <item/> of a roster result or push. */
export function itemXml(item: RosterItem): string {
  const ask = asked(item.state) ? " ask='subscribe'" : "";
  const name = item.name === "" ? "" : ` name='${escapeXml(item.name)}'`;
  const head = `<item${ask} jid='${escapeXml(item.jid)}'${name} subscription='${subscriptionOf(item.state)}'`;
  if (item.groups.length === 0) return `${head}/>`;
  let out = `${head}>`;
  for (const group of item.groups) out += `<group>${escapeXml(group)}</group>`;
  return `${out}</item>`;
}

/** The <query/> of a roster result or push; `ver` is undefined without versioning. */
export function queryXml(items: string, ver: string | undefined): string {
  const head = `<query xmlns='${NS_ROSTER}'${ver === undefined ? "" : ` ver='${escapeXml(ver)}'`}`;
  return items === "" ? `${head}/>` : `${head}>${items}</query>`;
}
