// The reports in a request to block somebody (XEP-0377 §4, §5).

import type { Element } from "@xmpp/xml";
import { type Jid, tryParseJid } from "../../core/jid.ts";
import { NS_BLOCKING, NS_SID } from "../../core/ns.ts";

export const NS_REPORTING = "urn:xmpp:reporting:1";

/** Characters of a text that are kept. */
const MAX_TEXT = 2000;
const MAX_REASON = 250;
const MAX_STANZAS = 20;
const MAX_STANZA_ID = 250;

export interface StanzaId {
  readonly by: string;
  readonly id: string;
}

export interface Report {
  readonly reported: Jid;
  /** A URN, such as urn:xmpp:reporting:spam. */
  readonly reason: string;
  /** What the user says about it, "" for nothing. */
  readonly text: string;
  readonly stanzaIds: readonly StanzaId[];
  /** The user agrees to its being sent to the reported one's server. */
  readonly toOrigin: boolean;
  /** The user agrees to its being sent to others. */
  readonly toThirdParties: boolean;
}

/**
 * The reports in <block/>, each about another JID; none when the request is one that is refused. A report that says no
 * reason is left out: the JID is blocked all the same.
 */
export function reportsIn(block: Element): Report[] {
  const reports = new Map<string, Report>();
  for (const item of block.getChildElements()) {
    const jid = item.attrs["jid"] as string | undefined;
    const reported = item.is("item", NS_BLOCKING) && jid !== undefined ? tryParseJid(jid) : undefined;
    if (reported === undefined) return [];
    const report = item.getChild("report", NS_REPORTING);
    const reason = report?.attrs["reason"] as string | undefined;
    if (report === undefined || !reason || reason.length > MAX_REASON) continue;
    reports.set(reported.text, {
      reported,
      reason,
      text: (report.getChildText("text", NS_REPORTING) ?? "").trim().slice(0, MAX_TEXT),
      stanzaIds: stanzaIdsIn(report),
      toOrigin: report.getChild("report-origin", NS_REPORTING) !== undefined,
      toThirdParties: report.getChild("third-party", NS_REPORTING) !== undefined,
    });
  }
  return [...reports.values()];
}

function stanzaIdsIn(report: Element): StanzaId[] {
  const found: StanzaId[] = [];
  for (const { attrs } of report.getChildren("stanza-id", NS_SID)) {
    const [by, id] = [attrs["by"], attrs["id"]] as (string | undefined)[];
    if (!by || !id || by.length > MAX_STANZA_ID || id.length > MAX_STANZA_ID) continue;
    found.push({ by, id });
    if (found.length === MAX_STANZAS) break;
  }
  return found;
}
