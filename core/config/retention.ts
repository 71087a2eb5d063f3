// [retention]: how long what is kept may stay. MongooseIM has no such section.
import { z } from "zod";
import { domainName, inert, keyedList, own, positiveOrInfinity, upTo, upToOrInfinity } from "./types.ts";

/** Days that an age may have: what is older has not been sent yet. */
const MOST_DAYS = 36_500;
/** A year, in seconds. */
const LONGEST_INTERVAL = 31_536_000;

const days = (what: string) => upToOrInfinity(MOST_DAYS).describe(`Days after which these are deleted: ${what}`);

const ages = {
  archive: () => days("archived messages"),
  offline: () => days("messages that wait for a user"),
  inbox_bin: () => days("conversations in the bin of an inbox (beside bin_ttl of mod_inbox: the shorter one holds)"),
  uploads: () =>
    inert(positiveOrInfinity(), "mod_http_upload is not in this build: there are no uploads").describe(
      "Days after which these are deleted: uploaded files",
    ),
};

/** `[[retention.domains]]`, and what `host_config[].retention` may say: each stands in place of the same above it. */
const overrides = () => ({
  archive: ages.archive().optional(),
  offline: ages.offline().optional(),
  inbox_bin: ages.inbox_bin().optional(),
  uploads: ages.uploads().optional(),
});

/** `host_config[].retention` */
export const hostRetention = () => own(z.strictObject(overrides()).describe("Ages set in place of the same above"));

/** `retention` */
export const retention = () =>
  own(
    z.strictObject({
      archive: ages.archive().default(Number.POSITIVE_INFINITY),
      offline: ages.offline().default(Number.POSITIVE_INFINITY),
      inbox_bin: ages.inbox_bin().default(Number.POSITIVE_INFINITY),
      uploads: ages.uploads().default(Number.POSITIVE_INFINITY),
      interval: upTo(LONGEST_INTERVAL).default(3600).describe("Seconds from the end of one clean-up to the next"),
      batch_size: upTo(10_000)
        .default(500)
        .describe("Rows that are deleted between two rests, at most a hundred in a transaction"),
      pause: upTo(60_000)
        .default(100)
        .describe("Least milliseconds of a rest; as long as what was done before it took, when that was longer"),
      domains: keyedList(
        z.strictObject({ domain: domainName().describe("A domain that is served"), ...overrides() }),
        "domain",
      )
        .default([])
        .describe("Ages for single domains, in place of those of their host type"),
    }),
  )
    .prefault({})
    .describe("How long what is kept may stay; what is older is deleted in small batches while the server runs");
