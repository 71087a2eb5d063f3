// XEP-0198 Stream Management: acknowledgements, and resumption of a stream whose connection broke. The counters and the
// buffer are core/c2s/sm.ts; here is the protocol around them.

import { z } from "zod";
import { StreamManagement } from "../../core/c2s/sm.ts";
import { C2S } from "../../core/c2s/stream.ts";
import { enumOf, positive, positiveOrInfinity } from "../../core/config/types.ts";
import { StreamError } from "../../core/errors.ts";
import { type MaybePromise, STOP, type Verdict } from "../../core/hooks.ts";
import { defineModule, type ModuleContext } from "../../core/module.ts";
import { NS_SM } from "../../core/ns.ts";
import type { AuthenticateRequest } from "../../core/sasl/index.ts";
import type { Stanza } from "../../core/stanza.ts";
import { Markup } from "../../core/xml/markup.ts";
import type { Sasl2Outcome } from "../mod_sasl2/index.ts";
import { counter, failed } from "./protocol.ts";
import { recover } from "./recover.ts";
import { HeldStore } from "./store.ts";
import { detached, reroute, resumed, tellOne } from "./unacked.ts";

const config = z.strictObject({
  backend: enumOf("mnesia", "cets").default("mnesia").describe("Where resumable streams are known: on their node"),
  buffer: z.boolean().default(true).describe("Keep stanzas until the client acknowledges them"),
  buffer_max: positiveOrInfinity().default(100).describe("Most stanzas that may wait for acknowledgement"),
  ack: z.boolean().default(true).describe("Ask clients for acknowledgements"),
  ack_freq: positive().default(1).describe("Stanzas sent between two requests for acknowledgement"),
  resume_timeout: positive().default(600).describe("Seconds that a broken stream may be resumed"),
  stale_h: z
    .strictObject({
      enabled: z.boolean().default(false).describe("Tell late clients how much of their stream was handled"),
      repeat_after: positive().default(1800).describe("Seconds between two removals of old counters"),
      geriatric: positive().default(3600).describe("Seconds after which a counter is old"),
    })
    .prefault({})
    .describe("Counters of streams that cannot be resumed any more"),
});
type Config = z.output<typeof config>;
type Ctx = ModuleContext<Config, HeldStore>;

/** `h` of ended streams by their id, for <failed h='...'/>; one map per running module. */
class StaleCounters {
  private readonly ended = new Map<string, { h: number; until: number }>();
  remember(id: string, h: number, until: number): void {
    this.ended.set(id, { h, until });
  }
  get(id: string): number | undefined {
    return this.ended.get(id)?.h;
  }
  clean(now: number): void {
    for (const [id, { until }] of this.ended) if (until <= now) this.ended.delete(id);
  }
}
const stale = new WeakMap<Ctx, StaleCounters>();

const FEATURE = new Markup(`<sm xmlns='${NS_SM}'/>`);

function enable(s: Stanza, session: C2S, ctx: Ctx): MaybePromise<void> {
  // What was sent before is not counted (XEP-0198 §4): it must have left.
  const waiting = session.outbox?.drained;
  if (waiting !== undefined) return waiting.then(() => (session.closed ? undefined : enable(s, session, ctx)));
  const refused = session.nego !== undefined || session.sm !== undefined;
  session.writeElement(refused ? failed("unexpected-request") : manage(session, s.attr("resume"), ctx));
}

/** Begins to manage a session's stream; `wanted` is the client's `resume` attribute. Returns <enabled/>. */
function manage(session: C2S, wanted: string | undefined, { config, server }: Ctx): string {
  const sm = new StreamManagement(
    config.buffer ? config.buffer_max : 0,
    config.buffer && config.ack ? config.ack_freq : 0,
    config.resume_timeout,
  );
  const resume = config.buffer && ["true", "1"].includes(wanted ?? "");
  if (resume) sm.id = server.token(16);
  session.enableSm(sm);
  return resume
    ? `<enabled xmlns='${NS_SM}' id='${sm.id}' max='${config.resume_timeout}' resume='true'/>`
    : `<enabled xmlns='${NS_SM}'/>`;
}

function acknowledged(s: Stanza, session: C2S): void {
  const h = counter(s.attr("h"));
  const { sm } = session;
  if (sm === undefined) return; // an answer from before resumption failed: nothing to count
  if (h === undefined) session.fail(new StreamError("policy-violation", "h must be a number of stanzas"));
  else if (!sm.ack(h)) session.fail(tooHigh(h, sm.sent));
}

/** XEP-0198 §4: a client must not acknowledge what was not sent. */
const tooHigh = (h: number, sent: number): StreamError =>
  new StreamError(
    "undefined-condition",
    "You acknowledged more stanzas than were sent",
    `<handled-count-too-high xmlns='${NS_SM}' h='${h}' send-count='${sent}'/>`,
  );

function resume(s: Stanza, session: C2S, ctx: Ctx): MaybePromise<void> {
  const local = session.nego?.local;
  if (local === undefined) {
    session.writeElement(failed("unexpected-request"));
    return;
  }
  const id = s.attr("previd") ?? "";
  const h = counter(s.attr("h"));
  if (h === undefined) {
    session.writeElement(failed("bad-request"));
    return;
  }
  const old = lostStream(session, id, local);
  if (old === undefined) {
    session.writeElement(failed("item-not-found", stale.get(ctx)?.get(id)));
    return;
  }
  if (!old.sm.ack(h)) {
    session.fail(tooHigh(h, old.sm.sent));
    return;
  }
  old.giveUpConnection();
  const { working } = old;
  // A stanza that is being worked on has to be counted before h is told, or it would come twice.
  if (working !== undefined) return working.then(() => (session.closed ? undefined : resume(s, session, ctx)));
  old.resumeOn(session);
}

