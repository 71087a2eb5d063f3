// kill -9 under load loses no message that was acknowledged, and none that was stored.
//
//   bun test/fault/kill.ts [--rounds N] [--seed N] [--pairs N]      needs dist/mongooseimctl
//
// Each round puts senders and receivers on the server, kills it at a random moment, starts it again on the same state
// and lets every receiver fetch what waits for it. A sender's message is acknowledged when its number is at most the
// `h` of an <a/> that the sender has read (XEP-0198 §4). It is lost when it reached its receiver neither before the
// kill nor after the restart, and no error came back for it. Duplicates are allowed, and counted.
//
// Receivers behave in different ways, because the server keeps a message in another place for each:
//   online    reads, and acknowledges                              (the receiver's socket)
//   offline   logs in after the restart only                       (the offline store)
//   fetching  logs in while messages are being stored              (offline store, then the socket)
//   leaving   closes its stream in order, and comes back            (socket, offline store)
//   slow      reads now and then, what fills its socket            (the server's output buffer)
//   broken    loses its connection and resumes the stream          (the resumable session)
//   inactive  says so (XEP-0352), and is active now and then        (what mod_csi holds back)
//
// Everything is archived (XEP-0313): each acknowledged message is in the sender's archive and in the receiver's, once,
// whatever was delivered again.
//
// One loss is not the server's to prevent, and the moments of killing keep clear of it: what the kernel had taken for a
// receiver whose connection then broke is safe only when the server has noticed the break and committed. A witness tells
// when it has, however long that takes.
//
// The last line is `kill: N passed, N failed`, a round each.

import { Database } from "bun:sqlite";
import { join } from "node:path";
import { Random } from "../fuzz/random.ts";
import { BinaryServer, freePort } from "../support/binary.ts";
import { auth, c2s, general, MANY_REGISTRATIONS } from "../support/config-text.ts";
import { Checks, option, seedOption } from "../support/script.ts";
import { attribute, LoadClient } from "./client.ts";

const ROUNDS = option("rounds", 5);
const seed = seedOption();
/** Pairs of each behaviour. */
const PAIRS = option("pairs", 4);
const BURST = 10;
const WITNESS = "witness";
const ABSENT = "absent";
type Behaviour = "online" | "offline" | "fetching" | "leaving" | "slow" | "broken" | "inactive";
const BEHAVIOURS: readonly Behaviour[] = ["online", "offline", "fetching", "leaving", "slow", "broken", "inactive"];

/** The same moments again for the same --seed. */
const chance = new Random(seed);
const random = (): number => chance.next();

const port = await freePort();
const server = new BinaryServer({
  port,
  config: `${general([MANY_REGISTRATIONS])}${c2s(port)}${auth("internal", { plain: true })}
[modules.mod_csi]
  buffer_max = 100000
[modules.mod_mam]
[modules.mod_mam.pm]
[modules.mod_offline]
[modules.mod_ping]
[modules.mod_presence]
[modules.mod_register]
[modules.mod_roster]
[modules.mod_stream_management]
  buffer_max = 100000

[access]
  register = [{acl = "all", value = "allow"}]
  max_user_offline_messages = [{acl = "all", value = 1_000_000}]
`,
});

/** Somebody whose messages to an account without sessions show what the server has done. */
class Witness {
  private handled = 0;
  private sent = 0;
  private turn = Promise.resolve();
  private wake: () => void = () => {};
  private client!: LoadClient;

  async comes(): Promise<this> {
    this.client = await LoadClient.login(port, WITNESS, "load", {
      stanza() {},
      acknowledged: (h) => {
        this.handled = h;
        this.wake();
      },
    });
    return this;
  }

  /**
   * Resolves when the server has seen every connection that is broken now, and has committed what it does then. The
   * break is there before the first message, which is acknowledged in a later turn of the server, or in the same; the
   * second is stored after whatever that turn had stored. Never, when the server is killed before.
   */
  noticed(): Promise<void> {
    this.turn = this.turn.then(async () => {
      for (let i = 0; i < 2; i++) await this.stored();
    });
    return this.turn;
  }

  private async stored(): Promise<void> {
    this.sent++;
    this.client.send(
      `<message to='${ABSENT}@localhost' type='chat'><body>x</body></message><r xmlns='urn:xmpp:sm:3'/>`,
    );
    while (this.handled < this.sent) {
      await new Promise<void>((resolve) => {
        this.wake = resolve;
      });
    }
  }
}

/** One sender and its receiver, and what is known of their messages. */
class Pair {
  /** Stanzas sent in this round, and how many the server has acknowledged. */
  sent = 0;
  acked = 0;
  readonly got = new Map<string, number>();
  readonly refused = new Set<string>();
  private receiver: LoadClient | undefined = undefined;
  /** Times that the receiver's connection broke and nobody can tell yet whether the server knows. */
  unnoticed = 0;
  /** The server is about to be killed: no connection breaks any more. */
  ending = false;
  /** The server is gone: nobody comes back before the restart. */
  over = false;

