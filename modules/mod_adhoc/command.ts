// What a command is, for the features that offer some: a node and a name, who may run it, and its steps. A step either
// completes the command or asks for a form; the form's `submit` gives the next step and may remember what it needs in
// its closure, so that a command keeps no state of its own.
//
//     hooks: localCommands<Context>({
//       node: "urn:example#greet", name: "Greet", allowed: ({ from }, ctx) => isAdmin(ctx, from),
//       start: () => ({
//         form: { fields: [{ var: "name", label: "Whom?", required: true }] },
//         submit: (form) => done(`Hello ${form.get("name")}`),
//       }),
//     }),

import type { HookHandlers } from "../../core/hooks.ts";
import type { Jid } from "../../core/jid.ts";
import type { MaybePromise } from "../../core/module.ts";
import type { DataForm, Submission } from "../../core/xml/form.ts";
import type { Markup } from "../../core/xml/markup.ts";

/** Who asks, and whom: the server's domain or the bare JID of an account. */
export interface Asker {
  readonly from: Jid;
  readonly to: Jid;
}

export interface Note {
  /** "info" when absent. */
  readonly type?: "info" | "warn" | "error";
  readonly text: string;
}

/** The command is over (status "completed"). */
export interface Done {
  readonly notes?: readonly Note[];
  /** Markup of a result form (`formMarkup(…, "result")`, `tableMarkup`) or another payload. */
  readonly payload?: Markup;
}

/** The command asks for a form (status "executing"). */
export interface Stage {
  readonly form: DataForm;
  readonly notes?: readonly Note[];
  /** More stages follow: the form is sent on with "next", not with "complete". */
  readonly more?: boolean;
  /**
   * Takes the form, which has the required fields and values of the right types. A StanzaError ends the command,
   * unless it is a bad-request: the form can be sent again.
   */
  submit(form: Submission): MaybePromise<Step>;
}

export type Step = Done | Stage;

/** A command; `Ctx` is the context of the feature that offers it. */
export interface Command<Ctx> {
  readonly node: string;
  readonly name: string;
  /** Whether there is such a command, as when it needs another feature; yes when absent. */
  offered?(ctx: Ctx): boolean;
  /** Who may see and run it; everybody when absent. Others get `forbidden`. */
  allowed?(who: Asker, ctx: Ctx): MaybePromise<boolean>;
  start(who: Asker, ctx: Ctx): MaybePromise<Step>;
}

/** A command with its feature's context put in. */
export interface BoundCommand {
  readonly node: string;
  readonly name: string;
  allowed(who: Asker): MaybePromise<boolean>;
  start(who: Asker): MaybePromise<Step>;
}

declare module "../../core/hooks.ts" {
  interface FoldHooks {
    /** Commands of the server's domain; with a node, the one that has it is enough. */
    adhoc_local_commands: { acc: BoundCommand[]; params: Asker & { node: string | undefined } };
    /** Commands of an account. */
    adhoc_sm_commands: { acc: BoundCommand[]; params: Asker & { node: string | undefined } };
  }
}

/** A step that ends a command with a sentence. */
export const done = (text: string, type?: Note["type"]): Done => ({ notes: [{ text, type }] });

/** Hook handlers that offer commands at the server's domain. */
export function localCommands<Ctx>(...commands: readonly Command<Ctx>[]): HookHandlers<Ctx> {
  return { adhoc_local_commands: (acc, { node }, ctx) => offered(commands, acc, node, ctx) };
}

/** Hook handlers that offer commands at the bare JID of every account. */
export function accountCommands<Ctx>(...commands: readonly Command<Ctx>[]): HookHandlers<Ctx> {
  return { adhoc_sm_commands: (acc, { node }, ctx) => offered(commands, acc, node, ctx) };
}

function offered<Ctx>(
  commands: readonly Command<Ctx>[],
  acc: BoundCommand[],
  node: string | undefined,
  ctx: Ctx,
): BoundCommand[] {
  for (const command of commands) {
    if ((node !== undefined && command.node !== node) || command.offered?.(ctx) === false) continue;
    acc.push({
      node: command.node,
      name: command.name,
      allowed: (who) => command.allowed?.(who, ctx) ?? true,
      start: (who) => command.start(who, ctx),
    });
  }
  return acc;
}
