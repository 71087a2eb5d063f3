// XEP-0079 Advanced Message Processing, as far as MongooseIM has it: a sender says with rules what it wants to be told,
// or to be prevented, about the delivery of a message. The rules are looked at when the message comes in and at every
// later moment that decides something (see AmpEvent); of those that are met the first one's action is done, and those
// that may still be met stay with the message.

import { z } from "zod";
import { own } from "../../core/config/types.ts";
import { letsSee } from "../../core/contacts.ts";
import { type MaybePromise, STOP, type Stop } from "../../core/hooks.ts";
import { defineModule, type ModuleContext, type Session } from "../../core/module.ts";
import { NS_AMP } from "../../core/ns.ts";
import type { Stanza } from "../../core/stanza.ts";
import { xml } from "../../core/xml/markup.ts";
import { failedRule, notification, refusedRules } from "./replies.ts";
import { ACTIONS, type AmpRule, CONDITIONS, faultOf, rulesOf, worst } from "./rules.ts";
import { type AmpEvent, type AmpStrategy, check, determine } from "./strategy.ts";

export type { AmpRule } from "./rules.ts";
export type { AmpEvent, AmpStrategy } from "./strategy.ts";

const FEATURE = xml`<amp xmlns='http://jabber.org/features/amp'/>`;
const SUPPORTED = [
  NS_AMP,
  ...ACTIONS.map((action) => `${NS_AMP}?action=${action}`),
  ...CONDITIONS.map((condition) => `${NS_AMP}?condition=${condition}`),
];
/** Messages of these types may have rules. */
const TYPES = ["chat", "", "normal", "headline"] as const;
const WITH_RULES = { ns: NS_AMP, child: "amp", type: TYPES } as const;

const config = z.strictObject({
  contacts_only: own(
    z
      .boolean()
      .default(false)
      .describe("Refuse rules about users whose presence their sender may not see: what becomes of a message tells it"),
  ),
});
type Context = ModuleContext<z.output<typeof config>>;

declare module "../../core/hooks.ts" {
  interface NoticeHooks {
    /** Something has become of a message: told by those who store messages. Of the addressee's host type. */
    amp_event: { stanza: Stanza; event: AmpEvent };
  }
}

/** A message on its way, and its rules that may still be met. */
interface Watched {
  readonly sender: Session;
  rules: readonly AmpRule[];
}
const watched = new WeakMap<Stanza, Watched>();

export default defineModule({
  name: "mod_amp",
  xeps: [{ n: 79, version: "1.2" }],
  config,
  features: [NS_AMP],
  hooks: {
    c2s_stream_features: (features, { authenticated }) => {
      if (authenticated) features.push(FEATURE);
    },
    disco_local_identity: (identities, { node }) =>
      node === NS_AMP ? [...identities, { category: "im", type: "server", name: "MongooseIM AMP" }] : undefined,
    disco_local_features: {
      at: 99,
      run: (features, { node }) => {
        if (node === NS_AMP) for (const feature of SUPPORTED) features.add(feature);
      },
    },
    user_send_message: { at: 5, ...WITH_RULES, run: begin },
    xmpp_send_element: {
      at: 10,
      ...WITH_RULES,
      run: (stanza, session, ctx) => void happened(stanza, session.detached ? "delivery_failed" : "delivered", ctx),
    },
    failed_to_store_message: { at: 30, ...WITH_RULES, run: (stanza, ctx) => failed(stanza, ctx) },
    amp_event: ({ stanza, event }, ctx) => happened(stanza, event, ctx),
  },
});

/** The first look at a message: its rules are checked, then followed as far as they can be now. */
async function begin(stanza: Stanza, sender: Session, ctx: Context): Promise<Stop | undefined> {
  const rules = rulesOf(stanza);
  if (rules.length === 0) return;
  const faults = rules.map((rule) => ({ rule, fault: faultOf(rule) }));
  const wrong = worst(await ctx.host.hooks.fold("amp_verify_support", faults, { rules }));
  if (wrong !== undefined) {
    sender.write(refusedRules(stanza, sender, wrong.fault, wrong.rules));
    return STOP;
  }
  if (ctx.config.contacts_only && !(await maySee(stanza, ctx))) {
    sender.write(refusedRules(stanza, sender, "invalid-rules", rules));
    return STOP;
  }
  watched.set(stanza, { sender, rules });
  return look(stanza, "initial", ctx);
}

/** Whether the sender may see where an addressee of this server is (§9). */
async function maySee({ from, to }: Stanza, { server }: Context): Promise<boolean> {
  const host = server.hostTypeOf(to.domain);
  if (host === undefined || to.bare.isDomain || to.bare.text === from.bare.text) return true;
  return letsSee(host, to.bare, from.bare);
}

/** A later look; what has happened cannot be prevented any more, so there is only something to tell. */
function happened(stanza: Stanza, event: AmpEvent, ctx: Context): MaybePromise<void> {
  if (!watched.has(stanza)) return;
  const done = look(stanza, event, ctx);
  if (done instanceof Promise) return done.then(() => undefined);
}

/** The message has found no place, and its sender is about to be told: STOP when it is told otherwise. */
function failed(stanza: Stanza, ctx: Context): Stop | undefined {
  const entry = watched.get(stanza);
  if (entry === undefined) return;
  watched.delete(stanza);
  return follow(stanza, entry, { deliver: ["none"] }, true, ctx);
}

function look(stanza: Stanza, event: AmpEvent, ctx: Context): MaybePromise<Stop | undefined> {
  const { host, server } = ctx;
  const own = determine(stanza, event, ctx);
  const { from, to } = stanza;
  const fold = (strategy: AmpStrategy): MaybePromise<AmpStrategy> =>
    (server.hostTypeOf(to.domain) ?? host).hooks.fold("amp_determine_strategy", strategy, { from, to, stanza, event });
  const strategy = own instanceof Promise ? own.then(fold) : fold(own);
  const decide = (known: AmpStrategy): Stop | undefined => {
    const entry = watched.get(stanza);
    return entry && follow(stanza, entry, known, event === "initial", ctx);
  };
  return strategy instanceof Promise ? strategy.then(decide) : decide(strategy);
}

/** Does what the first rule says that is met; `open` when the message can still be kept from going on. */
function follow(
  stanza: Stanza,
  entry: Watched,
  strategy: AmpStrategy,
  open: boolean,
  { host }: Context,
): Stop | undefined {
  const { hooks } = host;
  const left: AmpRule[] = [];
  let met: AmpRule | undefined;
  for (const rule of entry.rules) {
    const found = hooks.fold("amp_check_condition", check(strategy, rule), { strategy, rule });
    if (found === "undecided") left.push(rule);
    else if (found === "match") met ??= rule;
  }
  entry.rules = left;
  if (left.length === 0) watched.delete(stanza);
  if (met === undefined) return;
  const { sender } = entry;
  if (met.action === "notify") {
    sender.write(notification(stanza, sender, met));
    return;
  }
  if (!open) return;
  watched.delete(stanza);
  if (met.action === "error") sender.write(failedRule(stanza, sender, met));
  return STOP;
}
