// One attempt to authenticate by XEP-0388: the elements of its exchange, and what follows its success.

import { base64, fail, type SaslProfile } from "../../core/c2s/authenticate.ts";
import { sendFeatures } from "../../core/c2s/features.ts";
import type { C2S } from "../../core/c2s/stream.ts";
import type { MaybePromise } from "../../core/hooks.ts";
import { type Jid, makeBare } from "../../core/jid.ts";
import type { ModuleContext } from "../../core/module.ts";
import { NS_SASL, NS_SASL2 } from "../../core/ns.ts";
import type { AuthenticateRequest, SaslFailure, SaslSuccess } from "../../core/sasl/index.ts";
import { escapeXml, type Markup } from "../../core/xml/markup.ts";

/** What inline features make of a success. */
export interface Sasl2Outcome {
  /** Elements for <success/>. */
  readonly children: Markup[];
  /**
   * Takes the stream to its session when everything else is done: by resumption, or else by binding, so who finds it set
   * leaves it. It calls one method of its argument. Without it the client goes on to bind by itself.
   */
  into: ((answer: SessionAnswers) => MaybePromise<void>) | undefined;
}

/** How a stream that has become a session, or could not, is answered. */
export interface SessionAnswers {
  /** A session has just begun on the stream. <success/> and the stream features are written. */
  bound(child: Markup): void;
  /** `session`, an older one, has just taken over the stream. <success/> is written; XEP-0198 §8.2: no features follow. */
  resumed(session: C2S, child: Markup): void;
  /** The account may not have a session: the attempt has failed. */
  refused(failure: SaslFailure): MaybePromise<void>;
  /** What was going to be resumed is gone: everything inline is done again. */
  again(): MaybePromise<void>;
}

export class Attempt implements SaslProfile {
  readonly ns = NS_SASL2;
  readonly exclusive = true;

  constructor(
    private readonly ctx: ModuleContext,
    /** Undefined for the answer to an element that belongs to no attempt. */
    private readonly request: AuthenticateRequest | undefined,
  ) {}

  challenge(c2s: C2S, data: Uint8Array): void {
    c2s.writeElement(`<challenge xmlns='${NS_SASL2}'>${base64(data)}</challenge>`);
  }

  failed(c2s: C2S, { condition, text, extra }: SaslFailure): void {
    const more = text === undefined ? "" : `<text>${escapeXml(text)}</text>`;
    c2s.writeElement(
      `<failure xmlns='${NS_SASL2}'><${condition} xmlns='${NS_SASL}'/>${extra?.text ?? ""}${more}</failure>`,
    );
  }

  /** §2.3: here it is the attempt that fails, not the stream. */
  impostor(c2s: C2S): MaybePromise<void> {
    return fail(c2s, this, { kind: "failure", condition: "invalid-authzid" });
  }

  succeeded(c2s: C2S, proof: SaslSuccess): MaybePromise<void> {
    const { request, ctx } = this;
    if (request === undefined) throw new Error("an attempt without a request cannot succeed");
    const begun: Sasl2Outcome = { children: [], into: undefined };
    const outcome = ctx.host.hooks.fold("sasl2_success", begun, { session: c2s, request, proof });
    if (outcome instanceof Promise) return outcome.then((done) => this.conclude(c2s, proof, done));
    return this.conclude(c2s, proof, outcome);
  }

  private conclude(c2s: C2S, proof: SaslSuccess, { children, into }: Sasl2Outcome): MaybePromise<void> {
    if (c2s.closed) return;
    const success = (on: C2S, jid: Jid, more: readonly Markup[]): void => {
      const data = proof.data === undefined ? "" : `<additional-data>${base64(proof.data)}</additional-data>`;
      const own = `${data}<authorization-identifier>${escapeXml(jid.text)}</authorization-identifier>`;
      const inline = [...children, ...more].map(({ text }) => text).join("");
      on.writeElement(`<success xmlns='${NS_SASL2}'>${own}${inline}</success>`);
      this.log(jid);
    };
    if (into === undefined) {
      success(c2s, makeBare(proof.local, c2s.domain), []);
      sendFeatures(c2s);
      return;
    }
    return into({
      bound(child) {
        success(c2s, c2s.jid, [child]);
        sendFeatures(c2s);
      },
      resumed: (session, child) => success(session, session.jid, [child]),
      refused: (failure) => {
        if (c2s.nego !== undefined) c2s.nego.local = undefined;
        return fail(c2s, this, failure);
      },
      again: () => this.succeeded(c2s, proof),
    });
  }

  private log({ text }: Jid): void {
    const { log } = this.ctx;
    if (!log.enabled("debug")) return;
    const { software, device } = this.request?.userAgent ?? {};
    log.debug("authenticated", { jid: text, software, device });
  }
}