  constructor(
    readonly behaviour: Behaviour,
    readonly n: number,
    readonly round: number,
    private readonly witness: Witness,
  ) {}

  private get from(): string {
    return `s-${this.behaviour}-${this.n}`;
  }
  private get to(): string {
    return `r-${this.behaviour}-${this.n}`;
  }
  static users = (behaviour: Behaviour, n: number): string[] => [`s-${behaviour}-${n}`, `r-${behaviour}-${n}`];

  private id = (i: number): string => `${this.round}.${i}`;

  private readonly receives = {
    stanza: (element: string): void => {
      if (!element.startsWith("<message")) return;
      const id = attribute(element, "id") ?? "";
      this.got.set(id, (this.got.get(id) ?? 0) + 1);
    },
    acknowledged(): void {},
  };

  /** Sends bursts, each after the acknowledgement of the one before, until the connection is gone. */
  async send(): Promise<void> {
    let wake: () => void = () => {};
    const client = await LoadClient.login(port, this.from, "load", {
      stanza: (element) => {
        if (attribute(element, "type") === "error") this.refused.add(attribute(element, "id") ?? "");
      },
      acknowledged: (h) => {
        this.acked = h;
        wake();
      },
    });
    const gone = client.gone.then(() => true);
    const body = "x".repeat(this.behaviour === "slow" ? 4000 : 60);
    for (let ended = false; !ended; ) {
      let text = "";
      for (let i = 0; i < BURST; i++) {
        text += `<message to='${this.to}@localhost' id='${this.id(this.sent++)}' type='chat'><body>${body}</body></message>`;
      }
      const answered = new Promise<boolean>((resolve) => {
        wake = () => resolve(false);
      });
      client.send(`${text}<r xmlns='urn:xmpp:sm:3'/>`);
      ended = await Promise.race([answered, gone]);
    }
  }

  private async comeOnline(): Promise<LoadClient> {
    // One that is slow acknowledges nothing: what it has not read when the server dies, the kernel must still have. (A
    // socket that dies with unread input is reset, and what was on its way to the peer goes with it.)
    const client = await LoadClient.login(port, this.to, "load", this.receives, this.behaviour !== "slow");
    this.receiver = client;
    client.send("<presence/>");
    return client;
  }

  /** Behaves as it is to until the server is killed. */
  async receive(): Promise<void> {
    try {
      if (this.behaviour === "offline") return;
      if (this.behaviour === "fetching") await Bun.sleep(random() * 600);
      await this.comeOnline();
      if (this.behaviour === "online") return;
      while (!this.over) {
        await Bun.sleep(50 + random() * 200);
        if (this.over) return;
        if (this.behaviour === "broken") await this.breakOff();
        else if (this.behaviour === "inactive") {
          this.receiver!.send("<inactive xmlns='urn:xmpp:csi:0'/>");
          await Bun.sleep(random() * 400);
          this.receiver!.send("<active xmlns='urn:xmpp:csi:0'/>");
        } else if (this.behaviour === "slow") await this.dawdle();
        else {
          await this.receiver!.close();
          await Bun.sleep(random() * 200);
          if (this.over) return;
          await this.comeOnline();
        }
      }
    } catch (error) {
      // The server was killed in the middle.
      if (!this.over) await Bun.sleep(100);
      if (!this.over) throw error;
    }
  }

  private async dawdle(): Promise<void> {
    const client = this.receiver!;
    client.pause();
    await Bun.sleep(100 + random() * 400);
    client.unpause();
    if (this.over) await client.gone;
  }

  private async breakOff(): Promise<void> {
    const broken = this.receiver!;
    if (this.ending) return;
    broken.cut();
    this.unnoticed++;
    void this.witness.noticed().then(() => this.unnoticed--);
    await Bun.sleep(random() * 200);
    if (this.over) return;
    const resumed = await LoadClient.resume(port, broken, this.receives);
    if (resumed === undefined) throw new Error(`${this.to} cannot resume its stream`);
    this.receiver = resumed;
  }

  /** After the restart: takes what was stored, until nothing is missing or nothing more comes. */
  async fetch(): Promise<void> {
    const client = await this.comeOnline();
    let quiet = 0;
    for (let i = 0; this.missing().length > 0 && quiet < 10; i++) {
      const before = this.got.size;
      await client.settled(`settle-${i}`);
      await Bun.sleep(100);
      quiet = this.got.size === before ? quiet + 1 : 0;
    }
    // What was not acknowledged may have been stored as well: it must not be there in the next round.
    await client.settled("last");
    await client.close();
  }

  get duplicates(): number {
    let n = 0;
    for (const times of this.got.values()) n += times - 1;
    return n;
  }

