// What a sender is told about the rules of a message (XEP-0079 §3.4, §6): from the server, under the message's id.

import type { Session } from "../../core/module.ts";
import { NS_AMP, NS_STANZAS } from "../../core/ns.ts";
import type { Stanza } from "../../core/stanza.ts";
import { attr, Markup, xml } from "../../core/xml/markup.ts";
import type { AmpFault, AmpRule } from "./rules.ts";

const NS_ERRORS = `${NS_AMP}#errors`;

const element = ({ action, condition, value }: AmpRule): Markup =>
  xml`<rule action='${action}' condition='${condition}' value='${value}'/>`;

function envelope(stanza: Stanza, { domain }: Session, type: string | undefined, inside: readonly Markup[]): Markup {
  const id = attr("id", stanza.id);
  return xml`<message from='${domain}'${id} to='${stanza.from.text}'${attr("type", type)}>${inside}</message>`;
}

const status = (stanza: Stanza, rule: AmpRule, text: string): Markup =>
  xml`<amp from='${stanza.from.text}' status='${text}' to='${stanza.to.text}' xmlns='${NS_AMP}'>${element(rule)}</amp>`;

/** A rule was met whose action is to tell. */
export const notification = (stanza: Stanza, session: Session, rule: AmpRule): Markup =>
  envelope(stanza, session, undefined, [status(stanza, rule, "notify")]);

/** A rule was met whose action is an error: the message went no further. */
export function failedRule(stanza: Stanza, session: Session, rule: AmpRule): Markup {
  const error = xml`<error code='500' type='modify'><undefined-condition xmlns='${NS_STANZAS}'/><failed-rules xmlns='${NS_ERRORS}'>${element(rule)}</failed-rules></error>`;
  return envelope(stanza, session, "error", [status(stanza, rule, "error"), error]);
}

/** By the XEP's examples; 405 is not what XEP-0086 has for not-acceptable. */
const CONDITIONS: Readonly<Record<AmpFault, readonly [condition: string, code: number]>> = {
  "unsupported-actions": ["bad-request", 400],
  "unsupported-conditions": ["bad-request", 400],
  "invalid-rules": ["not-acceptable", 405],
};

/** Rules that cannot be followed: the message went no further. */
export function refusedRules(stanza: Stanza, session: Session, fault: AmpFault, rules: readonly AmpRule[]): Markup {
  const [condition, code] = CONDITIONS[fault];
  const list = rules.map(element);
  const error = xml`<error code='${code}' type='modify'>${new Markup(`<${condition} xmlns='${NS_STANZAS}'/>`)}<${new Markup(fault)} xmlns='${NS_AMP}'>${list}</${new Markup(fault)}></error>`;
  return envelope(stanza, session, "error", [xml`<amp xmlns='${NS_AMP}'>${list}</amp>`, error]);
}
