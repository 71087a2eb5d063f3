// XEP-0050 Ad-Hoc Commands: the commands that features offer at the server's domain and at accounts, their discovery,
// and the sessions of those that take several steps. Features offer commands with `localCommands`; see command.ts.

import { z } from "zod";
import { iqdisc } from "../../core/config/types.ts";
import { StanzaError } from "../../core/errors.ts";
import type { DiscoItem, DiscoParams, Identity } from "../../core/hooks.ts";
import { defineModule, type Iq, type ModuleContext } from "../../core/module.ts";
import { NS_COMMANDS, NS_DATA } from "../../core/ns.ts";
import type { Markup } from "../../core/xml/markup.ts";
import { type Asker, type BoundCommand, done } from "./command.ts";
import { type Desk, execute } from "./execute.ts";
import { CommandSessions } from "./sessions.ts";

export {
  type Asker,
  accountCommands,
  type Command,
  done,
  localCommands,
  type Note,
  type Stage,
  type Step,
} from "./command.ts";

const config = z.strictObject({
  report_commands_node: z.boolean().default(false).describe("Name the list of commands in service discovery"),
  iqdisc: iqdisc("one_queue"),
});
type Context = ModuleContext<z.output<typeof config>>;
type Where = "local" | "sm";

/** The sessions of each host type, by its context. */
const sessionsOf = new WeakMap<object, CommandSessions>();

const PING: BoundCommand = {
  node: "ping",
  name: "Ping",
  allowed: () => true,
  start: () => done("Pong"),
};

export default defineModule<z.output<typeof config>>({
  name: "mod_adhoc",
  xeps: [{ n: 50, version: "1.3.0" }],
  config,
  features: [NS_COMMANDS],
  accountFeatures: [NS_COMMANDS],
  iq: {
    "set host http://jabber.org/protocol/commands": (iq, ctx) => run(iq, "local", ctx),
    "set account http://jabber.org/protocol/commands": (iq, ctx) => run(iq, "sm", ctx),
  },
  hooks: {
    // 100: after those of other features, which may have a ping of their own.
    adhoc_local_commands: {
      at: 100,
      run: (commands, { node }) => {
        if (node === undefined || (node === PING.node && commands.length === 0)) commands.push(PING);
      },
    },
    disco_local_items: { at: 99, run: (items, params, ctx) => listed(items, params, "local", ctx) },
    disco_sm_items: { at: 99, run: (items, params, ctx) => listed(items, params, "sm", ctx) },
    disco_local_identity: { at: 99, run: (found, params, ctx) => identified(found, params, "local", ctx) },
    disco_sm_identity: { at: 99, run: (found, params, ctx) => identified(found, params, "sm", ctx) },
    disco_local_features: { at: 99, run: (found, params, ctx) => featured(found, params, "local", ctx) },
    disco_sm_features: { at: 99, run: (found, params, ctx) => featured(found, params, "sm", ctx) },
  },
  start(ctx) {
    sessionsOf.set(ctx, new CommandSessions());
  },
});

/** Refusals that would tell a stranger that there is an account. */
const HIDING: ReadonlySet<string> = new Set(["item-not-found", "forbidden", "bad-request"]);

async function run(iq: Iq, where: Where, ctx: Context): Promise<Markup> {
  const sessions = sessionsOf.get(ctx);
  if (sessions === undefined) throw new StanzaError("service-unavailable");
  const desk: Desk = {
    sessions,
    now: () => ctx.server.steady(),
    newId: () => ctx.server.token(16),
    find: (who, node) => find(who, node, where, ctx),
  };
  try {
    return await execute(iq, desk);
  } catch (error) {
    // Strangers do not learn from it that there is such an account (RFC 6121 §8.5.1).
    const stranger = where === "sm" && iq.from.bare.text !== iq.to.text;
    const hidden = stranger && error instanceof StanzaError && HIDING.has(error.condition);
    throw hidden ? new StanzaError("service-unavailable") : error;
  }
}

/** The command with this node. */
async function find(who: Asker, node: string, where: Where, ctx: Context): Promise<BoundCommand | undefined> {
  return (await commands(who, node, where, ctx))[0];
}

async function commands(
  { from, to }: Asker,
  node: string | undefined,
  where: Where,
  { host }: Context,
): Promise<readonly BoundCommand[]> {
  return host.hooks.fold(`adhoc_${where}_commands`, [], { from, to, node });
}

/** The list of commands among the items, when it is to be shown; and its own items: what the asker may run. */
async function listed(items: DiscoItem[], params: DiscoParams, where: Where, ctx: Context): Promise<void> {
  const jid = params.to.text;
  if (!params.subscribed) return;
  if (params.node === "") {
    if (ctx.config.report_commands_node) items.push({ jid, node: NS_COMMANDS, name: "Commands" });
    return;
  }
  if (params.node !== NS_COMMANDS) return;
  for (const command of await commands(params, undefined, where, ctx)) {
    if (await command.allowed(params)) items.push({ jid, node: command.node, name: command.name });
  }
}

async function identified(found: Identity[], params: DiscoParams, where: Where, ctx: Context): Promise<void> {
  if (params.node === "" || !params.subscribed) return;
  if (params.node === NS_COMMANDS) {
    found.push({ category: "automation", type: "command-list", name: "Commands" });
    return;
  }
  const command = await find(params, params.node, where, ctx);
  if (command === undefined) return;
  // §2.2: what is not for the asker is told to be so.
  if (!(await command.allowed(params))) throw new StanzaError("forbidden");
  found.push({ category: "automation", type: "command-node", name: command.name });
}

async function featured(found: Set<string>, params: DiscoParams, where: Where, ctx: Context): Promise<void> {
  if (params.node === "" || params.node === NS_COMMANDS || !params.subscribed) return;
  const command = await find(params, params.node, where, ctx);
  if (command !== undefined) found.add(NS_COMMANDS).add(NS_DATA);
}
