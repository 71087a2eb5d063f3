// Category stanza: stanzas sent in a local user's name, by an administrator or by the user himself.

import { type BareJid, type Jid, tryParseJid } from "../jid.ts";
import {
  defineOperation,
  defineSubscription,
  type Events,
  OperationError,
  type OperationNode,
  userOf,
} from "../operations.ts";
import type { Stanza } from "../stanza.ts";
import { viewText } from "../xml/framer.ts";
import { escapeXml, type Markup, xml } from "../xml/markup.ts";
import type { OutputOf } from "./language.ts";

/** Sends a stanza that has its addresses. Gives its id. */
async function send(stanza: Stanza, node: OperationNode): Promise<{ id: string | undefined }> {
  await node.stanzas.send(stanza);
  return { id: stanza.id };
}

/** An administrator acts for a stored user of ours. */
async function checkSender(from: Jid, node: OperationNode): Promise<void> {
  const extensions = { from: from.text };
  if ((await node.domains.hostTypeOf(from.domain)) === undefined) {
    throw new OperationError("unknown_user", "User's domain does not exist", extensions);
  }
  if (!(await node.accounts.exists(from.bare))) {
    throw new OperationError("unknown_user", "User does not exist", extensions);
  }
}

/** A user sends in his own name, from any resource. */
function ownSender(user: BareJid, from: Jid = user): Jid {
  if (from.bare.text === user.text) return from;
  throw new OperationError("invalid_sender", "Sender's JID is different from the user's JID", { from: from.text });
}

function message(type: "chat" | "headline", from: Jid, to: Jid, content: Markup, node: OperationNode): Stanza {
  const id = node.randomHex(16);
  const stanza = viewText(
    xml`<message type='${type}' from='${from.text}' to='${to.text}' id='${id}'>${content}</message>`.text,
  );
  stanza.from = from;
  stanza.to = to;
  return stanza;
}

const chat = (from: Jid, to: Jid, body: string, node: OperationNode): Stanza =>
  message("chat", from, to, xml`<body>${body}</body>`, node);

interface HeadLine {
  readonly to: Jid;
  readonly subject?: string;
  readonly body?: string;
}
function headLine(from: Jid, { to, subject, body }: HeadLine, node: OperationNode): Stanza {
  const head = subject === undefined ? undefined : xml`<subject>${subject}</subject>`;
  const text = body === undefined ? undefined : xml`<body>${body}</body>`;
  return message("headline", from, to, xml`${head}${text}`, node);
}

/** The addresses of a stanza that the caller wrote; a missing one is undefined. */
function addresses({ fromText, toText }: Stanza): { readonly from: Jid | undefined; readonly to: Jid } {
  const from = fromText === undefined ? undefined : tryParseJid(fromText);
  if (fromText !== undefined && from === undefined) throw new OperationError("invalid_sender", "Invalid sender JID");
  if (toText === undefined) throw new OperationError("no_recipient", "Missing recipient JID");
  const to = tryParseJid(toText);
  if (to === undefined) throw new OperationError("invalid_recipient", "Invalid recipient JID");
  return { from, to };
}

/** The stanza with addresses and an id, which answers and archives go by. */
function addressed(stanza: Stanza, from: Jid, to: Jid, node: OperationNode): Stanza {
  const whole = stanza.id === undefined ? withId(stanza, node.randomHex(16)) : stanza;
  whole.from = from;
  whole.to = to;
  return whole;
}

const withId = (stanza: Stanza, id: string): Stanza =>
  viewText(stanza.text.replace(/^<[^\s/>]+/, (name) => `${name} id='${escapeXml(id)}'`));

function given(stanza: Stanza | undefined): Stanza {
  if (stanza) return stanza;
  throw new OperationError("no_stanza", "Missing stanza");
}

/** The user's messages, as the schema has archived ones. */
function messagesFor(user: BareJid, node: OperationNode): Events<OutputOf<"StanzaMap">> {
  const messages = node.stanzas.follow(user);
  return {
    async next() {
      const message = await messages.next();
      if (message === undefined) return undefined;
      const { sender, stanza, id } = message;
      return { sender, stanza, stanza_id: id, timestamp: node.now() };
    },
    stop: () => messages.stop(),
  };
}

const HEAD = { category: "stanza", kind: "mutation", result: "SendStanzaPayload" } as const;
const OF_DOMAIN = { ...HEAD, scope: "domain", domainArgs: ["from"] } as const;
const OF_USER = { ...HEAD, scope: "user" } as const;

export const stanzaOperations = [
  defineOperation({
    ...OF_DOMAIN,
    name: "sendMessage",
    description: "Send a chat message from a user to anyone",
    secrets: ["body"],
    args: { from: "JID!", to: "JID!", body: "String!" },
    async run({ from, to, body }, _caller, node) {
      await checkSender(from, node);
      return send(chat(from, to, body, node), node);
    },
  }),
  defineOperation({
    ...OF_DOMAIN,
    name: "sendMessageHeadLine",
    description: "Send a headline message from a user to anyone",
    secrets: ["subject", "body"],
    args: { from: "JID!", to: "JID!", subject: "String", body: "String" },
    async run({ from, ...rest }, _caller, node) {
      await checkSender(from, node);
      return send(headLine(from, rest, node), node);
    },
  }),
  defineOperation({
    ...HEAD,
    scope: "global",
    name: "sendStanza",
    description: "Send any stanza; its from is a user of ours",
    args: { stanza: "XmlElement" },
    async run({ stanza }, _caller, node) {
      const written = given(stanza);
      const { from, to } = addresses(written);
      if (from === undefined) throw new OperationError("no_sender", "Missing sender JID");
      await checkSender(from, node);
      return send(addressed(written, from, to, node), node);
    },
  }),
  defineOperation({
    ...OF_USER,
    name: "sendMessage",
    description: "Send a chat message to anyone; from is one of your own JIDs",
    secrets: ["body"],
    args: { from: "JID", to: "JID!", body: "String!" },
    run: ({ from, to, body }, caller, node) => send(chat(ownSender(userOf(caller), from), to, body, node), node),
  }),
  defineOperation({
    ...OF_USER,
    name: "sendMessageHeadLine",
    description: "Send a headline message to anyone; from is one of your own JIDs",
    secrets: ["subject", "body"],
    args: { from: "JID", to: "JID!", subject: "String", body: "String" },
    run: ({ from, ...rest }, caller, node) => send(headLine(ownSender(userOf(caller), from), rest, node), node),
  }),
  defineOperation({
    ...OF_USER,
    name: "sendStanza",
    description: "Send any stanza; its from, if it has one, is one of your own JIDs",
    args: { stanza: "XmlElement" },
    run({ stanza }, caller, node) {
      const written = given(stanza);
      const { from, to } = addresses(written);
      return send(addressed(written, ownSender(userOf(caller), from), to, node), node);
    },
  }),
  defineSubscription({
    category: "stanza",
    name: "subscribeForMessages",
    description: "Get the messages to a user as they come",
    args: { caller: "JID!" },
    result: "StanzaMap",
    scope: "domain",
    domainArgs: ["caller"],
    async run({ caller: user }, _caller, node) {
      await checkSender(user, node);
      return messagesFor(user.bare, node);
    },
  }),
  defineSubscription({
    category: "stanza",
    name: "subscribeForMessages",
    description: "Get the messages to you as they come",
    args: {},
    result: "StanzaMap",
    scope: "user",
    run: (_args, caller, node) => messagesFor(userOf(caller), node),
  }),
];
