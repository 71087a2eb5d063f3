import fc from "fast-check";
import { parse } from "smol-toml";
import { describe, expect, test } from "vitest";
import { keyOf, type Path, Positions } from "../../../../core/config/positions.ts";

const lineIn = (text: string, ...path: Path) => new Positions(text).lineOf(path);

describe("Positions", () => {
  test("finds a key of a table", () => {
    expect(lineIn('# a comment\n[general]\n  hosts = ["a"]\n', "general", "hosts")).toBe(3);
  });

  test("counts the tables of an array of tables", () => {
    const text = "[[listen.c2s]]\nport = 1\n\n[[listen.c2s]]\nport = 2\n";
    expect([lineIn(text, "listen", "c2s", 0, "port"), lineIn(text, "listen", "c2s", 1, "port")]).toEqual([2, 5]);
  });

  test("puts a sub-table into the last table of its array", () => {
    const text = "[[a]]\n[[a.b]]\nx = 1\n[[a.b]]\nx = 2\n[[a]]\n[[a.b]]\nx = 3\n[a.c]\ny = 4\n";
    expect(lineIn(text, "a", 0, "b", 1, "x")).toBe(5);
    expect(lineIn(text, "a", 1, "b", 0, "x")).toBe(8);
    expect(lineIn(text, "a", 1, "c", "y")).toBe(10);
  });

  test("knows dotted and quoted keys", () => {
    expect(lineIn("\ntls . \"a b\".'c' = 1\n", "tls", "a b", "c")).toBe(2);
  });

  test("reads the escapes of a quoted key", () => {
    expect(lineIn('\n"\\u00e9\\n\\"" = 1\n', 'é\n"')).toBe(2);
  });

  test("finds the entries of a list over several lines", () => {
    const text = "ip = [ # one\n  {address = 1},\n  # two\n  {address = 2,\n   policy = 3},\n]\n";
    expect(lineIn(text, "ip", 1, "address")).toBe(4);
    expect(lineIn(text, "ip", 1, "policy")).toBe(5);
  });

  test.each([
    ['a = """\n"x" = 1 """"\nb = 2\n', 3],
    ["a = '''\n[b]\nb = 1 '''\nb = 2\n", 4],
    ['a = "\\" # no comment"\nb = 2\n', 2],
    ["a = 1979-05-27 07:32:00 # [c]\r\nb = 2\r\n", 2],
    ["a = '\\'\nb = 2\n", 2],
  ])("is not misled by the value in %j", (text, line) => {
    expect(lineIn(text, "b")).toBe(line);
  });

  test("gives the line of what holds a key that is not there", () => {
    expect(lineIn("[general]\n[[listen.c2s]]\naccess = 'c2s'\n", "listen", "c2s", 0, "port")).toBe(2);
  });

  test("gives line 1 for a key with nothing around it", () => {
    expect(lineIn("\n\n[general]\n", "modules")).toBe(1);
  });

  test("never hangs or throws on what is no TOML", () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(..."[]{}\"'=.,#\n a\\1") }), (text) => {
        expect(new Positions(text).lineOf([])).toBe(1);
      }),
      { numRuns: 2000 },
    );
  });
});

// A random document with the line of every key, written by a small renderer that counts lines as it writes.
type Value = string | number | boolean | Value[] | { [key: string]: Value };

const key = fc.oneof(
  fc.stringMatching(/^[a-z_-]{1,4}$/),
  fc.string({ unit: fc.constantFrom(..."a.\"'[]#= é\n"), maxLength: 4 }),
);
const text = fc.string({ unit: fc.constantFrom(..."a\"'#[]{}=,.\\ \né"), maxLength: 8 });
const { table } = fc.letrec<{ value: Value; table: Record<string, Value> }>((tie) => ({
  value: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    text,
    fc.integer(),
    fc.boolean(),
    fc.array(tie("value"), { maxLength: 3 }),
    tie("table"),
  ),
  table: fc.dictionary(key, tie("value"), { maxKeys: 3, noNullPrototype: true }) as fc.Arbitrary<Record<string, Value>>,
}));

class Renderer {
  text = "";
  line = 1;
  readonly lines = new Map<string, number>();
  #choice = 0;
  readonly #choices: readonly number[];

  constructor(choices: readonly number[]) {
    this.#choices = choices;
  }

  document(root: Record<string, Value>): void {
    this.#body(root, []);
  }

