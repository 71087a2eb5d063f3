// XEP-0388 Extensible SASL Profile: authentication in one step, with what the client wants next asked for inline. The
// exchange is the engine's (core/c2s/authenticate.ts); here are its elements, and the hooks of inline features.

import { z } from "zod";
import { begin, fail, refuse, respond } from "../../core/c2s/authenticate.ts";
import { C2S } from "../../core/c2s/stream.ts";
import { StreamError } from "../../core/errors.ts";
import { type MaybePromise, STOP, type Verdict } from "../../core/hooks.ts";
import { defineModule, type HostType, type ModuleContext, type Session } from "../../core/module.ts";
import { NS_SASL2 } from "../../core/ns.ts";
import type { AuthenticateRequest, Offer, SaslFailure, SaslSuccess } from "../../core/sasl/index.ts";
import type { Stanza } from "../../core/stanza.ts";
import { Markup } from "../../core/xml/markup.ts";
import { Attempt, type Sasl2Outcome } from "./attempt.ts";

export type { Sasl2Outcome, SessionAnswers } from "./attempt.ts";

import { readUserAgent } from "./user-agent.ts";

declare module "../../core/hooks.ts" {
  interface FoldHooks {
    /**
     * What clients may ask for inline: an element each for <inline/>. `tokens` are the names of mechanisms that prove a
     * token. Asked once for each kind of channel: handlers answer at once, by their configuration alone.
     */
    sasl2_stream_features: { acc: Markup[]; params: { tokens: readonly string[] } };
    /** <authenticate/> has come: a failure ends the attempt before its mechanism has begun. */
    sasl2_start: { acc: SaslFailure | undefined; params: { session: Session; request: AuthenticateRequest } };
    /** The client has proved who it is: what it asked for inline is done now, and told in <success/>. */
    sasl2_success: {
      acc: Sasl2Outcome;
      params: { session: Session; request: AuthenticateRequest; proof: SaslSuccess };
    };
  }
}

/** <authentication/> of each kind of channel, by what it is offered. */
const announced = new WeakMap<Offer, Markup>();

export default defineModule({
  name: "mod_sasl2",
  xeps: [{ n: 388, version: "1.0.4" }],
  config: z.strictObject({}),
  hooks: {
    c2s_stream_features: {
      at: 50,
      run: (features, { session, authenticated }, { host }) => {
        if (authenticated || !session.secure || !(session instanceof C2S)) return;
        const offer = session.nego?.offer?.mechanisms;
        if (offer === undefined || offer.offered.length === 0) return;
        let feature = announced.get(offer);
        if (feature === undefined) {
          feature = announcement(offer, host);
          announced.set(offer, feature);
        }
        features.push(feature);
      },
    },
    user_send_xmlel: {
      at: 50,
      run: (el, session, ctx): Verdict => {
        if (!el.inNs(NS_SASL2) || !(session instanceof C2S)) return undefined;
        const done = took(el, session, ctx);
        return done === undefined ? STOP : done.then((): typeof STOP => STOP);
      },
    },
  },
});

function announcement({ offered, tokens }: Offer, { hooks }: HostType): Markup {
  const inline = hooks.fold("sasl2_stream_features", [], { tokens });
  if (inline instanceof Promise) throw new Error("sasl2_stream_features must be answered at once");
  const mechanisms = offered.map((name) => `<mechanism>${name}</mechanism>`).join("");
  const features = inline.length === 0 ? "" : `<inline>${inline.map(({ text }) => text).join("")}</inline>`;
  return new Markup(`<authentication xmlns='${NS_SASL2}'>${mechanisms}${features}</authentication>`);
}

/** An element of the client in this namespace. */
function took(el: Stanza, c2s: C2S, ctx: ModuleContext): MaybePromise<void> {
  const { nego } = c2s;
  if (nego === undefined || nego.local !== undefined) {
    // §6.8: there is no second authentication on a stream.
    c2s.fail(new StreamError("policy-violation", "the stream is authenticated already"));
    return;
  }
  const { profile } = nego;
  if (el.name === "authenticate") return authenticate(el, c2s, ctx);
  // <next/> is for tasks, of which this server has none to give.
  if (!(profile instanceof Attempt) || (el.name !== "response" && el.name !== "abort")) {
    return refuse(c2s, new Attempt(ctx, undefined), "malformed-request");
  }
  return el.name === "response" ? respond(c2s, profile, el.ownText) : refuse(c2s, profile, "aborted");
}

function authenticate(el: Stanza, c2s: C2S, ctx: ModuleContext): MaybePromise<void> {
  const userAgent = readUserAgent(el);
  if (userAgent === "invalid") {
    c2s.fail(new StreamError("policy-violation", "the id of a user-agent is a UUID, version 4"));
    return;
  }
  const request: AuthenticateRequest = { stanza: el, userAgent };
  const attempt = new Attempt(ctx, request);
  // §4: only after TLS.
  if (!c2s.secure) return refuse(c2s, attempt, "encryption-required");
  const start = (refused: SaslFailure | undefined): MaybePromise<void> => {
    if (c2s.closed) return;
    if (refused !== undefined) return fail(c2s, attempt, refused);
    const initial = el.child("initial-response", NS_SASL2)?.text();
    return begin(c2s, attempt, { mechanism: el.attr("mechanism") ?? "", initial, request });
  };
  const refused = ctx.host.hooks.fold("sasl2_start", undefined, { session: c2s, request });
  return refused instanceof Promise ? refused.then(start) : start(refused);
}
