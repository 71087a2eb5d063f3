// Operations of the category "roster", under MongooseIM's names.

import { StanzaError } from "../../core/errors.ts";
import type { Jid } from "../../core/jid.ts";
import { defineOperation, type Operation, OperationError, type OperationNode, userOf } from "../../core/operations.ts";
import { viewText } from "../../core/xml/framer.ts";
import { xml } from "../../core/xml/markup.ts";
import type { RosterContext } from "./context.ts";
import { askOf, type RosterItem, subscriptionOf } from "./item.ts";
import { removeItem, setItem } from "./set.ts";
import { outgoing } from "./subscribe.ts";
import type { SubscriptionType } from "./subscription.ts";

/** What MongooseIM calls the subscription stanzas. */
const ACTIONS = {
  INVITE: "subscribe",
  ACCEPT: "subscribed",
  CANCEL: "unsubscribe",
  DECLINE: "unsubscribed",
} as const satisfies Record<string, SubscriptionType>;

interface ContactArgs {
  readonly jid: Jid;
  readonly name?: string;
  readonly groups?: readonly string[];
}

function rosterAt(node: OperationNode, user: Jid): RosterContext {
  const running = node.instance("mod_roster", user.domain);
  if (running) return running;
  throw new OperationError("unknown_domain", "Domain not found", { user: user.text });
}

async function mustExist(node: OperationNode, ...users: readonly Jid[]): Promise<void> {
  for (const { bare } of users) {
    if (await node.accounts.exists(bare)) continue;
    throw new OperationError("user_not_exist", `The user ${bare.text} does not exist`, { user: bare.text });
  }
}

const upper = <T extends string>(word: T): Uppercase<T> => word.toUpperCase() as Uppercase<T>;
const shown = (item: RosterItem) => ({
  jid: item.jid,
  name: item.name,
  groups: item.groups,
  subscription: upper(subscriptionOf(item.state)),
  ask: upper(askOf(item.state)),
});

async function listContacts(node: OperationNode, user: Jid) {
  const ctx = rosterAt(node, user);
  await mustExist(node, user);
  ctx.metrics.mod_roster_get_count.add();
  return (await ctx.store.items(ctx.server, user.bare)).map(shown);
}

async function getContact(node: OperationNode, user: Jid, contact: Jid) {
  const ctx = rosterAt(node, user);
  const item = await ctx.store.item(user.bare, contact.text);
  if (item) return shown(item);
  throw new OperationError("contact_not_found", "Given contact does not exist", {
    user: user.text,
    contact: contact.text,
  });
}

async function addContact(node: OperationNode, user: Jid, contact: ContactArgs): Promise<string> {
  const ctx = rosterAt(node, user);
  await mustExist(node, user, contact.jid);
  const groups = new Set(contact.groups?.filter((group) => group !== ""));
  await refusing("create", () => setItem(ctx, user.bare, contact.jid, contact.name ?? "", [...groups]));
  return "Contact added successfully";
}

async function deleteContact(node: OperationNode, user: Jid, contact: Jid): Promise<string> {
  const ctx = rosterAt(node, user);
  await refusing("delete", () => removeItem(ctx, user.bare, contact), {
    user: user.text,
    contact: contact.text,
  });
  return `Contact ${contact.text} deleted successfully`;
}

/** Turns a stanza error into the operation's refusal. */
async function refusing(verb: string, work: () => Promise<void>, about: { user?: string; contact?: string } = {}) {
  try {
    await work();
  } catch (error) {
    if (!(error instanceof StanzaError)) throw error;
    if (error.condition === "item-not-found") {
      throw new OperationError(
        "contact_not_found",
        `Cannot remove ${about.contact} contact that does not exist`,
        about,
      );
    }
    throw new OperationError("internal", `Cannot ${verb} a contact because: ${error.message}`, about);
  }
}

async function subscription(
  node: OperationNode,
  user: Jid,
  contact: Jid,
  action: keyof typeof ACTIONS,
): Promise<string> {
  const ctx = rosterAt(node, user);
  const type = ACTIONS[action];
  const stanza = viewText(xml`<presence to='${contact.bare.text}' type='${type}'/>`.text);
  stanza.from = user.bare;
  stanza.to = contact.bare;
  await refusing(type, () => outgoing(ctx, stanza, user.bare, contact.bare, type));
  return `Subscription stanza with type ${type} sent successfully`;
}

