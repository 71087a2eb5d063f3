// XEP-0386 Bind 2: a resource, and what the session begins with, asked for inline of XEP-0388's authentication.

import { z } from "zod";
import { openSession, replace } from "../core/c2s/bind.ts";
import { C2S } from "../core/c2s/stream.ts";
import type { MaybePromise } from "../core/hooks.ts";
import { type FullJid, JidError, makeBare, withResource } from "../core/jid.ts";
import { defineModule, type Session, Slot } from "../core/module.ts";
import type { AuthenticateRequest } from "../core/sasl/index.ts";
import type { Element } from "../core/stanza.ts";
import { type Markup, xml } from "../core/xml/markup.ts";
import type { SessionAnswers } from "./mod_sasl2/index.ts";

const NS_BIND2 = "urn:xmpp:bind:0";

declare module "../core/hooks.ts" {
  interface FoldHooks {
    /** Names (`var`) of what a session may begin with. Asked once for each kind of channel. */
    bind2_stream_features: { acc: string[]; params: object };
    /**
     * A session has just begun, nothing was written to it yet: features do what <bind/> asks of them, and may push an
     * element for <bound/>. Waited for: meanwhile nothing is delivered to the session.
     */
    bind2_enable_features: { acc: Markup[]; params: { session: Session; bind: Element } };
  }
}

/** The `id` of the client's <user-agent/>, on sessions that were bound here and whose client has one. */
const clientId = new Slot<string>();

export default defineModule({
  name: "mod_bind2",
  xeps: [{ n: 386, version: "1.1.0" }],
  config: z.strictObject({}),
  needs: ["mod_sasl2"],
  hooks: {
    sasl2_stream_features: {
      at: 50,
      run: (features, _, { host }) => {
        const names = host.hooks.fold("bind2_stream_features", [], {});
        if (names instanceof Promise) throw new Error("bind2_stream_features must be answered at once");
        const list = names.map((name) => xml`<feature var='${name}'/>`);
        const inline = list.length > 0 && xml`<inline>${list}</inline>`;
        features.push(xml`<bind xmlns='${NS_BIND2}'>${inline}</bind>`);
      },
    },
    sasl2_success: {
      at: 50,
      run: (outcome, { session, request }) => {
        if (outcome.into !== undefined || !(session instanceof C2S)) return;
        const bind = request.stanza.child("bind", NS_BIND2);
        if (bind !== undefined) outcome.into = (answer) => bindInline(session, bind, request, answer);
      },
    },
  },
});

function bindInline(
  c2s: C2S,
  bind: Element,
  { userAgent }: AuthenticateRequest,
  answer: SessionAnswers,
): MaybePromise<void> {
  const jid = sessionJid(c2s, bind.getChildText("tag", NS_BIND2));
  const id = userAgent?.id;
  const open = (): MaybePromise<void> => {
    let refused: MaybePromise<void> | undefined;
    const opened = openSession(c2s, jid, {
      refused() {
        refused = answer.refused({ kind: "failure", condition: "not-authorized", text: "No session is allowed" });
      },
      opened() {
        if (id !== undefined) clientId.set(c2s, id);
        const tell = (children: Markup[]): void => {
          if (!c2s.closed) answer.bound(xml`<bound xmlns='${NS_BIND2}'>${children}</bound>`);
        };
        const children = c2s.host.hooks.fold("bind2_enable_features", [], { session: c2s, bind });
        if (!(children instanceof Promise)) return tell(children);
        const told = children.then(tell);
        c2s.holdUntil(told);
        return told;
      },
    });
    return opened === undefined ? refused : opened.then(() => refused);
  };
  const gone = id === undefined ? undefined : endEarlier(c2s, jid, id);
  return gone === undefined ? open() : gone.then(open);
}

/** §2.2.1: the client's tag, when a resource can begin with it, and something of ours. */
function sessionJid({ nego, domain, engine }: C2S, tag: string | null): FullJid {
  const bare = makeBare(nego!.local!, domain);
  const own = engine.token(8);
  if (tag === null || tag === "") return withResource(bare, own);
  try {
    return withResource(bare, `${tag}/${own}`);
  } catch (error) {
    if (!(error instanceof JidError)) throw error;
    return withResource(bare, own);
  }
}

/** §2.2: earlier sessions of the same client end. A promise when they have something left to do. */
function endEarlier(c2s: C2S, { bare }: FullJid, id: string): Promise<void> | undefined {
  const earlier = c2s.engine.sessions.of(bare.text).filter((s) => clientId.get(s) === id && !s.closed);
  const endings = earlier.map((old) => replace(c2s, old)).filter((ending) => ending !== undefined);
  return endings.length === 0 ? undefined : Promise.all(endings).then(() => undefined);
}
