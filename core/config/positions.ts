// Where each key of a TOML document stands: smol-toml gives values without positions.
//
// A small scanner over a document that smol-toml has accepted, so it need not recognise errors, only never loop or
// throw. It knows comments, the four kinds of strings, table and array-of-tables headers, dotted and quoted keys,
// inline tables and arrays over several lines.

export type Path = readonly (string | number)[];

/** A path in the notation of problem lines: `listen.c2s[0].port`, keys that are no bare keys in quotes. */
export function keyOf(path: Path): string {
  let key = "";
  for (const part of path) {
    if (typeof part === "number") key += `[${part}]`;
    else key += (key && ".") + (/^[A-Za-z0-9_-]+$/.test(part) ? part : JSON.stringify(part));
  }
  return key;
}

/** The lines of the keys of a document, counted from 1. */
export class Positions {
  /** The line of each key that is in the document, under its name as `keyOf` gives it. */
  readonly keys: ReadonlyMap<string, number>;

  /** @param text a document that is valid TOML. */
  constructor(text: string) {
    this.keys = new Scanner(text).scan();
  }

  /** The line of a key or a list entry; of what holds it when it is not in the document itself. */
  lineOf(path: Path): number {
    for (let length = path.length; length > 0; length--) {
      const line = this.keys.get(keyOf(path.slice(0, length)));
      if (line !== undefined) return line;
    }
    return 1;
  }
}

type MutablePath = (string | number)[];

class Scanner {
  readonly #text: string;
  readonly #lines = new Map<string, number>();
  /** How many tables each array of tables has so far, by the array's key. */
  readonly #tables = new Map<string, number>();
  #at = 0;
  #line = 1;

  constructor(text: string) {
    this.#text = text;
  }

  scan(): Map<string, number> {
    let table: MutablePath = [];
    for (;;) {
      this.#blank();
      if (this.#at >= this.#text.length) return this.#lines;
      if (this.#peek() === "[") table = this.#header();
      else this.#pair(table);
    }
  }

  #header(): MutablePath {
    const array = this.#text.startsWith("[[", this.#at);
    this.#skip(array ? 2 : 1);
    const keys = this.#keys("]");
    this.#skip(array ? 2 : 1);
    const path: MutablePath = [];
    for (const [i, key] of keys.entries()) {
      path.push(key);
      const name = keyOf(path);
      const count = this.#tables.get(name) ?? 0;
      if (array && i === keys.length - 1) {
        this.#tables.set(name, count + 1);
        this.#record(path);
        path.push(count);
      } else if (count > 0) {
        path.push(count - 1);
      }
      this.#record(path);
    }
    return path;
  }

  #pair(table: MutablePath): void {
    const path = [...table];
    for (const key of this.#keys("=")) {
      path.push(key);
      this.#record(path);
    }
    this.#skip(1);
    this.#value(path);
  }

  /** The parts of a dotted key, up to the character that ends it. */
  #keys(end: string): string[] {
    const keys: string[] = [];
    while (this.#at < this.#text.length) {
      this.#blank();
      const c = this.#peek();
      if (c === end || c === "") break;
      if (c === ".") this.#skip(1);
      else if (c === '"' || c === "'") keys.push(this.#string());
      else keys.push(this.#bare());
    }
    return keys;
  }

  #bare(): string {
    const found = /[A-Za-z0-9_-]+/y;
    found.lastIndex = this.#at;
    const key = found.exec(this.#text)?.[0] ?? this.#text[this.#at];
    this.#skip(key.length);
    return key;
  }

  #value(path: MutablePath): void {
    this.#blank();
    const c = this.#peek();
    if (c === '"' || c === "'") this.#string();
    else if (c === "[") this.#array(path);
    else if (c === "{") this.#inline(path);
    else while (this.#at < this.#text.length && !/[,\]}\r\n#]/.test(this.#peek())) this.#skip(1);
  }

  #array(path: MutablePath): void {
    this.#skip(1);
    for (let index = 0; this.#at < this.#text.length; index++) {
      this.#blank();
      if (this.#peek() === "]") break;
      const entry = [...path, index];
      const start = this.#at;
      this.#record(entry);
      this.#value(entry);
      if (this.#at === start) this.#skip(1); // no TOML: never stand still
      this.#blank();
      if (this.#peek() === ",") this.#skip(1);
    }
    this.#skip(1);
  }

  #inline(path: MutablePath): void {
    this.#skip(1);
    while (this.#at < this.#text.length) {
      this.#blank();
      if (this.#peek() === "}") break;
      this.#pair(path);
      this.#blank();
      if (this.#peek() === ",") this.#skip(1);
    }
    this.#skip(1);
  }

  /** Reads a string of any kind; a key is never of the multi-line kinds, and only keys need the content. */
  #string(): string {
    const quote = this.#peek();
    const long = this.#text.startsWith(quote.repeat(3), this.#at);
    const end = long ? quote.repeat(3) : quote;
    const start = this.#at;
    this.#skip(end.length);
    while (this.#at < this.#text.length && !this.#text.startsWith(end, this.#at)) {
      this.#skip(quote === '"' && this.#peek() === "\\" ? 2 : 1);
    }
    this.#skip(end.length);
    // Up to two quotes may stand before the closing three: they belong to the text.
    while (long && this.#peek() === quote) this.#skip(1);
    const inner = this.#text.slice(start + end.length, this.#at - end.length);
    return quote === "'" || long ? inner : unescaped(inner);
  }

  #blank(): void {
    while (this.#at < this.#text.length) {
      const c = this.#peek();
      if (c === "#") while (this.#at < this.#text.length && this.#peek() !== "\n") this.#skip(1);
      else if (c === " " || c === "\t" || c === "\r" || c === "\n" || c === "\uFEFF") this.#skip(1);
      else return;
    }
  }

  #peek(): string {
    return this.#text[this.#at] ?? "";
  }

  #skip(count: number): void {
    for (const end = this.#at + count; this.#at < end; this.#at++) {
      if (this.#text[this.#at] === "\n") this.#line++;
    }
  }

  #record(path: MutablePath): void {
    const key = keyOf(path);
    if (!this.#lines.has(key)) this.#lines.set(key, this.#line);
  }
}

const ESCAPES: Record<string, string> = { b: "\b", t: "\t", n: "\n", f: "\f", r: "\r", e: "\x1b" };

function unescaped(text: string): string {
  return text.replace(
    /\\(?:u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|x([0-9A-Fa-f]{2})|(.))/g,
    (_, u4?: string, u8?: string, x2?: string, c = "") => {
      const hex = u4 ?? u8 ?? x2;
      return hex === undefined ? (ESCAPES[c] ?? c) : String.fromCodePoint(Number.parseInt(hex, 16));
    },
  );
}
