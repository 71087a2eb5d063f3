// Requests of every protocol that the features speak, damaged by chance, to a real server with every personal feature on.
// `bun test/fuzz/requests.ts --count 200000 --seed 1`; a problem names its round, `--seed <round> --count 1` plays it again.
// `--only urn:xmpp:mam:2` sends requests with this in them; `--older` plays with the other features of OLDER, `--on pgsql` and `--on mysql` on a test server.
//
// What must hold, whatever is sent:
// - every get and set is answered once, with a result or an error of RFC 6120 that is not the server's own fault;
// - the server logs no error;
// - what was refused, and what only asks, has changed nothing;
// - what others keep stays as it is, and nobody gets what is not for him;
// - what comes is well-formed, and results have a namespace;
// - memory does not grow with the number of requests, and an account that was removed leaves nothing behind.

import { parseArgs } from "node:util";
import { makeBare } from "../../core/jid.ts";
import { childrenOf, find, show, type XElement } from "../support/match.ts";
import { StoryServer } from "../support/story-server.ts";
import { type Actor, conditionOf } from "./actor.ts";
import { early } from "./early.ts";
import { type DatabaseServer, EVERYTHING, inServer, OLDER, scratchDatabase } from "./everything.ts";
import { misstate, mutate, NAMESPACES, treeOf, write } from "./mutate.ts";
import { Random } from "./random.ts";
import { NONZAS, ORDINARY, PAYLOADS, type Shape, STANZAS } from "./shapes.ts";
import { difference, rowWith, Witness } from "./witness.ts";
import { enter, LISTS, synced, type World } from "./world.ts";

/** Requests of a round, all by the same people. */
const ROUND = 200;
/** A stanza may have 64 KiB. */
const MOST_BYTES = 60_000;
/** Milliseconds that an answer should take at most; slower ones are told, a busy machine is no fault of the server. */
const SLOW = 1_000;

export interface Problem {
  readonly round: number;
  readonly what: string;
  readonly sent: string;
}
export interface Report {
  requests: number;
  /** Answers by what they were. */
  readonly answers: Map<string, number>;
  readonly slow: string[];
  readonly problems: Problem[];
  /** Bytes of live objects after a round in the first fifth, and at the end. */
  heap: [early: number, late: number];
}

export class Fuzzer {
  readonly report: Report = { requests: 0, answers: new Map(), slow: [], problems: [], heap: [0, 0] };
  private readonly witness: Witness;
  private round = 0;
  private sent = "";
  private ids = 0;
  private logged = 0;

  private readonly payloads: readonly (readonly Shape[])[];
  private readonly ordinary: readonly (readonly Shape[])[];

  /** @param only what payloads must have in them; none is left out when undefined */
  constructor(
    private readonly server: StoryServer,
    only?: string,
  ) {
    this.witness = new Witness(server.node);
    const wanted = (all: readonly (readonly Shape[])[]) =>
      only === undefined ? all : all.filter(([{ payload }]) => payload.includes(only));
    this.payloads = wanted(PAYLOADS);
    this.ordinary = wanted(ORDINARY);
  }

  private readonly complain = (what: string): void => {
    this.report.problems.push({ round: this.round, what, sent: this.sent.slice(0, 3000) });
  };

  /** One round: `count` requests. */
  async play(round: number, count = ROUND): Promise<void> {
    this.round = round;
    this.sent = "(setup)";
    const r = new Random(round);
    const world = await enter(this.server, round, r, this.complain);
    const kept = [await this.viewOf(world.target), await this.viewOf(world.bystander)];
    kept.push(await this.messagesOf(world.bystander));
    world.bystander.heard = 0;
    for (let n = 0; n < count && !world.me.over; n++) await this.one(world, r);
    this.sent = "(the end of the round)";
    for (const actor of [world.me, world.phone, world.friend]) if (!actor.over) await synced(actor);
    await this.others(world, kept);
    await this.removed(world);
    this.logs();
  }

  /** What others keep, and what they have heard. */
  private async others({ target, bystander, admin }: World, kept: string[]): Promise<void> {
    for (const [i, actor] of [target, bystander].entries()) {
      if (actor.over) {
        if (!admin) this.complain(`the stream of ${actor.full} has ended: ${actor.streamError}`);
        continue;
      }
      const now = await this.viewOf(actor);
      if (now !== kept[i]) this.complain(`what ${actor.bare} keeps has changed: ${changed(kept[i], now)}`);
    }
    if (bystander.heard > 0 && !admin) this.complain(`the bystander heard ${bystander.heard} stanzas`);
    if (bystander.over || admin) return;
    const now = await this.messagesOf(bystander);
    if (now !== kept[2]) this.complain(`the messages of ${bystander.bare} have changed: ${changed(kept[2], now)}`);
  }

