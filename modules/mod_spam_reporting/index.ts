// XEP-0377 Blocking Command Reports: who blocks somebody may say why. Reports are kept for administrators; blocking
// itself is mod_blocking's, and goes on whatever becomes of the report.

import { z } from "zod";
import { enumOf, jidText, own, positive } from "../../core/config/types.ts";
import { type BareJid, makeBare, parseJid } from "../../core/jid.ts";
import { defineModule, type ModuleContext, type Session } from "../../core/module.ts";
import { NS_BLOCKING, NS_SID } from "../../core/ns.ts";
import type { Stanza } from "../../core/stanza.ts";
import { xml } from "../../core/xml/markup.ts";
import { operations } from "./operations.ts";
import { NS_REPORTING, type Report, reportsIn } from "./report.ts";
import { ReportStore } from "./store.ts";

const DAY_MS = 86_400_000;
const NS_JID = "urn:xmpp:jid:0";

const config = own(
  z.strictObject({
    backend: enumOf("mnesia", "rdbms").default("rdbms").describe("Where reports are kept"),
    max_reports_per_user: positive().default(100).describe("Reports of one user that are kept; further ones are not"),
    max_reports: positive().default(10_000).describe("Reports of all users of a domain that are kept"),
    keep_days: positive().default(90).describe("Days after which a report is deleted"),
    watchers: z.array(jidText()).default([]).describe("Who is told about every new report"),
    forward_to_origin: z
      .boolean()
      .default(false)
      .describe("Send reports on to the server of who is reported, when the user agrees"),
  }),
);
export type ReportContext = ModuleContext<z.output<typeof config>, ReportStore>;

/** Takes the reports out of a request that mod_blocking is going to answer. */
async function take(stanza: Stanza, session: Session, ctx: ReportContext): Promise<void> {
  const user = session.jid.bare;
  if (session.anonymous || stanza.to.text !== user.text) return;
  const reports = reportsIn(stanza.kid(0));
  if (reports.length === 0) return;
  try {
    await keep(ctx, user, reports);
  } catch (error) {
    // The block does not depend on it.
    ctx.log.error("abuse_report_not_kept", { error, user: user.text });
  }
}

async function keep(ctx: ReportContext, user: BareJid, reports: readonly Report[]): Promise<void> {
  const { store, config: limits } = ctx;
  const now = ctx.now();
  await store.removeOld(user.domain, now - limits.keep_days * DAY_MS);
  const roomOfUser = limits.max_reports_per_user - (await store.count(user.domain, { reporter: user }));
  const roomOfAll = limits.max_reports - (await store.count(user.domain));
  const kept = reports.slice(0, Math.max(0, Math.min(roomOfUser, roomOfAll)));
  if (kept.length < reports.length) {
    ctx.log.limited("abuse_reports_full", 60)?.warning("abuse_reports_full", { user: user.text, domain: user.domain });
  }
  if (kept.length === 0) return;
  await store.add(user, kept, now);
  for (const report of kept) await tell(ctx, user, report);
}

/** Tells the watchers, and the other server when its user agreed and the configuration does. */
async function tell({ config: options, server }: ReportContext, user: BareJid, report: Report): Promise<void> {
  const from = makeBare("", user.domain);
  const { reported, reason, text, stanzaIds } = report;
  for (const watcher of options.watchers) {
    const body = `${user.text} reports ${reported.text} (${reason})${text === "" ? "" : `: ${text}`}`;
    await server.routeXml(
      from,
      parseJid(watcher),
      xml`<message to='${watcher}' type='chat'><body>${body}</body></message>`,
    );
  }
  if (!options.forward_to_origin || !report.toOrigin || server.hostTypeOf(reported.domain) !== undefined) return;
  const ids = stanzaIds.map(({ by, id }) => xml`<stanza-id xmlns='${NS_SID}' by='${by}' id='${id}'/>`);
  const said = text === "" ? undefined : xml`<text>${text}</text>`;
  const about = xml`<jid xmlns='${NS_JID}'>${reported.text}</jid>`;
  // The reporter is not named: the other server needs the message and its sender.
  const payload = xml`<report xmlns='${NS_REPORTING}' reason='${reason}'>${about}${ids}${said}<report-origin/></report>`;
  await server.routeXml(
    from,
    makeBare("", reported.domain),
    xml`<message to='${reported.domain}'>${payload}</message>`,
  );
}

export default defineModule({
  name: "mod_spam_reporting",
  xeps: [{ n: 377, version: "0.4.1" }],
  config,
  needs: ["mod_blocking"],
  features: [NS_REPORTING],
  store: (db) => new ReportStore(db),
  hooks: { user_send_iq: { at: 90, type: "set", ns: NS_BLOCKING, child: "block", run: take } },
  operations,
});