  /** What is wrong with the archives: acknowledged messages that are not in both of them once. */
  misfiled(archives: Archives): string[] {
    const wrong: string[] = [];
    for (let i = 0; i < this.sent; i++) {
      const id = this.id(i);
      const kept = [this.from, this.to].map((user) => archives.get(`${user} ${id}`) ?? 0);
      const taken = i < this.acked && !this.refused.has(id);
      if (kept.some((n) => n > 1 || (taken && n === 0))) wrong.push(`${id} (${kept.join("+")})`);
    }
    return wrong;
  }

  /** Ids of messages that were acknowledged and are nowhere. */
  missing(): string[] {
    const lost: string[] = [];
    for (let i = 0; i < this.acked; i++) {
      const id = this.id(i);
      if (!this.got.has(id) && !this.refused.has(id)) lost.push(id);
    }
    return lost;
  }
}

/** How often a message is in an archive, by "user id". */
type Archives = ReadonlyMap<string, number>;

function archivesOf(n: number): Archives {
  const found = new Map<string, number>();
  const db = new Database(join(server.stateDir, "mongooseim.db"), { readwrite: true });
  try {
    const sql = `SELECT user_name, message FROM mam_message m JOIN mam_server_user u ON u.id = m.user_id`;
    for (const { user_name: user, message } of db.query<{ user_name: string; message: Uint8Array }, []>(sql).all()) {
      const id = attribute(Buffer.from(message).toString(), "id");
      if (!id?.startsWith(`${n}.`)) continue;
      const key = `${user} ${id}`;
      found.set(key, (found.get(key) ?? 0) + 1);
    }
  } finally {
    db.close();
  }
  return found;
}

async function round(n: number): Promise<boolean> {
  const witness = await new Witness().comes();
  const pairs = BEHAVIOURS.flatMap((behaviour) =>
    Array.from({ length: PAIRS }, (_, i) => new Pair(behaviour, i, n, witness)),
  );
  const receivers = pairs.map((pair) => pair.receive());
  await Bun.sleep(100);
  const senders = pairs.map((pair) => pair.send());
  const moment = 200 + random() * 1200;
  await Bun.sleep(moment);
  for (const pair of pairs) pair.ending = true;
  while (pairs.some((pair) => pair.unnoticed > 0)) await Bun.sleep(1);
  for (const pair of pairs) pair.over = true;
  await server.kill();
  await Promise.all(senders);
  await Promise.all(receivers);
  const stored = pairs.reduce((sum, pair) => sum + pair.missing().length, 0);
  const up = await server.start();
  await Promise.all(pairs.map((pair) => pair.fetch()));
  const sum = (f: (pair: Pair) => number): number => pairs.reduce((total, pair) => total + f(pair), 0);
  const lost = sum((pair) => pair.missing().length);
  const archives = archivesOf(n);
  const misfiled = pairs.flatMap((pair) =>
    pair.misfiled(archives).map((what) => `${pair.behaviour} ${pair.n}: ${what}`),
  );
  console.log(
    `round ${n}: killed after ${moment.toFixed(0)} ms, ${sum((p) => p.sent)} sent, ${sum((p) => p.acked)} acknowledged, ` +
      `${stored} of them fetched after a restart of ${up.toFixed(0)} ms, ${sum((p) => p.duplicates)} duplicates, ` +
      `${sum((p) => p.refused.size)} refused, ${lost} lost; ` +
      `${archives.size} in archives, ${misfiled.length} not as they should be`,
  );
  if (misfiled.length > 0) console.log(`  ARCHIVES ${misfiled.slice(0, 20).join(", ")}`);
  for (const pair of pairs) {
    const missing = pair.missing();
    if (missing.length > 0) {
      console.log(
        `  LOST ${pair.behaviour} ${pair.n}: ${missing.length} of ${pair.acked}: ${missing.slice(0, 12).join(" ")}`,
      );
    }
  }
  return lost === 0 && misfiled.length === 0;
}

const checks = new Checks("kill");
console.log(`kill -9 under load: ${ROUNDS} rounds, --seed ${seed}`);
try {
  await server.start();
  for (const user of [WITNESS, ABSENT]) await LoadClient.register(port, user);
  for (const behaviour of BEHAVIOURS) {
    for (let i = 0; i < PAIRS; i++) for (const user of Pair.users(behaviour, i)) await LoadClient.register(port, user);
  }
  for (let n = 1; n <= ROUNDS; n++) {
    checks.check(`round ${n}`, await round(n));
  }
  const errors = /level=(error|critical|alert|emergency)/.test(server.log);
  checks.check("the server's log has no errors", !errors, errors ? server.log.slice(-4000) : "");
} catch (error) {
  checks.brokeOff(error, server.log);
} finally {
  await server.kill();
  server.remove();
}
checks.end();