  private async removed(world: World): Promise<void> {
    const { node } = this.server;
    const jids = await world.leave();
    for (const jid of jids) {
      const [local, domain] = jid.split("@");
      await node.removeUser(makeBare(local, domain));
    }
    if (!new Random(this.round + 1).once(4)) return;
    const look = await this.witness.look();
    for (const text of [`"${world.me.local}"`, world.me.bare]) {
      const left = rowWith(look, text);
      if (left !== undefined) this.complain(`an account that was removed has left ${left}`);
    }
  }

  private async one(world: World, r: Random): Promise<void> {
    const kind = r.below(100);
    this.report.requests++;
    if (kind < 84) await this.request(world, r);
    else if (kind < 88) await this.burst(world, r);
    else if (kind < 98) await this.stanza(world, r, r.pick(STANZAS));
    else if (kind < 99) await this.nonza(world, r);
    else await early(this.server, world, r, this.complain, (text) => this.note(text));
    this.logs();
  }

  private note(text: string): void {
    this.sent = text;
  }

  /** The text of a request; undefined for one that is too big. */
  private make(world: World, r: Random, id: string): { text: string; type: string } | undefined {
    const shape: Shape = r.pick(r.pick(world.admin || r.once(20) ? this.payloads : this.ordinary));
    let { to, type } = shape;
    if (r.once(8)) to = "{anybody}";
    if (r.once(25)) type = type === "get" ? "set" : "get";
    const address = to === undefined ? "" : ` to='${world.words.fill(to, r)}'`;
    const iq = treeOf(`<iq>${world.words.fill(shape.payload, r)}</iq>`);
    this.damage(iq, world, r);
    if (r.once(40)) iq.children.push({ name: "x", ns: r.pick(NAMESPACES), attrs: {}, children: [] });
    const inside = iq.children
      .filter((c): c is XElement => typeof c !== "string")
      .map((c) => write(c, "jabber:client", r))
      .join("");
    const lang = r.once(30) ? ` xml:lang='${r.pick(["de", "", "x".repeat(90), "en-GB"])}'` : "";
    const text = `<iq xmlns='jabber:client' type='${type}' id='${id}'${address}${lang}>${inside}</iq>`;
    return text.length > MOST_BYTES || Buffer.byteLength(text) > MOST_BYTES ? undefined : { text, type };
  }

  /** Nothing, one value, or anything. */
  private damage(top: XElement, world: World, r: Random): void {
    const kind = r.below(10);
    if (kind < 2) return;
    if (kind < 7) misstate(top, r, world.words.all);
    else for (let n = r.pick([1, 1, 2, 3, 6]); n > 0; n--) mutate(top, r, world.words.all);
  }

  private async request(world: World, r: Random): Promise<void> {
    const id = `q${this.round}-${++this.ids}`;
    const made = this.make(world, r, id);
    if (made === undefined) return;
    this.sent = made.text;
    const watched = r.once(4);
    const view = watched && r.once(6) ? await this.viewOf(world.me) : undefined;
    const before = watched ? await this.witness.look() : undefined;
    const { writes } = this.witness;
    this.sent = made.text;
    const answer = await this.ask(world, world.me, id, made.text);
    if (answer === undefined || before === undefined) return;
    const refused = answer.attrs["type"] === "error";
    if (!refused && made.type === "set") return;
    if (writes !== this.witness.writes) {
      const change = difference(before, await this.witness.look());
      if (change !== undefined) this.complain(`${refused ? conditionOf(answer) : "a get"} has changed ${change}`);
    }
    if (view === undefined || world.me.over) return;
    const now = await this.viewOf(world.me);
    this.sent = made.text;
    if (now !== view)
      this.complain(`${refused ? conditionOf(answer) : "a get"} has changed the view: ${changed(view, now)}`);
  }

  private async ask(world: World, actor: Actor, id: string, text: string): Promise<XElement | undefined> {
    if (actor.over) return undefined;
    const begun = performance.now();
    const answer = await actor.asks(id, text);
    const ms = performance.now() - begun;
    if (answer === "late") {
      if (!(await this.withheld(world, text))) this.complain("no answer came");
      return undefined;
    }
    if (answer === undefined) {
      this.ended(world, actor);
      return undefined;
    }
    if (ms > SLOW) this.report.slow.push(`${ms.toFixed(0)} ms, round ${this.round}: ${text.slice(0, 300)}`);
    const key = answer.attrs["type"] === "result" ? "result" : conditionOf(answer);
    this.report.answers.set(key, (this.report.answers.get(key) ?? 0) + 1);
    return answer;
  }

