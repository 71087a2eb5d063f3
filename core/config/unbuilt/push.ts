// Modules that tell other services of events: mod_event_pusher, mod_push_service_mongoosepush, and mod_http_upload.
import { z } from "zod";
import {
  enumOf,
  erlangModule,
  iqdisc,
  nonEmpty,
  nonNegative,
  poolName,
  positive,
  positiveOrInfinity,
  secret,
  subdomainTemplate,
  uniqueList,
  url,
} from "../types.ts";
import { workerPool } from "../worker-pool.ts";

const http = () =>
  z.strictObject({
    handlers: uniqueList(
      z.strictObject({
        callback_module: erlangModule().default("mod_event_pusher_http_defaults").describe("What is sent, and when"),
        path: z
          .string()
          .default("")
          .transform((path) => path.replace(/^\//, ""))
          .describe("Path of the requests"),
        pool_name: poolName().default("http_pool").describe("Tag of the http pool"),
      }),
    )
      .default([])
      .describe("Services that are told"),
  });

const push = () =>
  z.strictObject({
    backend: enumOf("mnesia", "rdbms").default("mnesia").describe("Where devices are kept"),
    iqdisc: iqdisc("one_queue"),
    plugin_module: erlangModule()
      .default("mod_event_pusher_push_plugin_defaults")
      .describe("What is sent in a notification, and when"),
    virtual_pubsub_hosts: z
      .array(subdomainTemplate())
      .default([])
      .describe("Domains answered here instead of by a pubsub service"),
    wpool: workerPool("available_worker"),
  });

const exchange = (name: string) => ({
  name: nonEmpty().default(name).describe("Name of the exchange"),
  type: nonEmpty().default("topic").describe("Type of the exchange"),
  durable: z.boolean().default(false).describe("The exchange outlives the broker"),
});

const messageExchange = (name: string) =>
  z
    .strictObject({
      ...exchange(name),
      sent_topic: nonEmpty().default(`${name}_sent`).describe("Topic of messages sent"),
      recv_topic: nonEmpty().default(`${name}_recv`).describe("Topic of messages received"),
    })
    .optional();

const rabbit = () =>
  z.strictObject({
    presence_exchange: z.strictObject(exchange("presence")).optional().describe("Users going online and offline"),
    chat_msg_exchange: messageExchange("chat_msg").describe("Messages between users"),
    groupchat_msg_exchange: messageExchange("groupchat_msg").describe("Messages of rooms"),
  });

const sns = () =>
  z.strictObject({
    access_key_id: z.string().describe("Access key"),
    secret_access_key: secret(z.string()).describe("Its secret"),
    account_id: z.string().describe("Account number"),
    region: z.string().describe("AWS region"),
    sns_host: z.string().describe("Host name of the service"),
    muc_messages_topic: z.string().optional().describe("Topic of room messages"),
    pm_messages_topic: z.string().optional().describe("Topic of messages between users"),
    presence_updates_topic: z.string().optional().describe("Topic of users going online and offline"),
    plugin_module: erlangModule().default("mod_event_pusher_sns_defaults").describe("What is sent, and when"),
    pool_size: positive().default(100).describe("Requests at once"),
    publish_retry_count: nonNegative().default(2).describe("How often a failed request is tried again"),
    publish_retry_time_ms: nonNegative().default(50).describe("Milliseconds between two tries"),
  });

export const mod_event_pusher = () =>
  z.strictObject({
    http: http().optional().describe("Events sent to HTTP services"),
    push: push().optional().describe("Push notifications (XEP-0357)"),
    rabbit: rabbit().optional().describe("Events sent to RabbitMQ"),
    sns: sns().optional().describe("Events sent to Amazon SNS"),
  });

export const mod_push_service_mongoosepush = () =>
  z.strictObject({
    api_version: enumOf("v2", "v3").default("v3").describe("Version of the MongoosePush interface"),
    max_http_connections: nonNegative().default(100).describe("Requests at once"),
    pool_name: poolName().optional().describe("Tag of the http pool"),
  });

export const mod_http_upload = () =>
  z.strictObject({
    backend: enumOf("s3").default("s3").describe("Where files are kept"),
    expiration_time: positive().default(60).describe("Seconds for which an upload address is valid"),
    host: subdomainTemplate().default("upload.@HOST@").describe("Domain of the service"),
    iqdisc: iqdisc("one_queue"),
    max_file_size: positiveOrInfinity().default(10_485_760).describe("Largest file, bytes"),
    s3: z
      .strictObject({
        bucket_url: url().describe("Address of the bucket"),
        region: z.string().describe("AWS region"),
        access_key_id: z.string().describe("Access key"),
        secret_access_key: secret(z.string()).describe("Its secret"),
        add_acl: z.boolean().default(false).describe("Ask for public reading of each file"),
      })
      .describe("Store that speaks S3"),
    token_bytes: positive().default(32).describe("Random bytes in an address"),
  });