  #choose(n: number): number {
    return (this.#choices[this.#choice++ % this.#choices.length] ?? 0) % n;
  }

  #write(text: string): void {
    this.text += text;
    for (const c of text) if (c === "\n") this.line++;
  }

  #mark(path: Path): void {
    if (!this.lines.has(keyOf(path))) this.lines.set(keyOf(path), this.line);
  }

  /** The pairs of a table, then the tables that get a header of their own. */
  #body(table: Record<string, Value>, path: Path): void {
    const later: [string, Value][] = [];
    for (const [name, value] of Object.entries(table)) {
      const isList = Array.isArray(value) && value.length > 0 && value.every(isRecord);
      if ((isRecord(value) || isList) && this.#choose(3) > 0) later.push([name, value]);
      else this.#pair(name, value, path);
    }
    for (const [name, value] of later) {
      const own = [...path, name];
      if (Array.isArray(value)) {
        for (const [i, item] of value.entries()) {
          this.#header(own, `[[${this.#dotted(own)}]]`);
          this.#mark([...own, i]);
          this.#write("\n");
          this.#body(item as Record<string, Value>, [...own, i]);
        }
      } else {
        this.#header(own, `[${this.#dotted(own)}]`);
        this.#write("\n");
        this.#body(value as Record<string, Value>, own);
      }
    }
  }

  #header(path: Path, text: string): void {
    if (this.#choose(2)) this.#write("# [x]\n\n");
    for (let i = 1; i <= path.length; i++) this.#mark(path.slice(0, i));
    this.#write(text);
  }

  #pair(name: string, value: Value, path: Path): void {
    this.#mark([...path, name]);
    // A table may be written as dotted keys, when it has any.
    if (isRecord(value) && Object.keys(value).length > 0 && this.#choose(2)) {
      for (const [inner, leaf] of Object.entries(value)) {
        this.#mark([...path, name, inner]);
        this.#write(`${this.#key(name)} . ${this.#key(inner)} = `);
        this.#value(leaf, [...path, name, inner], true);
        this.#write("\n");
      }
      return;
    }
    this.#write(`${this.#key(name)} = `);
    this.#value(value, [...path, name], true);
    this.#write(this.#choose(2) ? " # x = [1\n" : "\n");
  }

  #value(value: Value, path: Path, multiline: boolean): void {
    if (Array.isArray(value)) {
      this.#write("[");
      for (const [i, item] of value.entries()) {
        if (multiline && this.#choose(2)) this.#write(" # ]\n");
        this.#mark([...path, i]);
        this.#value(item, [...path, i], multiline);
        this.#write(i < value.length - 1 ? ", " : "");
      }
      this.#write(multiline && this.#choose(2) ? "\n]" : "]");
    } else if (isRecord(value)) {
      this.#write("{");
      for (const [i, [name, item]] of Object.entries(value).entries()) {
        this.#write(i > 0 ? ", " : "");
        this.#mark([...path, name]);
        this.#write(`${this.#key(name)} = `);
        this.#value(item, [...path, name], multiline);
      }
      this.#write("}");
    } else if (typeof value === "string") this.#string(value);
    else this.#write(String(value));
  }

  #string(value: string): void {
    const literal = !/['\n]/.test(value);
    const style = this.#choose(3);
    if (style === 0 && literal) this.#write(`'${value}'`);
    else if (style === 1) this.#write(`"""\n${value.replaceAll("\\", "\\\\").replaceAll('""', '"\\"')}\\n"""`);
    else this.#write(JSON.stringify(value));
  }

  #dotted(path: Path): string {
    return path.flatMap((part) => (typeof part === "number" ? [] : [this.#key(part)])).join(".");
  }

  #key(name: string): string {
    return /^[a-z_-]+$/.test(name) && this.#choose(3) ? name : JSON.stringify(name);
  }
}

const isRecord = (value: Value): value is { [key: string]: Value } =>
  typeof value === "object" && !Array.isArray(value);

test("the line of every key of a random document is the one it was written on", () => {
  const choices = fc.array(fc.nat(5), { minLength: 1, maxLength: 20 });
  fc.assert(
    fc.property(table, choices, (document, picks) => {
      const out = new Renderer(picks);
      out.document(document);
      parse(out.text); // the renderer's own test: what it writes is TOML
      const positions = new Positions(out.text);
      for (const [name, line] of out.lines) expect({ name, line: positions.keys.get(name) }).toEqual({ name, line });
    }),
    { numRuns: 500 },
  );
});
