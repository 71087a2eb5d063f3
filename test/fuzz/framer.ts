// Differential fuzzing of the framer: streams made by a grammar and damaged by chance are read whole, in pieces, and by
// saxes, which must agree. `bun test/fuzz/framer.ts --streams 100000 --seed 1`.
//
// Where the framer differs from an XML parser on purpose, the oracle (tree.ts) or `compare` below says so:
// - comments, processing instructions, document types: restricted-xml (RFC 6120 §11.1);
// - text or CDATA between stanzas: bad-format or not-well-formed (nothing says what it would mean);
// - an encoding other than UTF-8: unsupported-encoding (RFC 6120 §11.6); a byte order mark: not-well-formed;
// - white space before the XML declaration is let pass: between two streams on one connection clients send it;
// - XML 1.1 is read as 1.0 (XML 1.0, fifth edition, §2.8);
// - a reference of more than 12 bytes (leading zeros) is refused, as is an XML declaration of more than 256;
// - nothing is read after the root has ended.
// saxes reads strings: the bytes up to the first that is not UTF-8 are given to it, then something that must fail.

import { parseArgs } from "node:util";
import { NS_XML } from "../../core/ns.ts";
import { MESSAGE, type Stanza } from "../../core/stanza.ts";
import { Framer, type FrameSink, ScanPool } from "../../core/xml/framer.ts";
import { KID, type Limits } from "../../core/xml/scan.ts";
import { mutate, stream } from "./grammar.ts";
import { Random } from "./random.ts";
import { ltxTree, oracle, parseTree, qualified, show, type Tree } from "./tree.ts";
import { writeAndCompare } from "./writer.ts";

const WIDE: Limits = { size: 1 << 20, tag: 1 << 20, depth: 64, attributes: 64, elements: 1 << 20 };
/** No well-formed stream goes on like this, whatever state its reader is in, unless the stream has ended. */
const TAIL = `<\0${" ".repeat(260)}`;

/** What a framer told, in the order it was told. */
export class Recorder implements FrameSink {
  headerView: Stanza | undefined;
  readonly elements: Stanza[] = [];
  /** "" while the stream goes on, "end", or the condition it failed with. */
  outcome = "";
  what = "";
  /** Whether the framer shall wait after this header or element. */
  constructor(private readonly wait: () => boolean = () => false) {}

  header(header: Stanza): boolean {
    this.told();
    if (this.headerView) throw new Error("two headers");
    this.headerView = header;
    return !this.wait();
  }
  element(stanza: Stanza): boolean {
    this.told();
    this.elements.push(stanza);
    return !this.wait();
  }
  end(): void {
    this.told();
    this.outcome = "end";
  }
  malformed(condition: string, what: string): void {
    this.told();
    this.outcome = condition;
    this.what = what;
  }
  private told(): void {
    if (this.outcome !== "") throw new Error(`something came after ${this.outcome}`);
  }

  /** All of it as text; made late, so that a buffer which is written over shows. */
  summary(): string {
    const parts = [this.headerView ? view(this.headerView) : "no header"];
    for (const s of this.elements) parts.push(view(s));
    return [...parts, this.outcome, this.what].join("\n");
  }
}

/** Everything a view knows, offsets counted from its start. */
function view(s: Stanza): string {
  const at = (offset: number): number => (offset < 0 ? -1 : offset - s.start);
  const kids: number[] = [];
  for (let o = 0; o < s.kids.length; o += KID) {
    const nsS = s.kids[o + 4];
    kids.push(at(s.kids[o]), at(s.kids[o + 1]), at(s.kids[o + 2]), at(s.kids[o + 3]));
    kids.push(nsS < 0 ? nsS : at(nsS), nsS < 0 ? 0 : at(s.kids[o + 5]));
  }
  const of = (start: number, end: number): string => (start < 0 ? "-" : `${at(start)}+${end - start}`);
  return [
    s.text,
    s.kind,
    s.nsS < 0 ? s.nsS : of(s.nsS, s.nsE),
    s.selfClosed,
    at(s.tagE),
    at(s.closeS),
    at(s.nameS),
    at(s.nameE),
    of(s.toS, s.toE),
    at(s.toA),
    of(s.fromS, s.fromE),
    at(s.fromA),
    of(s.idS, s.idE),
    of(s.typeS, s.typeE),
    of(s.langS, s.langE),
    kids.join(),
  ].join("|");
}

