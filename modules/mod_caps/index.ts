// XEP-0115 and XEP-0390 Entity Capabilities, of clients: their presence carries a hash of what they can do; the first
// one that gives a hash is asked what it stands for, and the verified answer holds for all. mod_disco tells the server's.
//
// A session keeps no more than a reference to the set of features that it shares with all of its kind.

import { z } from "zod";
import { enumOf, positive, uniqueNonEmptyList } from "../../core/config/types.ts";
import { defineModule, type HostType, type ModuleContext, type Session, Slot } from "../../core/module.ts";
import type { Stanza } from "../../core/stanza.ts";
import { advertised, type Version } from "./advertised.ts";
import { learnerOf } from "./learn.ts";

const config = z.strictObject({
  backend: enumOf("cets").default("cets").describe("Where capabilities are kept: in memory"),
  iq_response_timeout: positive().default(5000).describe("Milliseconds a client has for its answer"),
  versions: uniqueNonEmptyList(enumOf("v1", "v2"))
    .default(["v1", "v2"])
    .describe("Protocols in use: v1 is XEP-0115, v2 is XEP-0390"),
});
type Context = ModuleContext<z.output<typeof config>>;

declare module "../../core/hooks.ts" {
  interface NoticeHooks {
    /** The features of a session's client became known, or have changed. The session is available. */
    caps_recognised: { session: Session; features: ReadonlySet<string> };
  }
}

const known = new Slot<ReadonlySet<string>>();

/** The disco#info features of a session's client; undefined when they are not known (yet), or it gave no hash. */
export function featuresOf(session: Session): ReadonlySet<string> | undefined {
  return known.get(session);
}

/** The protocols in use at a host type, in order; undefined where mod_caps is off. */
export function versionsOf(host: HostType): readonly Version[] | undefined {
  return (host.modules.get("mod_caps")?.ctx as Context | undefined)?.config.versions;
}

function told(session: Session, features: ReadonlySet<string>, ctx: Context): void {
  if (known.get(session) === features) return;
  known.set(session, features);
  const failed = (error: unknown) => ctx.log.error("caps_recognised_failed", { error, jid: session.jid.text });
  try {
    ctx.host.hooks.notify("caps_recognised", { session, features })?.catch(failed);
  } catch (error) {
    failed(error);
  }
}

/** Broadcast presence: directed presence says nothing about the session (XEP-0115 §6.1). */
function presenceSet({ session, stanza }: { session: Session; stanza: Stanza }, ctx: Context): void {
  const learner = learnerOf(ctx.server);
  const hashes = advertised(stanza, ctx.config.versions);
  const features = learner.find(hashes);
  if (features !== undefined) {
    learner.forget(session);
    told(session, features, ctx);
    return;
  }
  if (known.get(session) !== undefined) known.set(session, undefined);
  if (hashes.length === 0) learner.forget(session);
  else learner.learn(session, hashes, ctx.config.iq_response_timeout, (set) => told(session, set, ctx));
}

export default defineModule({
  name: "mod_caps",
  xeps: [
    { n: 115, version: "1.6.0" },
    { n: 390, version: "0.3.2" },
  ],
  config,
  hooks: {
    set_presence: { at: 10, run: presenceSet },
    unset_presence: {
      at: 10,
      run: ({ session }, { server }) => {
        if (known.get(session) !== undefined) known.set(session, undefined);
        learnerOf(server).forget(session);
      },
    },
  },
});
