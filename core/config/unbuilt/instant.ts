// Modules of instant messaging. Each of them leaves this file when modules/ has it: its own `config` is used instead.
import { z } from "zod";
import {
  accessRule,
  domainName,
  enumOf,
  ipMask,
  iqdisc,
  jidText,
  nonEmpty,
  nonNegative,
  nonNegativeOrInfinity,
  positive,
  positiveOrInfinity,
  url,
} from "../types.ts";

const where = (what: string) => enumOf("mnesia", "rdbms").default("mnesia").describe(what);

export const mod_carboncopy = () => z.strictObject({ iqdisc: iqdisc("no_queue") });

export const mod_csi = () =>
  z.strictObject({ buffer_max: nonNegativeOrInfinity().default(20).describe("Stanzas held for an inactive client") });

export const mod_disco = () =>
  z.strictObject({
    extra_domains: z.array(domainName()).default([]).describe("Domains named among the server's items"),
    iqdisc: iqdisc("one_queue"),
    server_info: z
      .array(
        z.strictObject({
          name: nonEmpty().describe("Field, such as abuse-addresses"),
          urls: z.array(url()).describe("Its values"),
          modules: z.array(nonEmpty()).optional().describe("Modules whose information it belongs to; all when not set"),
        }),
      )
      .default([])
      .describe("Contact addresses (XEP-0157)"),
    users_can_see_hidden_services: z.boolean().default(true).describe("Name hidden components to users"),
  });

export const mod_last = () =>
  z.strictObject({ backend: where("Where last activities are kept"), iqdisc: iqdisc("one_queue") });

export const mod_offline = () =>
  z.strictObject({
    access_max_user_messages: accessRule()
      .default("max_user_offline_messages")
      .describe("Access rule whose value is the number of messages kept for a user"),
    backend: where("Where messages are kept"),
    store_groupchat_messages: z.boolean().default(false).describe("Keep messages of type groupchat too"),
  });

export const mod_ping = () =>
  z.strictObject({
    iqdisc: iqdisc("no_queue"),
    ping_interval: positive().default(60).describe("Seconds of silence after which a client is pinged"),
    ping_req_timeout: positive().default(32).describe("Seconds a client has for the answer"),
    send_pings: z.boolean().default(false).describe("Ping idle clients"),
    timeout_action: enumOf("none", "kill").default("none").describe("What is done with a client that does not answer"),
  });

export const mod_presence = () => z.strictObject({});

export const mod_private = () =>
  z.strictObject({
    backend: enumOf("mnesia", "rdbms").default("rdbms").describe("Where private data is kept"),
    iqdisc: iqdisc("one_queue"),
  });

export const mod_register = () =>
  z.strictObject({
    access: accessRule().default("all").describe("Access rule that a new account must pass"),
    ip_access: z
      .array(
        z.strictObject({
          address: ipMask().describe("Address or network"),
          policy: enumOf("allow", "deny").describe("Whether accounts may be made from it"),
        }),
      )
      .default([])
      .describe("From where accounts may be made; the narrowest network decides"),
    iqdisc: iqdisc("one_queue"),
    password_strength: nonNegative().default(0).describe("Least strength of a password, bits"),
    registration_watchers: z.array(jidText()).default([]).describe("Who is told of new accounts"),
    welcome_message: z
      .strictObject({
        body: z.string().default("").describe("Text"),
        subject: z.string().default("").describe("Subject"),
      })
      .optional()
      .describe("Message sent to a new account"),
  });

export const mod_roster = () =>
  z.strictObject({
    backend: where("Where rosters are kept"),
    iqdisc: iqdisc("one_queue"),
    store_current_id: z.boolean().default(false).describe("Keep the version of a roster instead of computing it"),
    versioning: z.boolean().default(false).describe("Roster versioning (RFC 6121 §2.6)"),
  });

export const mod_stanzaid = () => z.strictObject({});

export const mod_stream_management = () =>
  z.strictObject({
    ack: z.boolean().default(true).describe("Ask clients for acknowledgements"),
    ack_freq: positive().default(1).describe("Stanzas between two questions"),
    backend: enumOf("mnesia", "cets").default("mnesia").describe("Where the list of resumable streams is kept"),
    buffer: z.boolean().default(true).describe("Hold stanzas until they are acknowledged"),
    buffer_max: positiveOrInfinity().default(100).describe("Stanzas held at most"),
    resume_timeout: positive().default(600).describe("Seconds for which a lost stream can be resumed"),
    stale_h: z
      .strictObject({
        enabled: z.boolean().default(false).describe("Tell the last counter of a stream that is too old to resume"),
        geriatric: positive().default(3600).describe("Seconds for which the counter is kept"),
        repeat_after: positive().default(1800).describe("Seconds between two deletions of old counters"),
      })
      .prefault({})
      .describe("Counters of streams that ended"),
  });

export const mod_time = () => z.strictObject({ iqdisc: iqdisc("one_queue") });

export const mod_version = () =>
  z.strictObject({
    iqdisc: iqdisc("no_queue"),
    os_info: z.boolean().default(false).describe("Tell the operating system too"),
  });