const pool = new ScanPool();

/** Reads `bytes` in pieces that end at `cuts` (ascending). Every piece has memory of its own, spoilt after the run. */
export function read(bytes: Buffer, cuts: readonly number[], limits: Limits = WIDE, wait?: () => boolean): Recorder {
  const recorder = new Recorder(wait);
  const framer = new Framer(recorder, pool, limits);
  let from = 0;
  for (const cut of [...cuts, bytes.length]) {
    if (cut <= from && bytes.length > 0) continue;
    framer.feed(cuts.length === 0 ? bytes : Buffer.from(bytes.subarray(from, cut)));
    from = cut;
    if (wait?.()) framer.resume();
  }
  if (wait !== undefined) for (let k = 0; k < 1000 && recorder.outcome === ""; k++) framer.resume();
  return recorder;
}

const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** The text of the longest beginning that is UTF-8. */
function validText(bytes: Buffer): string {
  try {
    return strict.decode(bytes);
  } catch {
    let good = 0;
    let bad = bytes.length;
    while (bad - good > 1) {
      const middle = (good + bad) >> 1;
      try {
        new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes.subarray(0, middle), { stream: true });
        good = middle;
      } catch {
        bad = middle;
      }
    }
    return new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes.subarray(0, good), { stream: true });
  }
}

