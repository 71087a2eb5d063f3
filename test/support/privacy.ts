// What stories about privacy lists and block lists say again and again.
import type { Client } from "./client.ts";
import type { StoryServer } from "./story-server.ts";

export const NS_PRIVACY = "jabber:iq:privacy";
export const NS_BLOCKING = "urn:xmpp:blocking";
export const NS_STANZAS = "urn:ietf:params:xml:ns:xmpp-stanzas";

/** An <item/> of a privacy list; `kinds` are names of its children. */
export const item = (
  order: number,
  action: "allow" | "deny",
  what: Record<string, string> = {},
  ...kinds: string[]
) => {
  const attrs = Object.entries(what).map(([name, value]) => ` ${name}="${value}"`);
  const children = kinds.map((kind) => `<${kind}/>`).join("");
  return `<item action="${action}" order="${order}"${attrs.join("")}>${children}</item>`;
};
export const ofJid = (value: string) => ({ type: "jid", value });
export const ofGroup = (value: string) => ({ type: "group", value });
export const ofSubscription = (value: string) => ({ type: "subscription", value });

let requests = 0;

/** Sends a request about privacy lists; gives its id. */
export function asks(c: Client, type: "get" | "set", inner: string): string {
  const id = `p${++requests}`;
  c.says(`<iq type="${type}" id="${id}"><query xmlns="${NS_PRIVACY}">${inner}</query></iq>`);
  return id;
}

/** Sends a request that is refused. */
export async function isRefused(c: Client, type: "get" | "set", inner: string, condition: string, kind = "cancel") {
  const id = asks(c, type, inner);
  await c.hears(`<iq type="error" id="${id}"><error type="${kind}"><${condition} xmlns="${NS_STANZAS}"/></error></iq>`);
}

export const pushOf = (c: Client, name: string) =>
  `<iq type="set" from="${c.bare}" to="${c.full}"><query xmlns="${NS_PRIVACY}"><list name="${name}"/></query></iq>`;

/** Writes a list; the answer comes, then the push. */
export async function writesList(c: Client, name: string, ...items: string[]): Promise<void> {
  const id = asks(c, "set", `<list name="${name}">${items.join("")}</list>`);
  await c.hears(`<iq type="result" id="${id}" from="${c.bare}"/>`);
  await c.hears(pushOf(c, name));
  const get = asks(c, "get", `<list name="${name}"/>`);
  const list = `<list name="${name}">${items.join("")}</list>`;
  await c.hears(`<iq type="result" id="${get}"><query xmlns="${NS_PRIVACY}">${list}</query></iq>`);
}

/** Makes a list the session's active one, or the default one of the account; without a name, none. */
export async function uses(c: Client, what: "active" | "default", name?: string): Promise<void> {
  const id = asks(c, "set", name === undefined ? `<${what}/>` : `<${what} name="${name}"/>`);
  await c.hears(`<iq type="result" id="${id}"/>`);
}

export async function activates(c: Client, name: string, ...items: string[]): Promise<void> {
  await writesList(c, name, ...items);
  await uses(c, "active", name);
}

/** Sends a chat message that the other receives. */
export async function reaches(from: Client, to: Client, address = to.full): Promise<void> {
  const id = `m${++requests}`;
  from.says(`<message to="${address}" type="chat" id="${id}"><body>Hi! What's your name?</body></message>`);
  await to.hears(`<message from="${from.full}" id="${id}" type="chat"><body>Hi! What's your name?</body></message>`);
}

export const refusalOf = (stanza: "message" | "iq", id: string, from: string, condition = "service-unavailable") =>
  `<${stanza} type="error" id="${id}" from="${from}"><error type="cancel"><${condition} xmlns="${NS_STANZAS}"/></error></${stanza}>`;

/** Sends a chat message that the other has blocked: nothing comes there, and an error here. */
export async function isTurnedAway(from: Client, to: Client, address = to.full): Promise<void> {
  const id = `m${++requests}`;
  from.says(`<message to="${address}" type="chat" id="${id}"><body>Hi, blocker!</body></message>`);
  await from.hears(refusalOf("message", id, address));
  await to.receivesNothing();
}

/** The counters of mod_privacy; asking again gives what they have grown by since. */
export function counters(server: StoryServer): () => Record<string, number> {
  const read = () => {
    const all: Record<string, number> = {};
    for (const { name, values } of server.node.registry.list()) {
      if (name.startsWith("mod_privacy_")) all[name.replace("mod_privacy_", "")] = values["count"] ?? 0;
    }
    return all;
  };
  let before = read();
  return () => {
    const now = read();
    const grown = Object.entries(now).map(([name, n]) => [name, n - (before[name] ?? 0)] as const);
    before = now;
    return Object.fromEntries(grown.filter(([, n]) => n > 0));
  };
}

// --- The blocking command -------------------------------------------------------------------------------------------------

const itemsOf = (jids: readonly string[]) => jids.map((jid) => `<item jid="${jid}"/>`).join("");
export const blockingPush = (c: Client, name: "block" | "unblock", ...jids: string[]) =>
  `<iq type="set" id="push" from="${c.bare}" to="${c.full}"><${name} xmlns="${NS_BLOCKING}">${itemsOf(jids)}</${name}></iq>`;

/** Blocks or unblocks; the answer comes, then the push. */
export async function blocks(c: Client, name: "block" | "unblock", ...jids: string[]): Promise<void> {
  const id = `b${++requests}`;
  c.says(`<iq type="set" id="${id}"><${name} xmlns="${NS_BLOCKING}">${itemsOf(jids)}</${name}></iq>`);
  await c.hears(`<iq type="result" id="${id}" from="${c.bare}"/>`);
  await c.hears(blockingPush(c, name, ...jids));
}

/** The block list is exactly this. */
export async function hasBlocked(c: Client, ...jids: string[]): Promise<void> {
  const id = `b${++requests}`;
  c.says(`<iq type="get" id="${id}"><blocklist xmlns="${NS_BLOCKING}"/></iq>`);
  await c.hears(
    `<iq type="result" id="${id}" from="${c.bare}"><blocklist xmlns="${NS_BLOCKING}">${itemsOf(jids)}</blocklist></iq>`,
  );
}
