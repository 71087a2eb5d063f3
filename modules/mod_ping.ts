// XEP-0199 XMPP Ping: answers pings to the server and to accounts, and pings clients that have been silent.
import { z } from "zod";
import { enumOf, iqdisc, positive } from "../core/config/types.ts";
import { StreamError } from "../core/errors.ts";
import { defineModule, type ModuleContext, type Session, Slot } from "../core/module.ts";
import { xml } from "../core/xml/markup.ts";

const NS_PING = "urn:xmpp:ping";

const config = z.strictObject({
  send_pings: z.boolean().default(false).describe("Ping clients that send nothing"),
  ping_interval: positive().default(60).describe("Seconds of silence before a ping"),
  ping_req_timeout: positive().default(32).describe("Seconds that a client may take to answer"),
  timeout_action: enumOf("none", "kill").default("none").describe("What becomes of a session that does not answer"),
  iqdisc: iqdisc("no_queue"),
});
type Metric = "mod_ping_response_count" | "mod_ping_response_time" | "mod_ping_response_timeout_count";
type Context = ModuleContext<z.output<typeof config>, undefined, Metric>;

/** The second in which the client of a session last sent a stanza. */
const heard = new Slot<number>();

/**
 * One clock for all sessions of a host type: a ring of seconds, each with the sessions to be looked at then. A stanza
 * only notes the second; a session is moved when its old second comes round, so that a busy one costs nothing.
 */
class Pinger {
  private readonly ring = new Map<number, Session[]>();
  private cancel: (() => void) | undefined;
  second: number;

  constructor(private readonly ctx: Context) {
    this.second = this.clock();
    this.turn();
  }

  stop(): void {
    this.cancel?.();
    this.ring.clear();
  }

  watch(session: Session): void {
    heard.set(session, this.second);
    this.lookIn(session, this.ctx.config.ping_interval);
  }

  private clock(): number {
    return Math.floor(this.ctx.server.steady() / 1000);
  }

  private lookIn(session: Session, seconds: number): void {
    const at = this.second + seconds;
    const there = this.ring.get(at);
    if (there) there.push(session);
    else this.ring.set(at, [session]);
  }

  private turn(): void {
    for (const now = this.clock(); this.second < now; ) {
      const due = this.ring.get(++this.second);
      if (!due) continue;
      this.ring.delete(this.second);
      for (const session of due) this.look(session);
    }
    this.cancel = this.ctx.server.after(1000, () => this.turn());
  }

  private look(session: Session): void {
    const { config, server } = this.ctx;
    if (server.session(session.jid) !== session) return;
    const left = (heard.get(session) ?? 0) + config.ping_interval - this.second;
    // A client that is away (XEP-0198) cannot answer; its own time-out runs.
    if (left > 0 || session.detached) this.lookIn(session, left > 0 ? left : config.ping_interval);
    else void this.ping(session);
  }

  private async ping(session: Session): Promise<void> {
    const { config, metrics, host, server } = this.ctx;
    const from = server.steady();
    const reply = await session.request("get", xml`<ping xmlns='${NS_PING}'/>`, config.ping_req_timeout * 1000);
    const ms = Math.round(server.steady() - from);
    // An error is an answer as well (§4.2): the client is there.
    if (reply) {
      metrics.mod_ping_response_count.add();
      metrics.mod_ping_response_time.add(ms * 1000);
      heard.set(session, this.second);
    } else metrics.mod_ping_response_timeout_count.add();
    await host.hooks.notify("user_ping_response", { session, ms, ok: reply !== undefined });
    if (!reply && config.timeout_action === "kill" && !session.detached) {
      session.close(new StreamError("connection-timeout", "ping timeout"), "timeout");
    } else this.lookIn(session, config.ping_interval);
  }
}

/** The pinger of each host type that has one; lives as long as the feature's context. */
const pingers = new WeakMap<object, Pinger>();

export default defineModule<z.output<typeof config>, undefined, Metric>({
  name: "mod_ping",
  xeps: [{ n: 199, version: "2.0.1" }],
  config,
  features: [NS_PING],
  metrics: {
    mod_ping_response_count: { kind: "counter", help: "Pings answered by clients" },
    mod_ping_response_time: { kind: "histogram", help: "Microseconds until a client answered a ping" },
    mod_ping_response_timeout_count: { kind: "counter", help: "Pings that clients did not answer in time" },
  },
  iq: {
    "get host urn:xmpp:ping": () => {}, // an empty result is the pong
    "get account urn:xmpp:ping": () => {},
  },
  hooks: {
    sm_register_connection: ({ session }, ctx) => pingers.get(ctx)?.watch(session),
    // 100: what others have refused is heard as well, but only after it has been dealt with
    user_send_packet: {
      at: 100,
      run: (_stanza, session, ctx) => {
        if (ctx.config.send_pings) heard.set(session, pingers.get(ctx)?.second);
      },
    },
  },
  start(ctx) {
    if (ctx.config.send_pings) pingers.set(ctx, new Pinger(ctx));
  },
  stop(ctx) {
    pingers.get(ctx)?.stop();
    pingers.delete(ctx);
  },
});