const LONG_REFERENCE = /&[#a-zA-Z0-9]{11}/;
const DECLARED = /xmlns[^=<]{0,20}=[ \t\r\n]*("[^"]*"|'[^']*')/g;

const BLANK_ENDS = /^(?:\s|&#(?:9|10|13|32|x9|xa|xd|x20);)|(?:\s|&#(?:9|10|13|32|x9|xa|xd|x20);)$/i;

/** saxes takes white space (and more) from both ends of a namespace, which makes other ones of some. */
function oracleTrims(text: string): boolean {
  for (const [, quoted] of text.matchAll(DECLARED)) if (BLANK_ENDS.test(quoted.slice(1, -1))) return true;
  return false;
}

/** How whole reading differs from the oracle, or undefined. */
export function compare(bytes: Buffer, mine: Recorder, deep: (n: number) => boolean): string | undefined {
  const text = validText(bytes);
  if (oracleTrims(text)) return undefined;
  const start = text.replace(/^[ \t\r\n]+/, "");
  const skipped = text.length - start.length;
  const want = oracle((start.startsWith("\ufeff") ? `\0${start}` : start) + TAIL);
  const accepts = mine.outcome === "end";
  if (mine.outcome === "") return "the framer took what no stream goes on with";
  if (LONG_REFERENCE.test(text) && !accepts) return undefined;
  if (accepts !== (want.outcome === "end")) return `framer: ${mine.outcome} (${mine.what}), oracle: ${want.outcome}`;
  if ((mine.headerView === undefined) !== (want.header === undefined)) return "only one of them had a header";
  if (mine.elements.length !== want.elements.length) {
    return `framer: ${mine.elements.length} elements, ${mine.outcome} (${mine.what}); oracle: ${want.elements.length}, ${want.outcome}`;
  }
  const unbound = want.errors.some((e) => /unbound namespace|tags may not have "xmlns"/.test(e));
  if (mine.outcome === "bad-namespace-prefix" && !unbound) return `bad-namespace-prefix, oracle: ${want.outcome}`;
  if (mine.outcome === "policy-violation") return `policy-violation: ${mine.what}`;
  if (mine.headerView && mine.headerView.name !== local(want.header!)) return "the header's name";
  if (mine.headerView && qualified(mine.headerView.ns, mine.headerView.name) !== want.header!.name) return "the header";
  for (let k = 0; k < mine.elements.length; k++) {
    const { tree, start, end } = want.elements[k];
    const problem = compareElement(mine.elements[k], tree, text.slice(start + skipped, end + skipped), deep);
    if (problem) return `element ${k}: ${problem}: ${mine.elements[k].text}`;
  }
  return undefined;
}

const local = (tree: Tree): string => tree.name.slice(tree.name.lastIndexOf("}") + 1);

/** How a view differs from the oracle's tree. `given` is the element's text in the stream. */
function compareElement(s: Stanza, tree: Tree, given: string, deep: (n: number) => boolean): string | undefined {
  const { text } = s;
  const wanted = show(tree);
  // What is passed on byte by byte means what it meant; what was rewritten is read again.
  if (text !== given && show(parseTree(text)) !== wanted) return `rewritten to something else (${given})`;
  if (qualified(s.ns, s.name) !== tree.name) return `the name is {${s.ns}}${s.name}`;
  if (!s.is(local(tree), s.ns) || s.is(local(tree), `${s.ns}x`)) return "is()";
  const attr = (name: string): string => flat(tree.attrs.get(name) ?? "");
  const type = attr("{}type");
  const known = s.kind !== MESSAGE || ["", "normal", "chat", "groupchat", "headline", "error"].includes(type);
  if (flat(s.type) !== (known ? type : "normal")) return "type";
  if (flat(s.id ?? "") !== attr("{}id")) return "id";
  if (flat(s.toText ?? "") !== attr("{}to")) return "to";
  if (flat(s.fromText ?? "") !== attr("{}from")) return "from";
  if (flat(s.lang ?? "") !== attr("{http://www.w3.org/XML/1998/namespace}lang")) return "xml:lang";
  for (const [name, value] of tree.attrs) {
    if (name.lastIndexOf("}") === 1 && flat(s.attr(name.slice(2)) ?? "?") !== flat(value)) return `attr(${name})`;
  }
  const kids = tree.children.filter((c): c is Tree => typeof c !== "string");
  if (s.childCount !== kids.length) return `${s.childCount} children`;
  for (let k = 0; k < kids.length; k++) {
    const { name } = kids[k];
    if (qualified(s.kidNs(k), s.kidName(k)) !== name) return `child ${k} is {${s.kidNs(k)}}${s.kidName(k)}`;
    const first = kids.findIndex((c) => c.name === name);
    if (s.find(s.kidName(k), s.kidNs(k)) !== first) return `find child ${k}`;
    if (text !== given || text.includes(":") || deep(16)) {
      if (show(parseTree(s.kidXml(k).text, s.inNs(NS_XML) ? "" : s.ns)) !== show(kids[k])) return `child ${k} alone`;
    }
  }
  if (s.has("nothing", "urn:x")) return "has()";
  // ltx drops attributes of this name; no standard has one.
  if (deep(4) && !text.includes("__proto__") && !text.includes("\u1680")) {
    const scope = new Map([...s.scope.prefixes, ["", s.scope.defaultNs] as const]);
    if (show(ltxTree(s.element, scope)) !== wanted) return "element (ltx)";
  }
  return undefined;
}

const flat = (value: string): string => value.replace(/[ \t\r\n]+/g, " ");

/** With narrow limits too, pieces must not change what is let through; only which of two faults is seen first. */
function compareLimited(r: Random, bytes: Buffer, cuts: readonly number[]): string | undefined {
  const limits: Limits = {
    size: 20 + r.below(400),
    tag: 20 + r.below(200),
    depth: 1 + r.below(4),
    attributes: r.below(5),
    elements: 1 + r.below(6),
  };
  const whole = read(bytes, [], limits);
  for (const at of [cuts, [...bytes.keys()].slice(1)]) {
    const pieces = read(bytes, at, limits);
    const same =
      pieces.elements.map((s) => s.text).join() === whole.elements.map((s) => s.text).join() &&
      (pieces.outcome === whole.outcome ||
        (pieces.outcome !== "end" && whole.outcome !== "end" && [pieces.outcome, whole.outcome].includes(VIOLATION)));
    if (!same) return `with ${JSON.stringify(limits)} at ${at}:\n${pieces.summary()}\nwhole:\n${whole.summary()}`;
  }
  return undefined;
}

const VIOLATION = "policy-violation";

export interface Report {
  streams: number;
  ended: number;
  refused: Map<string, number>;
  elements: number;
  rewritten: number;
  written: number;
  /** What went wrong, with the seed of the stream that shows it. */
  problems: { seed: number; problem: string; stream: string }[];
}

/** One stream from one seed: a problem, or undefined. */
export function one(seed: number, report: Report): string | undefined {
  const r = new Random(seed);
  let bytes: Buffer = Buffer.from(stream(r));
  for (let k = r.pick([0, 1, 1, 1, 2, 3]); k > 0; k--) bytes = mutate(r, bytes);
  report.streams++;
  const tailed = Buffer.concat([bytes, Buffer.from(TAIL)]);
  const whole = read(tailed, []);
  report.refused.set(whole.outcome, (report.refused.get(whole.outcome) ?? 0) + 1);
  if (whole.outcome === "end") report.ended++;
  report.elements += whole.elements.length;
  const problem = compare(bytes, whole, (n) => r.once(n));
  if (problem) return problem;
  const summary = whole.summary();
  // In a few pieces, the sink saying "wait" now and then.
  const cuts = Array.from({ length: 1 + r.below(4) }, () => r.below(tailed.length)).sort((a, b) => a - b);
  const pieces = read(tailed, cuts, WIDE, () => r.once(3));
  if (pieces.summary() !== summary) return `in pieces at ${cuts}:\n${pieces.summary()}\nwhole:\n${summary}`;
  if (r.once(8)) {
    const bytewise = read(tailed, [...tailed.keys()].slice(1));
    if (bytewise.summary() !== summary) return `byte by byte:\n${bytewise.summary()}\nwhole:\n${summary}`;
  }
  if (r.once(8)) {
    const wrong = compareLimited(r, tailed, cuts);
    if (wrong) return wrong;
  }
  for (const s of whole.elements) {
    if (s.raw !== tailed) report.rewritten++;
    if (!r.once(4) || oracleTrims(s.text)) continue;
    report.written++;
    const wrong = writeAndCompare(r, s);
    if (wrong) return `written: ${wrong}`;
  }
  return undefined;
}

/** Runs seeds `seed` to `seed + streams - 1`; stops after `stopAfter` problems. */
export function fuzz(streams: number, seed: number, stopAfter = 10): Report {
  const report: Report = {
    streams: 0,
    ended: 0,
    refused: new Map(),
    elements: 0,
    rewritten: 0,
    written: 0,
    problems: [],
  };
  for (let k = 0; k < streams && report.problems.length < stopAfter; k++) {
    let problem: string | undefined;
    try {
      problem = one(seed + k, report);
    } catch (error) {
      problem = error instanceof Error ? (error.stack ?? error.message) : String(error);
    }
    if (problem !== undefined) report.problems.push({ seed: seed + k, problem, stream: streamOf(seed + k) });
  }
  return report;
}

/** The stream of a seed, as text to read. */
export function streamOf(seed: number): string {
  const r = new Random(seed);
  let bytes: Buffer = Buffer.from(stream(r));
  for (let k = r.pick([0, 1, 1, 1, 2, 3]); k > 0; k--) bytes = mutate(r, bytes);
  return JSON.stringify(bytes.toString("latin1"));
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: { streams: { type: "string", default: "100000" }, seed: { type: "string", default: "1" } },
  });
  const started = performance.now();
  const report = fuzz(Number(values.streams), Number(values.seed));
  for (const p of report.problems) console.log(`seed ${p.seed}: ${p.problem}\n  ${p.stream}\n`);
  const { problems, refused, ...counts } = report;
  console.log({ ...counts, refused: Object.fromEntries(refused), seconds: (performance.now() - started) / 1000 });
  process.exit(problems.length > 0 ? 1 : 0);
}