  /** Whether a client's answer may have been kept back by a privacy list of the one who asked (XEP-0016 §2.11). */
  private async withheld({ me, friend, target }: World, text: string): Promise<boolean> {
    if (![friend.full, target.full].some((jid) => text.includes(` to='${jid}'`))) return false;
    const id = `p${++this.ids}`;
    const lists = await me.asks(id, `<iq type='get' id='${id}'><query xmlns='jabber:iq:privacy'/></iq>`);
    if (lists === undefined || lists === "late") return false;
    return find(lists, "active") !== undefined || find(lists, "default") !== undefined;
  }

  /** A stream may end by an administrator's doing, and when an element has too much in it. */
  private ended(world: World, actor: Actor): void {
    const { streamError } = actor;
    this.report.answers.set(`stream ${streamError}`, (this.report.answers.get(`stream ${streamError}`) ?? 0) + 1);
    const excused = world.admin || (streamError.startsWith("policy-violation") && this.sent.length > 8000);
    if (!excused) this.complain(`the stream of ${actor.full} has ended: ${streamError}`);
  }

  /** Several at once, from two sessions of an account. */
  private async burst(world: World, r: Random): Promise<void> {
    const asked: Promise<unknown>[] = [];
    let texts = "";
    for (let n = 0; n < 12; n++) {
      const id = `b${this.round}-${++this.ids}`;
      const made = this.make(world, r, id);
      if (made === undefined) continue;
      texts += `${made.text}\n`;
      asked.push(this.ask(world, r.once(2) ? world.me : world.phone, id, made.text));
    }
    this.report.requests += asked.length - 1;
    this.sent = texts;
    await Promise.all(asked);
  }

  private async stanza(world: World, r: Random, shape: string): Promise<void> {
    const e = treeOf(world.words.fill(shape, r));
    const { name, ns } = e;
    this.damage({ name: "", ns: "", attrs: {}, children: [e] }, world, r);
    // Unknown first-level elements end the stream, and rightly so.
    Object.assign(e, { name, ns });
    if (r.once(10) && e.attrs["to"] !== undefined) e.attrs["to"] = r.pick(world.words.jids);
    const text = write(e, "", r);
    if (Buffer.byteLength(text) > MOST_BYTES) return;
    this.sent = text;
    world.me.says(text);
    await this.alive(world);
  }

  private async alive(world: World): Promise<void> {
    const { sent } = this;
    await synced(world.me);
    this.sent = sent;
    if (world.me.over) this.ended(world, world.me);
  }

  /** What may end a stream is sent by a session that is there for it. */
  private async nonza(world: World, r: Random): Promise<void> {
    // An administrator may have taken the account away, or its password.
    if (world.phone.over && world.admin) return;
    if (world.phone.over) world.phone = await world.again();
    const e = treeOf(world.words.fill(r.pick(NONZAS), r));
    for (let n = r.below(3); n > 0; n--) mutate(e, r, world.words.all);
    this.sent = write(e, "", r);
    world.phone.says(this.sent);
    if (!world.phone.gone) await synced(world.phone);
  }

  /** Everything that an account keeps, as its owner sees it. */
  private async viewOf(actor: Actor): Promise<string> {
    const parts: string[] = [];
    const get = async (payload: string, to = ""): Promise<XElement | undefined> => {
      const id = `v${++this.ids}`;
      const answer = await actor.asks(id, `<iq type='get' id='${id}'${to}>${payload}</iq>`);
      if (answer === undefined || answer === "late") return undefined;
      // Bookmarks are copied from one of their places to the others in the background.
      const line = show(answer)
        .replaceAll(id, "")
        .replaceAll(/<item jid="[^"]*" node="[^"]*bookmarks[^"]*"\/>/g, "");
      if (!payload.includes("bookmarks")) parts.push(line);
      return answer;
    };
    await get("<query xmlns='jabber:iq:roster'/>");
    await get("<vCard xmlns='vcard-temp'/>");
    await get("<query xmlns='jabber:iq:privacy'/>");
    for (const list of LISTS) await get(`<query xmlns='jabber:iq:privacy'><list name='${list}'/></query>`);
    await get("<blocklist xmlns='urn:xmpp:blocking'/>");
    await get("<query xmlns='jabber:iq:private'><exodus xmlns='exodus:prefs'/></query>");
    await this.nodes(actor, get, "", "<query xmlns='http://jabber.org/protocol/disco#items'/>");
    const of = actor.local.replace(/^\D+/, "");
    for (const node of [`secrets${of}`, `others${of}`]) await this.node(get, " to='pubsub.localhost'", node);
    return parts.join("\n");
  }

