// XEP-0133 §4.30 and §4.31: the whole server is restarted or stopped, after a while and with an announcement.

import { StanzaError } from "../../core/errors.ts";
import type { Server } from "../../core/module.ts";
import { type Command, done } from "../mod_adhoc/index.ts";
import { announce, inBackground, sessionsOf } from "./announcements.ts";
import { type Context, formCommand } from "./command.ts";

/** Servers that are going to end. */
const ending = new WeakSet<Server>();

const DELAYS = [
  ["30", "30 seconds"],
  ["60", "60 seconds"],
  ["90", "90 seconds"],
  ["120", "2 minutes"],
  ["180", "3 minutes"],
  ["240", "4 minutes"],
  ["300", "5 minutes"],
] as const;

function ends(name: "restart" | "shutdown", title: string, act: "restart" | "stop"): Command<Context> {
  return formCommand({
    name,
    title,
    service: true,
    instructions: "All domains are concerned. The announcement goes to everybody who is online.",
    fields: [
      {
        var: "delay",
        type: "list-single",
        label: "How long from now",
        required: true,
        values: [DELAYS[0][0]],
        options: DELAYS.map(([value, label]) => ({ value, label })),
      },
      { var: "announcement", type: "text-multi", label: "Announcement" },
    ],
    async submit(form, { ctx, node }) {
      const { server, log } = ctx;
      if (ending.has(server)) throw new StanzaError("conflict", "The server is going to end already");
      ending.add(server);
      const seconds = Number(form.get("delay"));
      log.notice("service_ends", { act, seconds });
      const text = form.text("announcement");
      if (text !== "") inBackground(ctx, announce(ctx, await sessionsOf({ node }), text));
      server.after(seconds * 1000, () => node.server[act]());
      return done(`${title}: in ${seconds} seconds`);
    },
  });
}

export const serviceCommands: readonly Command<Context>[] = [
  ends("restart", "Restart the server", "restart"),
  ends("shutdown", "Stop the server", "stop"),
];
