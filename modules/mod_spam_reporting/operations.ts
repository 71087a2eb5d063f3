// Operations of the category "report": what users of a domain have reported. Ours, MongooseIM has none.

import { type Jid, parseBareJid, tryParseJid } from "../../core/jid.ts";
import { objectType } from "../../core/operations/language.ts";
import { defineOperation, OperationError, type OperationNode, runningIn } from "../../core/operations.ts";
import type { ReportContext } from "./index.ts";
import type { ReportStore, StoredReport } from "./store.ts";

const AbuseReport = objectType("AbuseReport", "What a user said about somebody he blocked", {
  id: "ID!",
  reporter: "BareJID!",
  reported: "String!",
  reason: "String!",
  text: "String!",
  stanzaIds: "[ReportedStanza!]!",
  forwardToOrigin: "Boolean!",
  forwardToThirdParties: "Boolean!",
  timestamp: "DateTime!",
});
const ReportedStanza = objectType("ReportedStanza", "A stanza that is reported, by its stanza-id (XEP-0359)", {
  by: "String!",
  id: "String!",
});

declare module "../../core/operations/language.ts" {
  interface NamedTypes {
    AbuseReport: typeof AbuseReport;
    ReportedStanza: typeof ReportedStanza;
  }
}
declare module "../../core/operations.ts" {
  interface ModuleInstances {
    mod_spam_reporting: ReportContext;
  }
}

const MICRO = 1000;

const storeOf = (node: OperationNode, domain: string): ReportStore =>
  runningIn(node, "mod_spam_reporting", domain).store;

const shown = (r: StoredReport) => ({
  id: r.id,
  reporter: parseBareJid(r.reporter),
  reported: r.reported,
  reason: r.reason,
  text: r.text,
  stanzaIds: r.stanzaIds,
  forwardToOrigin: r.toOrigin,
  forwardToThirdParties: r.toThirdParties,
  timestamp: r.at * MICRO,
});

const filterOf = ({ reporter, reported }: { reporter?: Jid; reported?: string }) => ({
  reporter: reporter?.bare,
  reported: reported === undefined ? undefined : (tryParseJid(reported)?.text ?? reported),
});

/** The number behind an id; nothing is stored under any other text. */
function idOf(text: string): bigint | undefined {
  return /^\d{1,18}$/.test(text) ? BigInt(text) : undefined;
}

const HEAD = { category: "report", needs: ["mod_spam_reporting"], scope: "domain" } as const;
const FILTER = { domain: "DomainName!", reporter: "JID", reported: "NonEmptyString" } as const;
const OF_DOMAIN = ["domain", "reporter"] as const;

export const operations = [
  defineOperation({
    ...HEAD,
    name: "listReports",
    kind: "query",
    description: "List what users of a domain have reported, the newest first",
    args: { ...FILTER, limit: "PosInt = 50", index: "NonNegInt = 0" },
    result: "[AbuseReport!]",
    domainArgs: OF_DOMAIN,
    types: [AbuseReport, ReportedStanza],
    run: async ({ domain, limit, index, ...filter }, _caller, node) =>
      (await storeOf(node, domain).list(domain, filterOf(filter), limit, index)).map(shown),
  }),
  defineOperation({
    ...HEAD,
    name: "countReports",
    kind: "query",
    description: "Count what users of a domain have reported",
    args: FILTER,
    result: "Int",
    domainArgs: OF_DOMAIN,
    run: ({ domain, ...filter }, _caller, node) => storeOf(node, domain).count(domain, filterOf(filter)),
  }),
  defineOperation({
    ...HEAD,
    name: "deleteReport",
    kind: "mutation",
    description: "Delete a report",
    args: { domain: "DomainName!", id: "ID!" },
    result: "String",
    domainArgs: ["domain"],
    run: async ({ domain, id }, _caller, node) => {
      const store = storeOf(node, domain);
      const number = idOf(id);
      if (number !== undefined && (await store.remove(domain, number))) return "Report deleted";
      throw new OperationError("report_not_found", "There is no such report", { id });
    },
  }),
  defineOperation({
    ...HEAD,
    name: "deleteOldReports",
    kind: "mutation",
    description: "Delete what users of a domain reported before a time; tells how many reports that were",
    args: { domain: "DomainName!", before: "DateTime!" },
    result: "Int",
    domainArgs: ["domain"],
    run: ({ domain, before }, _caller, node) => storeOf(node, domain).removeOld(domain, before / MICRO),
  }),
];
