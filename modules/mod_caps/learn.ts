// From a hash to features: asked for once, of one client at a time, whoever else gave the same hash waits.

import { capabilityHash, type Info, infoOf, UnhashableError, verification } from "../../core/disco/caps.ts";
import type { Log } from "../../core/log/index.ts";
import type { Server, Session } from "../../core/module.ts";
import { NS_DISCO_INFO } from "../../core/ns.ts";
import type { Stanza } from "../../core/stanza.ts";
import { xml } from "../../core/xml/markup.ts";
import type { Advertised } from "./advertised.ts";
import { KnownHashes } from "./cache.ts";

/** Bytes of an answer that are read; a longer one is none. */
const MAX_ANSWER = 65_536;
const MAX_FEATURES = 1000;

/** A session that wants to know what its hashes mean. */
interface Wish {
  readonly session: Session;
  readonly timeoutMs: number;
  /** What it gave, in the order in which it is tried. */
  readonly hashes: readonly Advertised[];
  /** The place in `hashes` of the one that is being asked about. */
  at: number;
  readonly told: (features: ReadonlySet<string>) => void;
}

/** The hashes of a server's clients: known ones, and those that are being asked about. */
export class Learner {
  readonly known = new KnownHashes();

  constructor(private readonly log: Log) {}

  /** By the hash that is asked about: who waits for the answer, the one that was asked first. */
  private readonly asking = new Map<string, Wish[]>();
  /** One wish a session: a newer one takes its place. */
  private readonly wishes = new WeakMap<Session, Wish>();
  /** Sessions that have a question to answer: a client that changes its mind at once has one at a time. */
  private readonly busy = new WeakSet<Session>();

  /** The features of the first hash that is known. */
  find(hashes: readonly Advertised[]): ReadonlySet<string> | undefined {
    for (const { key } of hashes) {
      const features = this.known.get(key);
      if (features !== undefined) return features;
    }
    return undefined;
  }

  /** The session's hash is of no interest any more. */
  forget(session: Session): void {
    this.wishes.delete(session);
  }

  /** Finds out what the hashes of a session mean; `told` is called once, unless the session has changed by then. */
  learn(
    session: Session,
    hashes: readonly Advertised[],
    timeoutMs: number,
    told: (features: ReadonlySet<string>) => void,
  ): void {
    const before = this.wishes.get(session);
    if (before !== undefined && before.hashes[before.at].key === hashes[0].key) return;
    const wish: Wish = { session, timeoutMs, hashes, at: 0, told };
    this.wishes.set(session, wish);
    if (!this.busy.has(session)) this.join(wish);
  }

  /** Asks for the session's next hash, or waits when somebody is being asked. */
  private join(wish: Wish): void {
    const { key } = wish.hashes[wish.at];
    const others = this.asking.get(key);
    if (others !== undefined) {
      others.push(wish);
      return;
    }
    this.asking.set(key, [wish]);
    this.ask(wish.hashes[wish.at]).catch((error: unknown) => {
      this.asking.delete(key);
      this.log.error("caps_question_failed", { error, jid: wish.session.jid.text });
    });
  }

  /** Asks those who wait for a hash, one after the other, until one has an answer that fits (XEP-0115 §5.4). */
  private async ask(hash: Advertised): Promise<void> {
    const waiting = this.asking.get(hash.key)!;
    while (waiting.length > 0) {
      const [wish] = waiting;
      if (this.current(wish)) {
        this.busy.add(wish.session);
        const features = await question(wish, hash);
        this.busy.delete(wish.session);
        if (features !== undefined) this.settle(hash, features);
        const newer = this.wishes.get(wish.session);
        if (newer !== undefined && newer !== wish) this.join(newer);
        if (features !== undefined) return;
      }
      waiting.shift();
      this.next(wish);
    }
    this.asking.delete(hash.key);
  }

  private settle(hash: Advertised, features: readonly string[]): void {
    const set = this.known.add(hash.key, features);
    const waiting = this.asking.get(hash.key)!;
    this.asking.delete(hash.key);
    for (const wish of waiting) {
      if (!this.current(wish)) continue;
      this.wishes.delete(wish.session);
      wish.told(set);
    }
  }

  /** A session's answer did not fit: its other hashes are tried. */
  private next(wish: Wish): void {
    if (!this.current(wish)) return;
    if (++wish.at < wish.hashes.length) this.join(wish);
    else this.wishes.delete(wish.session);
  }

  private current(wish: Wish): boolean {
    return this.wishes.get(wish.session) === wish && wish.session.available;
  }
}

/** The features that a client tells, when they have the hash that it gave. */
async function question({ session, timeoutMs }: Wish, hash: Advertised): Promise<readonly string[] | undefined> {
  const payload = xml`<query node='${hash.node}' xmlns='${NS_DISCO_INFO}'/>`;
  const answer = await session.request("get", payload, timeoutMs);
  if (answer === undefined || answer.type !== "result" || answer.end - answer.start > MAX_ANSWER) return undefined;
  try {
    return verified(answer, hash);
  } catch (error) {
    if (error instanceof UnhashableError) return undefined;
    throw error;
  }
}

function verified(answer: Stanza, { version, algorithm, hash }: Advertised): readonly string[] | undefined {
  const query = answer.child("query", NS_DISCO_INFO);
  if (query === undefined) return undefined;
  const info: Info = infoOf(query, version === "v2", answer.lang);
  if (info.features.length > MAX_FEATURES) return undefined;
  const own = version === "v1" ? verification(info, algorithm) : capabilityHash(info, algorithm);
  return own === hash ? info.features : undefined;
}

const learners = new WeakMap<Server, Learner>();

/** The one learner of a server: what one host type's client has told holds for all. */
export function learnerOf(server: Server): Learner {
  let learner = learners.get(server);
  if (learner === undefined) {
    learner = new Learner(server.log);
    learners.set(server, learner);
  }
  return learner;
}