  /** What an account's archive and inbox say of themselves: only what is sent to or by it changes that. */
  private async messagesOf(actor: Actor): Promise<string> {
    const asks: [string, string][] = [
      ["get", "<metadata xmlns='urn:xmpp:mam:2'/>"],
      ["get", "<prefs xmlns='urn:xmpp:mam:2'/>"],
      ["set", "<query xmlns='urn:xmpp:mam:2'><set xmlns='http://jabber.org/protocol/rsm'><max>0</max></set></query>"],
      ["set", "<inbox xmlns='erlang-solutions.com:xmpp:inbox:0'/>"],
    ];
    const parts: string[] = [];
    for (const [type, payload] of asks) {
      const id = `v${++this.ids}`;
      const answer = await actor.asks(id, `<iq type='${type}' id='${id}'>${payload}</iq>`);
      if (answer !== undefined && answer !== "late") parts.push(show(answer).replaceAll(id, ""));
    }
    return parts.join("\n");
  }

  private async nodes(actor: Actor, get: Get, to: string, list: string): Promise<void> {
    const items = await get(list);
    const query = items && find(items, "query");
    for (const { attrs } of query === undefined ? [] : childrenOf(query)) {
      if (attrs["jid"] === actor.bare && attrs["node"] !== undefined) await this.node(get, to, attrs["node"]);
    }
  }

  private async node(get: Get, to: string, name: string): Promise<void> {
    const node = name.replaceAll("&", "&amp;").replaceAll("'", "&apos;").replaceAll("<", "&lt;");
    await get(`<pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='${node}'/></pubsub>`, to);
    for (const what of ["configure", "affiliations", "subscriptions"]) {
      await get(`<pubsub xmlns='http://jabber.org/protocol/pubsub#owner'><${what} node='${node}'/></pubsub>`, to);
    }
  }

  /** What the server has logged since. */
  private logs(): void {
    const { logged } = this.server;
    for (const line of logged.slice(this.logged)) {
      if (["error", "critical", "alert", "emergency"].includes(line.level)) {
        this.complain(`the server logged ${JSON.stringify(line).slice(0, 1500)}`);
      }
    }
    this.logged = logged.length;
  }
}

type Get = (payload: string, to?: string) => Promise<XElement | undefined>;

/** The answers of a view that are not what they were. */
function changed(before: string, after: string): string {
  const [old, now] = [before.split("\n"), after.split("\n")];
  return `${old.filter((line) => !now.includes(line)).join("\n")} became ${now.filter((line) => !old.includes(line)).join("\n")}`;
}

const heap = (): number => {
  Bun.gc(true);
  return process.memoryUsage().heapUsed;
};

/** Plays rounds from `seed` on until there were `count` requests, `stopAfter` problems, or the time is over. */
export async function fuzz(
  server: StoryServer,
  {
    seed,
    count,
    stopAfter = 20,
    milliseconds = Number.POSITIVE_INFINITY,
    only,
  }: {
    seed: number;
    count: number;
    stopAfter?: number;
    milliseconds?: number;
    only?: string | undefined;
  },
  tell: (report: Report) => void = () => {},
): Promise<Report> {
  const fuzzer = new Fuzzer(server, only);
  const { report } = fuzzer;
  const begun = performance.now();
  let told = 0;
  for (let round = seed; report.requests < count && report.problems.length < stopAfter; round++) {
    if (performance.now() - begun > milliseconds) break;
    await fuzzer.play(round);
    if (report.heap[0] === 0 && report.requests > count / 5) report.heap[0] = heap();
    if (report.requests - told < 5_000) continue;
    told = report.requests;
    tell(report);
  }
  report.heap[1] = heap();
  return report;
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      count: { type: "string", default: "200000" },
      seed: { type: "string", default: "1" },
      stop: { type: "string", default: "20" },
      older: { type: "boolean", default: false },
      on: { type: "string" },
      only: { type: "string" },
    },
  });
  const on = values.on as DatabaseServer | undefined;
  const database = on && (await scratchDatabase(on));
  const changes = values.older ? OLDER : EVERYTHING;
  const server = await StoryServer.start(on && database ? inServer(on, database.name, changes) : changes, "error");
  const begun = performance.now();
  const options = {
    seed: Number(values.seed),
    count: Number(values.count),
    stopAfter: Number(values.stop),
    only: values.only,
  };
  let shown = 0;
  const showProblems = ({ problems }: Report): void => {
    for (const p of problems.slice(shown)) console.log(`round ${p.round}: ${p.what}\n  ${p.sent}\n`);
    shown = problems.length;
  };
  const report = await fuzz(server, options, (so_far) => {
    showProblems(so_far);
    console.log(`${so_far.requests} requests, ${((performance.now() - begun) / 1000).toFixed(0)} s`);
  });
  showProblems(report);
  const { problems, answers, slow, ...figures } = report;
  console.log({
    ...figures,
    answers: Object.fromEntries([...answers].sort()),
    slow,
    seconds: (performance.now() - begun) / 1000,
  });
  await server.close();
  await database?.drop();
  console.log(`requests: ${report.requests} sent, ${problems.length} problems`);
  process.exit(problems.length > 0 ? 1 : 0);
}