/** The stream with that id. The id alone is not enough: it must be the same user's. */
function lostStream(session: C2S, id: string, local: string): (C2S & { sm: StreamManagement }) | undefined {
  const old = session.engine.resumable.get(id);
  const own = old?.jid.local === local && old.jid.domain === session.domain;
  return own && old.sm !== undefined ? (old as C2S & { sm: StreamManagement }) : undefined;
}

/** <resume/> in XEP-0388's <authenticate/> (XEP-0198 §8.2): what fails is told in <success/>, and binding goes on. */
function resumeInline(
  outcome: Sasl2Outcome,
  session: C2S,
  request: AuthenticateRequest,
  local: string,
  ctx: Ctx,
): MaybePromise<void> {
  const { stanza } = request;
  const k = stanza.find("resume", NS_SM);
  if (k < 0) return;
  const refuse = (condition: string, handled?: number): void =>
    void outcome.children.push(new Markup(failed(condition, handled)));
  const id = stanza.kidAttr(k, "previd");
  const h = counter(stanza.kidAttr(k, "h"));
  if (id === undefined || h === undefined) return refuse("bad-request");
  const old = lostStream(session, id, local);
  if (old === undefined) return refuse("item-not-found", stale.get(ctx)?.get(id));
  if (!old.sm.ack(h)) return refuse("bad-request");
  old.giveUpConnection();
  const { working } = old;
  if (working !== undefined) return working.then(() => resumeInline(outcome, session, request, local, ctx));
  outcome.into = (answer) => {
    if (lostStream(session, id, local) !== old) return answer.again();
    old.resumeOn(session, (resumed) => answer.resumed(old, new Markup(resumed)));
  };
}

export default defineModule<Config, HeldStore>({
  name: "mod_stream_management",
  xeps: [{ n: 198, version: "1.6.3" }],
  config,
  uses: ["mod_sasl2"],
  store: (db) => new HeldStore(db),
  hooks: {
    c2s_stream_features: (features, { session }) => {
      // On offer as long as it is off: Bind 2 may have turned it on, and clients do what they are offered.
      if (!(session instanceof C2S) || session.sm === undefined) features.push(FEATURE);
    },
    sasl2_stream_features: { at: 50, run: (features) => void features.push(FEATURE) },
    sasl2_success: {
      at: 20,
      run: (outcome, { session, request, proof }, ctx) => {
        if (!(session instanceof C2S)) return;
        const done = resumeInline(outcome, session, request, proof.local, ctx);
        return done?.then(() => outcome);
      },
    },
    bind2_stream_features: { at: 50, run: (names) => void names.push(NS_SM) },
    bind2_enable_features: {
      at: 50,
      run: (children, { session, bind }, ctx) => {
        const enable = bind.getChild("enable", NS_SM);
        if (enable && session instanceof C2S) {
          children.push(new Markup(manage(session, enable.attrs["resume"], ctx)));
        }
      },
    },
    user_send_xmlel: (s, session, ctx): Verdict => {
      if (!s.inNs(NS_SM) || !(session instanceof C2S)) return undefined;
      switch (s.name) {
        case "r":
          if (session.sm === undefined) {
            session.writeElement(failed("unexpected-request"));
            return STOP;
          }
          session.asked();
          return STOP;
        case "a":
          acknowledged(s, session);
          return STOP;
        case "enable": {
          const done = enable(s, session, ctx);
          return done === undefined ? STOP : done.then((): typeof STOP => STOP);
        }
        case "resume": {
          const done = resume(s, session, ctx);
          return done === undefined ? STOP : done.then((): typeof STOP => STOP);
        }
        default:
          return undefined;
      }
    },
    session_detached: ({ session }, ctx) => (session instanceof C2S ? detached(session, ctx) : undefined),
    message_held: ({ session, text, at, key }, ctx) => {
      const id = key ?? (session instanceof C2S ? session.sm?.id : undefined);
      if (id === undefined) return undefined;
      const kept = ctx.store.hold(session.jid.bare, id, [{ text, at }]);
      return session instanceof C2S && key === undefined ? kept.then(() => tellOne(session, text, at, ctx)) : kept;
    },
    held_messages_gone: ({ key }, { store }) => store.release(key),
    session_resumed: ({ session }, { store }) => {
      if (!(session instanceof C2S) || session.sm === undefined) return undefined;
      resumed(session);
      return store.release(session.sm.id);
    },
    reroute_unacked_messages: ({ session }, ctx) => {
      if (!(session instanceof C2S) || session.sm === undefined) return undefined;
      const { id } = session.sm;
      const until = ctx.server.steady() + ctx.config.stale_h.geriatric * 1000;
      if (id !== "") stale.get(ctx)?.remember(id, session.sm.report(), until);
      return reroute(session, ctx);
    },
  },
  async start(ctx) {
    await recover(ctx);
    if (!ctx.config.stale_h.enabled) return;
    const counters = new StaleCounters();
    stale.set(ctx, counters);
    const clean = (): void => {
      if (stale.get(ctx) !== counters) return;
      counters.clean(ctx.server.steady());
      ctx.server.after(ctx.config.stale_h.repeat_after * 1000, clean);
    };
    ctx.server.after(ctx.config.stale_h.repeat_after * 1000, clean);
  },
  stop(ctx) {
    stale.delete(ctx);
  },
});
