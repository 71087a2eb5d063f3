// After a process that ended without warning: the messages it held for broken streams go their way.

import { BareJid } from "../../core/jid.ts";
import type { ModuleContext } from "../../core/module.ts";
import { viewText } from "../../core/xml/framer.ts";
import { revive } from "./revive.ts";
import type { Held, HeldStore } from "./store.ts";

type Ctx = ModuleContext<unknown, HeldStore>;

/** Milliseconds until a domain that is not served yet is looked for again, and how often that is done. */
const AGAIN_MS = 5000;
const TIMES = 24;

/** Finds what is left and has it sent as soon as the domains are served; what comes later is not touched. */
export async function recover(ctx: Ctx): Promise<void> {
  const newest = await ctx.store.newest();
  if (newest > 0) later(ctx, newest, 0);
}

function later(ctx: Ctx, newest: number, times: number): void {
  ctx.server.after(times === 0 ? 0 : AGAIN_MS, () => {
    send(ctx, newest)
      .then((waiting) => {
        if (waiting && times < TIMES) later(ctx, newest, times + 1);
      })
      .catch((error: unknown) => ctx.log.error("held_messages_not_sent", { error }));
  });
}

/** Sends the messages of this host type; true when some are for domains that nobody serves (yet). */
async function send(ctx: Ctx, newest: number): Promise<boolean> {
  let waiting = false;
  let after = 0;
  const twins = new Twins();
  for (;;) {
    const rows = await ctx.store.between(after, newest);
    if (rows.length === 0) return waiting;
    for (const row of rows) {
      after = Number(row.id);
      const host = ctx.server.hostTypeOf(row.server);
      if (host === undefined) waiting = true;
      else if (host === ctx.host) {
        // One that fails stays for the next start; the others go their way.
        const done = twins.sent(row) ? ctx.store.remove(Number(row.id)) : sendOne(ctx, row);
        await ctx.server.underWay
          .add(done)
          .catch((error: unknown) => ctx.log.error("held_message_not_sent", { error }));
      }
    }
  }
}

async function sendOne(ctx: Ctx, row: Held): Promise<void> {
  const s = viewText(row.stanza);
  const account = new BareJid(row.username, row.server);
  if (revive(s, account, row.server, Number(row.held_at))) await ctx.server.route(s);
  else ctx.log.error("held_message_without_sender", { from: s.fromText });
  await ctx.store.remove(Number(row.id));
}

/**
 * A message for an account is held for each of its streams that was to have it, and is sent once. The same text twice
 * in one stream is two messages.
 */
class Twins {
  /** Times that each text was sent; and times that it was met, by stream. */
  private readonly counts = new Map<string, number>();

  /** Notes a message; whether it was sent for another stream. */
  sent({ server, username, stream_id, stanza }: Held): boolean {
    const text = `${username}@${server}\n${stanza}`;
    const here = `${stream_id}\n${text}`;
    const met = (this.counts.get(here) ?? 0) + 1;
    this.counts.set(here, met);
    if (met <= (this.counts.get(text) ?? 0)) return true;
    this.counts.set(text, met);
    return false;
  }
}
