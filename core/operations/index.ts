// The operations that exist without any module.

import type { Operation } from "../operations.ts";
import { accountOperations } from "./account.ts";
import { domainOperations } from "./domain.ts";
import { gdprOperations } from "./gdpr.ts";
import { metricOperations } from "./metric.ts";
import { retentionOperations } from "./retention.ts";
import { serverOperations } from "./server.ts";
import { sessionOperations } from "./session.ts";
import { stanzaOperations } from "./stanza.ts";
import { statOperations } from "./stat.ts";

/** In the order of the schema; a module's operations come after them. */
export const coreOperations: readonly Operation[] = [
  ...serverOperations,
  ...accountOperations,
  ...domainOperations,
  ...sessionOperations,
  ...stanzaOperations,
  ...metricOperations,
  ...statOperations,
  ...gdprOperations,
  ...retentionOperations,
];