/** Makes two users each other's contacts, with subscriptions both ways. */
async function connect(node: OperationNode, a: ContactArgs, b: ContactArgs): Promise<string> {
  await addContact(node, a.jid, b);
  await addContact(node, b.jid, a);
  for (const action of ["INVITE", "ACCEPT"] as const) {
    await subscription(node, a.jid, b.jid, action);
    await subscription(node, b.jid, a.jid, action);
  }
  return `Subscription between users ${a.jid.text} and ${b.jid.text} created successfully`;
}

async function setMutual(node: OperationNode, a: Jid, b: Jid, action: "CONNECT" | "DISCONNECT"): Promise<string> {
  if (action === "CONNECT") return connect(node, { jid: a }, { jid: b });
  await deleteContact(node, a, b);
  await deleteContact(node, b, a);
  return "Mutual subscription removed successfully";
}

/** One after the other; a refusal stands in its place of the list, where GraphQL makes it null and an error. */
async function each<T>(over: readonly T[], run: (one: T) => Promise<string>): Promise<readonly string[]> {
  const out: unknown[] = [];
  for (const one of over) {
    try {
      out.push(await run(one));
    } catch (error) {
      if (!(error instanceof OperationError)) throw error;
      out.push(error);
    }
  }
  return out as readonly string[];
}

const subscribeToAll = (node: OperationNode, user: ContactArgs, contacts: readonly ContactArgs[]) =>
  each(contacts, (contact) => connect(node, user, contact));

async function subscribeAllToAll(node: OperationNode, contacts: readonly ContactArgs[]): Promise<readonly string[]> {
  const out: string[] = [];
  for (let i = 0; i < contacts.length - 1; i++) {
    out.push(...(await subscribeToAll(node, contacts[i], contacts.slice(i + 1))));
  }
  return out;
}

const HEAD = { category: "roster", needs: ["mod_roster"] } as const;
const QUERY = { ...HEAD, kind: "query" } as const;
const MUTATION = { ...HEAD, kind: "mutation" } as const;
const OF_USER = { scope: "domain", domainArgs: ["user"] } as const;

