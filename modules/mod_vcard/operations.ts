// Category vcard.

import { StanzaError } from "../../core/errors.ts";
import type { BareJid } from "../../core/jid.ts";
import type { InputOf } from "../../core/operations/language.ts";
import { defineOperation, OperationError, type OperationNode, userOf } from "../../core/operations.ts";
import { parseElement } from "../../core/xml/tree.ts";
import { keepVcard } from "./card.ts";
import { fromElement, toElement } from "./graphql.ts";
import type { Context as Running } from "./index.ts";

declare module "../../core/operations.ts" {
  interface ModuleInstances {
    mod_vcard: Running;
  }
}

async function runningFor(node: OperationNode, user: BareJid): Promise<Running> {
  const running = node.instance("mod_vcard", user.domain);
  if (!running) throw new OperationError("user_not_found", "User's domain does not exist", { jid: user.text });
  if (await node.accounts.exists(user)) return running;
  throw new OperationError("user_not_found", "Given user does not exist", { jid: user.text });
}

async function get(node: OperationNode, user: BareJid) {
  const { store } = await runningFor(node, user);
  const vcard = await store.getVcard(user);
  if (vcard === undefined) throw new OperationError("vcard_not_found", "Vcard for user not found", { jid: user.text });
  return fromElement(parseElement(vcard));
}

async function set(node: OperationNode, user: BareJid, input: InputOf<"VcardInput">) {
  const running = await runningFor(node, user);
  const vcard = toElement(input);
  try {
    await keepVcard(running, user, vcard);
  } catch (error) {
    if (!(error instanceof StanzaError)) throw error;
    throw new OperationError("internal", error.text ?? "The vCard was refused", { jid: user.text });
  }
  return fromElement(parseElement(vcard.toString()));
}

const head = { category: "vcard", needs: ["mod_vcard"], result: "Vcard" } as const;

export const operations = [
  defineOperation({
    ...head,
    name: "getVcard",
    kind: "query",
    description: "Get a user's vCard",
    args: { user: "JID!" },
    scope: "domain",
    domainArgs: ["user"],
    run: ({ user }, _caller, node) => get(node, user.bare),
  }),
  defineOperation({
    ...head,
    name: "setVcard",
    kind: "mutation",
    description: "Set a user's vCard",
    args: { user: "JID!", vcard: "VcardInput!" },
    scope: "domain",
    domainArgs: ["user"],
    run: ({ user, vcard }, _caller, node) => set(node, user.bare, vcard),
  }),
  defineOperation({
    ...head,
    name: "getVcard",
    kind: "query",
    description: "Get a user's vCard; yours when none is given",
    args: { user: "JID" },
    scope: "user",
    hostTypeArgs: ["user"],
    run({ user }, caller, node) {
      if (user !== undefined) return get(node, user.bare);
      const own = userOf(caller);
      if (node.instance("mod_vcard", own.domain)) return get(node, own);
      const message = "Mod_vcard for given host is not configured";
      throw new OperationError("vcard_not_configured_error", message, { jid: own.text });
    },
  }),
  defineOperation({
    ...head,
    name: "setVcard",
    kind: "mutation",
    description: "Set your vCard",
    args: { vcard: "VcardInput!" },
    scope: "user",
    run: ({ vcard }, caller, node) => set(node, userOf(caller), vcard),
  }),
];
