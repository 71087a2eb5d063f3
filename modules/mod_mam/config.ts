// modules.mod_mam: options, and what they come to for one kind of archive.
import { z } from "zod";
import {
  enumOf,
  erlangModule,
  nonNegative,
  positive,
  positiveOrInfinity,
  subdomainTemplate,
} from "../../core/config/types.ts";
import { JID_FORMATS } from "./codecs/jid.ts";
import { MESSAGE_FORMATS } from "./codecs/message.ts";

const backend = () => enumOf("rdbms", "cassandra", "elasticsearch");
const prefs = () =>
  enumOf("rdbms", "cassandra", "mnesia").optional().describe("Where archiving preferences are kept; none when not set");

// As MongooseIM sizes it: four writers for each processor.
const writers = () => 4 * navigator.hardwareConcurrency;

const asyncWriter = () =>
  z.strictObject({
    enabled: z.boolean().default(true).describe("Write in batches, aside from routing"),
    batch_size: nonNegative()
      .default(30)
      .describe("Messages that are worth a batch of their own while others are being written"),
    flush_interval: nonNegative()
      .default(2000)
      .describe("Milliseconds that a message waits for the batch before its own at most"),
    pool_size: nonNegative().default(writers).describe("Batches written at once"),
  });