/** For administrators. */
const adminOperations: readonly Operation[] = [
  defineOperation({
    ...QUERY,
    ...OF_USER,
    name: "listContacts",
    description: "Get the roster of a user",
    args: { user: "JID!" },
    result: "[Contact!]",
    run: ({ user }, _caller, node) => listContacts(node, user),
  }),
  defineOperation({
    ...QUERY,
    ...OF_USER,
    name: "getContact",
    description: "Get one contact of a user",
    args: { user: "JID!", contact: "JID!" },
    result: "Contact",
    run: ({ user, contact }, _caller, node) => getContact(node, user, contact),
  }),
  defineOperation({
    ...MUTATION,
    ...OF_USER,
    name: "addContact",
    description: "Add a contact to a user's roster, without a subscription",
    args: { user: "JID!", contact: "JID!", name: "String", groups: "[String!]" },
    result: "String",
    run: ({ user, contact, name, groups }, _caller, node) => addContact(node, user, { jid: contact, name, groups }),
  }),
  defineOperation({
    ...MUTATION,
    ...OF_USER,
    name: "addContacts",
    description: "Add contacts to a user's roster, without subscriptions",
    args: { user: "JID!", contacts: "[ContactInput!]!" },
    result: "[String]",
    run: ({ user, contacts }, _caller, node) => each(contacts, (contact) => addContact(node, user, contact)),
  }),
  defineOperation({
    ...MUTATION,
    ...OF_USER,
    name: "subscription",
    description: "Ask for, accept, decline or cancel a subscription between a user and a contact",
    args: { user: "JID!", contact: "JID!", action: "SubAction!" },
    result: "String",
    run: ({ user, contact, action }, _caller, node) => subscription(node, user, contact, action),
  }),
  defineOperation({
    ...MUTATION,
    ...OF_USER,
    name: "deleteContact",
    description: "Remove a contact of a user",
    args: { user: "JID!", contact: "JID!" },
    result: "String",
    run: ({ user, contact }, _caller, node) => deleteContact(node, user, contact),
  }),
  defineOperation({
    ...MUTATION,
    ...OF_USER,
    name: "deleteContacts",
    description: "Remove contacts of a user",
    args: { user: "JID!", contacts: "[JID!]!" },
    result: "[String]",
    run: ({ user, contacts }, _caller, node) => each(contacts, (contact) => deleteContact(node, user, contact)),
  }),
  defineOperation({
    ...MUTATION,
    scope: "domain",
    domainArgs: ["userA", "userB"],
    name: "setMutualSubscription",
    description: "Make two users each other's contacts with subscriptions both ways, or end that",
    args: { userA: "JID!", userB: "JID!", action: "MutualSubAction!" },
    result: "String",
    run: ({ userA, userB, action }, _caller, node) => setMutual(node, userA, userB, action),
  }),
  defineOperation({
    ...MUTATION,
    scope: "domain",
    domainArgs: ["user.jid"],
    name: "subscribeToAll",
    description: "Subscribe a user and each of the contacts to one another",
    args: { user: "ContactInput!", contacts: "[ContactInput!]!" },
    result: "[String]",
    run: ({ user, contacts }, _caller, node) => subscribeToAll(node, user, contacts),
  }),
  defineOperation({
    ...MUTATION,
    scope: "domain",
    domainArgs: ["contacts.jid"],
    name: "subscribeAllToAll",
    description: "Subscribe all of the contacts to one another",
    args: { contacts: "[ContactInput!]!" },
    result: "[String]",
    run: ({ contacts }, _caller, node) => subscribeAllToAll(node, contacts),
  }),
];

/** For users, about their own roster. */
const userOperations: readonly Operation[] = [
  defineOperation({
    ...QUERY,
    scope: "user",
    name: "listContacts",
    description: "Get your roster",
    args: {},
    result: "[Contact!]",
    run: (_args, caller, node) => listContacts(node, userOf(caller)),
  }),
  defineOperation({
    ...QUERY,
    scope: "user",
    name: "getContact",
    description: "Get one of your contacts",
    args: { contact: "JID!" },
    result: "Contact",
    run: ({ contact }, caller, node) => getContact(node, userOf(caller), contact),
  }),
  defineOperation({
    ...MUTATION,
    scope: "user",
    name: "addContact",
    description: "Add a contact, without a subscription",
    args: { contact: "JID!", name: "String", groups: "[String!]" },
    result: "String",
    run: ({ contact, name, groups }, caller, node) => addContact(node, userOf(caller), { jid: contact, name, groups }),
  }),
  defineOperation({
    ...MUTATION,
    scope: "user",
    name: "addContacts",
    description: "Add contacts, without subscriptions",
    args: { contacts: "[ContactInput!]!" },
    result: "[String]",
    run: ({ contacts }, caller, node) => each(contacts, (contact) => addContact(node, userOf(caller), contact)),
  }),
  defineOperation({
    ...MUTATION,
    scope: "user",
    name: "subscription",
    description: "Ask for, accept, decline or cancel a subscription between you and a contact",
    args: { contact: "JID!", action: "SubAction!" },
    result: "String",
    run: ({ contact, action }, caller, node) => subscription(node, userOf(caller), contact, action),
  }),
  defineOperation({
    ...MUTATION,
    scope: "user",
    name: "deleteContact",
    description: "Remove a contact",
    args: { contact: "JID!" },
    result: "String",
    run: ({ contact }, caller, node) => deleteContact(node, userOf(caller), contact),
  }),
  defineOperation({
    ...MUTATION,
    scope: "user",
    name: "deleteContacts",
    description: "Remove contacts",
    args: { contacts: "[JID!]!" },
    result: "[String]",
    run: ({ contacts }, caller, node) => each(contacts, (contact) => deleteContact(node, userOf(caller), contact)),
  }),
];

export const operations: readonly Operation[] = [...adminOperations, ...userOperations];
