// Category stanza: stanzas sent in a local user's name.

import { type Jid, tryParseJid } from "../jid.ts";
import { defineOperation, OperationError, type OperationNode } from "../operations.ts";
import type { Stanza } from "../stanza.ts";
import { viewText } from "../xml/framer.ts";
import { escapeXml, type Markup, xml } from "../xml/markup.ts";

/** Sends in the name of `from`, who must be a user of ours. Gives the stanza's id. */
async function send(stanza: Stanza, from: Jid, to: Jid, node: OperationNode): Promise<{ id: string | undefined }> {
  const extensions = { from: from.text };
  if ((await node.domains.hostTypeOf(from.domain)) === undefined) {
    throw new OperationError("unknown_user", "User's domain does not exist", extensions);
  }
  if (!(await node.accounts.exists(from.bare))) {
    throw new OperationError("unknown_user", "User does not exist", extensions);
  }
  stanza.from = from;
  stanza.to = to;
  await node.stanzas.send(stanza);
  return { id: stanza.id };
}

const message = (type: "chat" | "headline", from: Jid, to: Jid, content: Markup, node: OperationNode): Stanza =>
  viewText(
    xml`<message type='${type}' from='${from.text}' to='${to.text}' id='${node.randomHex(16)}'>${content}</message>`
      .text,
  );

const sendMessage = defineOperation({
  category: "stanza",
  name: "sendMessage",
  kind: "mutation",
  description: "Send a chat message from a user to anyone",
  args: { from: "JID!", to: "JID!", body: "String!" },
  result: "SendStanzaPayload",
  scope: "domain",
  domainArgs: ["from"],
  run: ({ from, to, body }, _caller, node) =>
    send(message("chat", from, to, xml`<body>${body}</body>`, node), from, to, node),
});

const sendMessageHeadLine = defineOperation({
  category: "stanza",
  name: "sendMessageHeadLine",
  kind: "mutation",
  description: "Send a headline message from a user to anyone",
  args: { from: "JID!", to: "JID!", subject: "String", body: "String" },
  result: "SendStanzaPayload",
  scope: "domain",
  domainArgs: ["from"],
  run({ from, to, subject, body }, _caller, node) {
    const head = subject === undefined ? undefined : xml`<subject>${subject}</subject>`;
    const text = body === undefined ? undefined : xml`<body>${body}</body>`;
    return send(message("headline", from, to, xml`${head}${text}`, node), from, to, node);
  },
});

/** Reads an address of the stanza that the administrator wrote. */
function address(text: string | undefined, whose: "sender" | "recipient"): Jid {
  if (text === undefined) throw new OperationError(`no_${whose}`, `Missing ${whose} JID`);
  const jid = tryParseJid(text);
  if (!jid) throw new OperationError(`invalid_${whose}`, `Invalid ${whose} JID`);
  return jid;
}

const sendStanza = defineOperation({
  category: "stanza",
  name: "sendStanza",
  kind: "mutation",
  description: "Send any stanza; its from is a user of ours",
  args: { stanza: "XmlElement" },
  result: "SendStanzaPayload",
  scope: "global",
  run({ stanza }, _caller, node) {
    if (!stanza) throw new OperationError("no_stanza", "Missing stanza");
    const from = address(stanza.fromText, "sender");
    const to = address(stanza.toText, "recipient");
    return send(stanza.id === undefined ? withId(stanza, node.randomHex(16)) : stanza, from, to, node);
  },
});

/** The stanza with an id, which answers and archives go by. */
const withId = (stanza: Stanza, id: string): Stanza =>
  viewText(stanza.text.replace(/^<[^\s/>]+/, (name) => `${name} id='${escapeXml(id)}'`));

export const stanzaOperations = [sendMessage, sendMessageHeadLine, sendStanza];
