// XEP-0012 Last Activity: of accounts, for those who may see their presence, and the server's uptime.

import { z } from "zod";
import { enumOf, iqdisc } from "../../core/config/types.ts";
import { letsSee } from "../../core/contacts.ts";
import { StanzaError } from "../../core/errors.ts";
import { STOP } from "../../core/hooks.ts";
import type { Jid } from "../../core/jid.ts";
import { defineModule, type Iq, type ModuleContext, type Session, Slot } from "../../core/module.ts";
import { type Markup, xml } from "../../core/xml/markup.ts";
import { sessionsSeenBy } from "../mod_presence/index.ts";
import { operations } from "./operations.ts";
import { LastStore } from "./store.ts";

const NS_LAST = "jabber:iq:last";

const config = z.strictObject({
  backend: enumOf("mnesia", "rdbms").default("mnesia").describe("Where the times are kept"),
  iqdisc: iqdisc("one_queue"),
});
type Context = ModuleContext<z.output<typeof config>, LastStore>;

/** The second for which a session's end has been stored. */
const noted = new Slot<number>();

export default defineModule({
  name: "mod_last",
  xeps: [{ n: 12, version: "2.0" }],
  config,
  uses: ["mod_presence"],
  features: [NS_LAST],
  store: (db) => new LastStore(db),
  timed: {
    backends: ["mnesia", "rdbms"],
    in: (store) => store,
    calls: { get_last: "getLast", set_last_info: "setLastInfo" },
  },
  iq: {
    // Since the process started: one process runs one server.
    "get host jabber:iq:last": (_iq, { server }) => query(Math.floor((server.steady() - server.startedAt) / 1000)),
    "get account jabber:iq:last": ofAccount,
  },
  hooks: {
    unset_presence: ({ session, status }, ctx) => note(session, status, ctx),
    // A session that was never available, or that stayed connected after it had become unavailable.
    user_terminate: ({ session }, ctx) => (session.available ? undefined : note(session, "", ctx)),
    // §4: a client must not be asked by those who may not see its presence.
    user_receive_iq: {
      type: "get",
      ns: NS_LAST,
      run: async (stanza, session, ctx) => {
        if (await maySee(stanza.from, session.jid, ctx)) return;
        await ctx.server.bounce(stanza, new StanzaError("forbidden"));
        return STOP;
      },
    },
  },
  operations,
});

async function ofAccount(iq: Iq, ctx: Context): Promise<Markup> {
  if (!(await maySee(iq.from, iq.to, ctx))) throw new StanzaError("forbidden");
  if ((await sessionsSeenBy(ctx.host, iq.from, ctx.server.sessionsOf(iq.to.bare))).length > 0) return query(0);
  const last = await ctx.store.getLast(iq.to.bare);
  if (!last) throw new StanzaError("service-unavailable");
  return query(Math.max(0, Math.floor(ctx.now() / 1000) - last.seconds), last.status);
}

function query(seconds: number, status = ""): Markup {
  return xml`<query seconds='${seconds}' xmlns='${NS_LAST}'>${status}</query>`;
}

/** Whether `from` has a subscription to the presence of `to`, or is the same account. */
async function maySee(from: Jid, to: Jid, { host }: Context): Promise<boolean> {
  if (from.bare.text === to.bare.text) return true;
  return letsSee(host, to.bare, from.bare);
}

/** Stores the time once for a session that ends: becoming unavailable and ending usually come together. */
function note(session: Session, status: string, ctx: Context): Promise<void> | undefined {
  const seconds = Math.floor(ctx.now() / 1000);
  if (session.anonymous || session.jid === undefined || noted.get(session) === seconds) return;
  noted.set(session, seconds);
  return ctx.store.setLastInfo(session.jid.bare, { seconds, status });
}
