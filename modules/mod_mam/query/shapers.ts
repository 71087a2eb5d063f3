// How often an archive may be asked: by one user, and by all of them together.

import { BoundedMap } from "../../../core/bounded-map.ts";
import { StanzaError } from "../../../core/errors.ts";
import type { Jid } from "../../../core/jid.ts";
import type { AccessRules, Bucket, Server } from "../../../core/module.ts";

/** Who waits longer is refused, as in MongooseIM. Milliseconds. */
const PATIENCE = 3000;
/** Users whose requests are counted at a time. */
const USERS = 20_000;

/** What is asked, as the rules of `access` name it. */
export type Action = "get_prefs" | "set_prefs" | "lookup_messages";

/**
 * The limits that the rules `mam_<action>_shaper` and `mam_<action>_global_shaper` give: names of shapers, whose tokens
 * are requests. A rule that is not defined, or denies, sets none.
 */
export class Shapers {
  private readonly ofUsers = new BoundedMap<string, Bucket>(USERS, () => 1);
  private readonly ofAll = new Map<string, Bucket>();

  /** @param prefix what the rules begin with: "mam" for users' archives, "muc_mam" for rooms' */
  constructor(
    private readonly prefix: string,
    private readonly access: AccessRules,
    private readonly server: Server,
  ) {}

  /**
   * Takes a turn: undefined to go on at once, else a promise of it.
   * @throws StanzaError resource-constraint when the turn would come too late
   */
  wait(action: Action, from: Jid, domain: string): Promise<void> | undefined {
    const rule = `${this.prefix}_${action}`;
    const own = this.name(`${rule}_shaper`, from, domain);
    const all = this.name(`${rule}_global_shaper`, from, domain);
    if (own === "none" && all === "none") return undefined;
    const now = this.server.steady();
    const buckets = [this.ofUser(own, from), this.ofServer(all)].filter((bucket) => bucket !== undefined);
    const ms = Math.max(0, ...buckets.map((bucket) => bucket.take(1, now)));
    if (ms === 0) return undefined;
    if (ms > PATIENCE) {
      for (const bucket of buckets) bucket.take(-1, now);
      throw new StanzaError("resource-constraint", "The action is cancelled because of flooding.");
    }
    return new Promise((resolve) => {
      this.server.after(ms, resolve);
    });
  }

  private name(rule: string, from: Jid, domain: string): string {
    const value = this.access.match(rule, from, domain, "none");
    return value === "deny" || value === "allow" ? "none" : String(value);
  }

  /** One for each shaper and account: a second session is no second helping. */
  private ofUser(shaper: string, from: Jid): Bucket | undefined {
    if (shaper === "none") return undefined;
    const key = `${shaper} ${from.bare.text}`;
    let bucket = this.ofUsers.get(key);
    if (bucket === undefined) {
      bucket = this.server.shaper(shaper);
      if (bucket !== undefined) this.ofUsers.set(key, bucket);
    }
    return bucket;
  }

  private ofServer(shaper: string): Bucket | undefined {
    if (shaper === "none") return undefined;
    let bucket = this.ofAll.get(shaper);
    if (bucket === undefined) {
      bucket = this.server.shaper(shaper);
      if (bucket !== undefined) this.ofAll.set(shaper, bucket);
    }
    return bucket;
  }
}
