// Modules that have to do with services outside XMPP: one that asks such a service, one that names them to clients.
import { z } from "zod";
import { enumOf, iqdisc, nonEmpty, poolName, port, rule, secret } from "../types.ts";

export const mod_external_filter = () =>
  z.strictObject({ pool_tag: poolName().describe("Tag of the http pool of the filtering service") });

export const mod_extdisco = () =>
  z.strictObject({
    iqdisc: iqdisc("no_queue"),
    service: z
      .array(
        rule(
          z.strictObject({
            type: nonEmpty().describe("Kind of service, such as stun or turn"),
            host: nonEmpty().describe("Host name or address"),
            port: port().optional().describe("Port"),
            transport: enumOf("udp", "tcp").optional().describe("Transport protocol"),
            username: nonEmpty().optional().describe("User"),
            password: secret(nonEmpty()).optional().describe("Password"),
            secret: secret(nonEmpty()).optional().describe("Key that short-lived TURN credentials are made with"),
          }),
          (service) =>
            service.secret === undefined || (service.username === undefined && service.password === undefined),
          "secret stands in place of username and password",
        ),
      )
      .default([])
      .describe("Services outside XMPP"),
  });
