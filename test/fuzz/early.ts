// What comes on a stream before there is a session: authentication with all that may be asked for in it, and registration.

import { Client } from "../support/client.ts";
import { secure } from "../support/sasl2.ts";
import type { StoryServer } from "../support/story-server.ts";
import { misstate, mutate, treeOf, write } from "./mutate.ts";
import type { Random } from "./random.ts";
import { BEFORE } from "./shapes.ts";
import type { World } from "./world.ts";

/** Milliseconds within which something is said to whatever came. */
const PATIENCE = 5_000;

/** A connection that says one to three things; each must be answered, or the stream be ended. */
export async function early(
  server: StoryServer,
  world: World,
  r: Random,
  complain: (what: string) => void,
  note: (text: string) => void,
): Promise<void> {
  const c = new Client(world.me.account, { assertions: 0 });
  await c.connects(secure(server, "tcp"));
  await c.opens();
  try {
    for (let n = r.pick([1, 1, 2, 3]); n > 0 && !c.gone && !c.streamEnded; n--) {
      const e = treeOf(world.words.fill(r.pick(BEFORE), r));
      const top = { name: "", ns: "", attrs: {}, children: [e] };
      if (r.once(2)) misstate(top, r, world.words.all);
      else for (let k = r.pick([0, 1, 1, 2, 4]); k > 0; k--) mutate(e, r, world.words.all);
      const text = write(e, "", r);
      if (Buffer.byteLength(text) > 60_000) continue;
      note(text);
      c.sendsRaw(text);
      // No answer is owed to what only tells; a thing that asks for one shows that it was taken.
      const quiet = e.ns === "urn:xmpp:csi:0";
      if (quiet) continue;
      const until = performance.now() + PATIENCE;
      while (c.waiting.length === 0 && !c.gone && !c.streamEnded && performance.now() < until) await Bun.sleep(1);
      if (c.waiting.length === 0 && !c.gone && !c.streamEnded) complain("nothing was said to this");
      for (const said of [...c.waiting]) {
        const condition = JSON.stringify(said);
        if (condition.includes("internal-server-error")) complain(`internal-server-error: ${condition}`);
        await c.next();
      }
    }
  } finally {
    c.wire.cut();
  }
}
