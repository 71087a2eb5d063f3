import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Arrivals } from "../../../../core/c2s/arrivals.ts";
import { Outbox } from "../../../../core/c2s/outbox.ts";
import { parseJid } from "../../../../core/jid.ts";
import type { MaybePromise } from "../../../../core/module.ts";
import type { Stanza } from "../../../../core/stanza.ts";
import { viewText } from "../../../../core/xml/framer.ts";

const message = (id: string, commit?: Promise<unknown>, to = "juliet@example.org"): Stanza => {
  const s = viewText(`<message id='${id}'/>`);
  s.to = parseJid(to);
  if (commit !== undefined) s.wait(commit);
  return s;
};
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

function setUp(slow?: (id: string, s: Stanza) => MaybePromise<void>, arrivals = new Arrivals(), seen: string[] = []) {
  const outbox: Outbox = new Outbox({
    arrivals,
    deliver: (s) => {
      seen.push(s.id ?? "");
      return slow?.(s.id ?? "", s);
    },
    refuse: (s, error) => void seen.push(`${s.id}: ${(error as { condition?: string }).condition ?? String(error)}`),
    handled: (n) => void seen.push(`+${n}`),
    answer: () => void seen.push("answer"),
  });
  const send = (s: Stanza): void => {
    outbox.put(s, undefined);
    outbox.count(s);
  };
  return { outbox, seen, send };
}

describe("Outbox", () => {
  test("delivers after the write, in order, whichever write is done first", async () => {
    const { outbox, seen, send } = setUp();
    const first = Promise.withResolvers<void>();
    const second = Promise.withResolvers<void>();
    send(message("1", first.promise));
    send(message("2", second.promise));
    send(message("3"));
    second.resolve();
    await turn();
    expect(seen).toEqual([]);
    first.resolve();
    await outbox.drained;
    expect(seen).toEqual(["1", "+1", "2", "+1", "3", "+1"]);
    expect(outbox.busy).toBe(false);
  });

  test("what waits has passed when it has left, whatever has come behind it", async () => {
    const { outbox, seen, send } = setUp();
    expect(outbox.passed).toBeUndefined();
    const writes = ["1", "2"].map((id) => {
      const write = Promise.withResolvers<void>();
      send(message(id, write.promise));
      return { passed: outbox.passed?.then(() => seen.push(`${id} has passed`)), done: write.resolve };
    });
    const [one, two] = writes;
    one.done();
    await one.passed;
    expect(seen).toEqual(["1", "+1", "1 has passed"]);
    two.done();
    await Promise.all([two.passed, outbox.drained]);
    expect(seen.slice(3)).toEqual(["2", "+1", "2 has passed"]);
    expect(outbox.passed).toBeUndefined();
  });

  test("a failed write is told for every message that waited for it, and for no other", async () => {
    const { outbox, seen, send } = setUp();
    const bad = Promise.reject(new Error("disk"));
    send(message("1", bad));
    send(message("2", bad));
    send(message("3"));
    send(message("4", Promise.resolve()));
    await outbox.drained;
    expect(seen).toEqual(["1: internal-server-error", "+1", "2: internal-server-error", "+1", "3", "+1", "4", "+1"]);
  });

  test("an acknowledgement that was asked for comes when what came before is handled", async () => {
    const { outbox, seen, send } = setUp();
    const writes = [0, 1, 2].map(() => Promise.withResolvers<void>());
    send(message("1", writes[0].promise));
    expect(outbox.ask()).toBe(true);
    send(message("2", writes[1].promise));
    expect(outbox.ask()).toBe(true);
    send(message("3", writes[2].promise));
    writes[0].resolve();
    await turn();
    expect(seen).toEqual(["1", "+1", "answer"]);
    writes[1].resolve();
    await turn();
    expect(seen.slice(3)).toEqual(["2", "+1", "answer"]);
    writes[2].resolve();
    await outbox.drained;
    expect(seen.slice(6)).toEqual(["3", "+1"]);
    expect(outbox.ask()).toBe(false);
  });

  test("what was dropped on its way counts after its write and after what came before", async () => {
    const { outbox, seen, send } = setUp();
    const write = Promise.withResolvers<void>();
    send(message("1", write.promise));
    outbox.count(message("dropped"));
    outbox.count(message("dropped too", write.promise));
    await turn();
    expect(seen).toEqual([]);
    write.resolve();
    await outbox.drained;
    expect(seen).toEqual(["1", "+2", "+1"]);
    outbox.count(message("4"));
    expect(seen.at(-1)).toBe("+1");
  });

  test("a delivery that takes its time keeps the next one waiting; one that fails is told", async () => {
    const gate = Promise.withResolvers<void>();
    const { outbox, seen, send } = setUp((id) => {
      if (id === "1") return gate.promise;
      if (id === "2") throw new Error("no");
      if (id === "3") return Promise.reject(new Error("nor here"));
    });
    for (const id of ["1", "2", "3", "4"]) send(message(id, Promise.resolve()));
    await turn();
    expect(seen).toEqual(["1"]);
    gate.resolve();
    await outbox.drained;
    expect(seen).toEqual(["1", "+1", "2", "2: Error: no", "+1", "3", "3: Error: nor here", "+1", "4", "+1"]);
  });

  test("says when it is full, and keeps its order through many", async () => {
    const { outbox, seen, send } = setUp();
    const writes = Array.from({ length: 7 }, () => Promise.withResolvers<void>());
    for (let i = 0; i < 2000; i++) send(message(String(i), writes[Math.floor(i / 300)].promise));
    expect(outbox.full).toBe(true);
    expect(seen).toEqual([]);
    for (const { resolve } of writes.reverse()) resolve();
    await outbox.drained;
    expect(seen.filter((x) => x !== "+1")).toEqual(Array.from({ length: 2000 }, (_, i) => String(i)));
    expect(seen.length).toBe(4000);
    expect(outbox.full).toBe(false);
  });

  test("answers who asked while something waited that is not counted in the end", async () => {
    const { outbox, seen } = setUp();
    const write = Promise.withResolvers<void>();
    outbox.put(message("a copy", write.promise), undefined);
    expect(outbox.ask()).toBe(true);
    write.resolve();
    await outbox.drained;
    expect(seen).toEqual(["a copy", "answer"]);
  });

  test("is full of few that are large", async () => {
    const { outbox, send } = setUp();
    const write = Promise.withResolvers<void>();
    const large = (): Stanza => {
      const s = viewText(`<message>${"x".repeat(60_000)}</message>`);
      s.to = parseJid("juliet@example.org");
      s.wait(write.promise);
      return s;
    };
    for (let i = 0; i < 17; i++) send(large());
    expect(outbox.full).toBe(false);
    send(large());
    expect(outbox.full).toBe(true);
    write.resolve();
    await outbox.drained;
    expect(outbox.full).toBe(false);
  });
});

describe("what lags: it has left, and is still being stored", () => {
  /** What `put` sends lags, once it has left, until its `end`. */
  function lagging() {
    const ends = new Map<string, PromiseWithResolvers<void>>();
    const all = setUp((id, s) => {
      s.lag = ends.get(id)?.promise;
    });
    const put = (id: string, commit?: Promise<unknown>): void => {
      ends.set(id, Promise.withResolvers<void>());
      all.send(message(id, commit));
    };
    return { ...all, put, end: (id: string) => ends.get(id)! };
  }

  test("what comes next goes on at once; both are handled in their order, whichever is stored first", async () => {
    const { outbox, seen, put, end } = lagging();
    for (const id of ["1", "2", "3"]) put(id);
    expect(seen).toEqual(["1", "2", "3"]);
    end("2").resolve();
    await turn();
    expect(seen.length).toBe(3);
    end("1").resolve();
    await turn();
    expect(seen.slice(3)).toEqual(["+1", "+1"]);
    expect(outbox.busy).toBe(true);
    end("3").resolve();
    await outbox.drained;
    expect(seen.slice(5)).toEqual(["+1"]);
    expect(outbox.busy).toBe(false);
  });

  test("it has not passed before, nor is its acknowledgement given", async () => {
    const { outbox, seen, put, end } = lagging();
    put("1");
    expect(outbox.ask()).toBe(true);
    const passed = outbox.passed?.then(() => seen.push("1 has passed"));
    put("2");
    await turn();
    expect(seen).toEqual(["1", "2"]);
    end("1").resolve();
    await passed;
    expect(seen.slice(2)).toEqual(["+1", "answer", "1 has passed"]);
    end("2").resolve();
    await outbox.drained;
  });

  test("one that no outbox has seen is handled when it is stored", async () => {
    const { outbox, seen } = setUp();
    const end = Promise.withResolvers<void>();
    const s = message("direct");
    s.lag = end.promise;
    outbox.count(s);
    expect(outbox.busy).toBe(true);
    outbox.put(message("2"), undefined);
    expect(seen).toEqual(["2"]);
    end.resolve();
    await outbox.drained;
    expect(seen).toEqual(["2", "+1"]);
  });

  test("no more than so many lag", async () => {
    const { outbox, put, end } = lagging();
    for (let n = 0; n < 512; n++) put(`${n}`);
    expect(outbox.full).toBe(false);
    put("512");
    expect(outbox.full).toBe(true);
    for (let n = 0; n < 512; n++) end(`${n}`).resolve();
    await turn();
    expect(outbox.full).toBe(false);
    expect(outbox.busy).toBe(true);
    end("512").resolve();
    await outbox.drained;
    expect(outbox.busy).toBe(false);
  });

  test("whatever is done when: all leave in their order, and each is handled once, after those before it", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.boolean(), fc.boolean()), { minLength: 1, maxLength: 90 }),
        fc.array(fc.nat(200), { maxLength: 60 }),
        async (sent, order) => {
          const { outbox, seen, put, end, send } = lagging();
          const left = () => seen.filter((what) => /^\d/.test(what));
          const events: (() => void)[] = [];
          const ended = new Set<number>();
          for (const [n, [waits, lags]] of sent.entries()) {
            const commit = waits ? Promise.withResolvers<void>() : undefined;
            if (commit !== undefined) events.push(commit.resolve);
            if (lags) {
              put(`${n}`, commit?.promise);
              events.push(() => {
                ended.add(n);
                end(`${n}`).resolve();
              });
            } else {
              ended.add(n);
              send(message(`${n}`, commit?.promise));
            }
          }
          for (const event of [...order.map((n) => events[n]), ...events]) {
            event?.();
            await turn();
            const handled = seen.filter((what) => what === "+1").length;
            const gone = left().length;
            const held = sent.findIndex((_, n) => n >= gone || !ended.has(n));
            expect(handled).toBe(held < 0 ? sent.length : held);
          }
          expect(left()).toEqual(sent.map((_, n) => `${n}`));
          expect(outbox.busy).toBe(false);
        },
      ),
    );
  });
});

describe("the outboxes of several sessions", () => {
  /** Sessions; what is delivered, and refused, in order. */
  function sessions(slow?: (id: string) => MaybePromise<void>) {
    const seen: string[] = [];
    const arrivals = new Arrivals();
    const session = () => {
      const { outbox } = setUp(slow, arrivals, seen);
      return (s: Stanza) => outbox.put(s, undefined);
    };
    return { seen, arrivals, a: session(), b: session(), c: session() };
  }
  const write = () => Promise.withResolvers<void>();

  test("what one write makes durable goes on in the order in which it came", async () => {
    const { seen, arrivals, a, b, c } = sessions();
    const { promise, resolve } = write();
    const all = Array.from({ length: 300 }, (_, n) => `${n}`);
    for (const [n, id] of all.entries()) [a, b, c, a, c][n % 5](message(id, promise));
    resolve();
    await turn();
    expect(seen).toEqual(all);
    expect(arrivals.last.size).toBe(0);
  });

  test("one whose write is late holds up what came after it for the same account, and nothing else", async () => {
    const { seen, arrivals, a, b, c } = sessions();
    const [late, soon] = [write(), write()];
    a(message("a1", late.promise));
    b(message("b1", soon.promise));
    c(message("c1", soon.promise, "nurse@example.org"));
    soon.resolve();
    await turn();
    expect(seen).toEqual(["c1"]);
    late.resolve();
    await turn();
    expect(seen).toEqual(["c1", "a1", "b1"]);
    expect(arrivals.last.size).toBe(0);
  });

  test("one that waits behind the late write of another of its session holds up others as well", async () => {
    const { seen, a, b } = sessions();
    const [late, soon] = [write(), write()];
    a(message("a1", late.promise, "nurse@example.org"));
    a(message("a2", soon.promise));
    b(message("b1", soon.promise));
    soon.resolve();
    await turn();
    expect(seen).toEqual([]);
    late.resolve();
    await turn();
    expect(seen).toEqual(["a1", "a2", "b1"]);
  });

  test("one that no session has sent takes its turn among them", async () => {
    const { seen, arrivals, a, b } = sessions();
    const [late, soon, bad] = [write(), write(), write()];
    const passes = (id: string, { promise }: ReturnType<typeof write>) =>
      arrivals.pass("juliet@example.org", promise, (lost) => void seen.push(lost ? `${id} is lost` : id));
    a(message("a1", late.promise));
    void passes("x1", soon);
    b(message("b1", soon.promise));
    void passes("x2", bad);
    b(message("b2", soon.promise));
    soon.resolve();
    bad.reject(new Error("disk"));
    await turn();
    expect(seen).toEqual([]);
    late.resolve();
    await turn();
    expect(seen).toEqual(["a1", "x1", "b1", "x2 is lost", "b2"]);
    expect(arrivals.last.size).toBe(0);
  });

  test("one whose write fails holds up nobody", async () => {
    const { seen, a, b } = sessions();
    const [bad, good] = [write(), write()];
    a(message("a1", bad.promise));
    b(message("b1", good.promise));
    good.resolve();
    bad.reject(new Error("disk"));
    await turn();
    expect(seen).toEqual(["a1: internal-server-error", "b1"]);
  });

  test("who is held up by a slow reader does not hold up what others send to somebody", async () => {
    const { seen, a, b } = sessions((id) => (id === "a1" ? new Promise(() => undefined) : undefined));
    a(message("a1", Promise.resolve(), "slow@example.org"));
    a(message("a2", Promise.resolve()));
    b(message("b1", Promise.resolve()));
    await turn();
    expect(seen).toEqual(["a1", "b1"]);
  });

  test("whatever writes are done when: each account gets its messages in the order in which they came", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.nat(3), fc.nat(2), fc.nat(5)), { maxLength: 60 }),
        fc.array(fc.nat(5), { maxLength: 12 }),
        async (sent, order) => {
          const seen: string[] = [];
          const arrivals = new Arrivals();
          const outboxes = Array.from({ length: 4 }, () => setUp(undefined, arrivals, seen).outbox);
          const writes = Array.from({ length: 6 }, write);
          for (const [n, [session, account, commit]] of sent.entries())
            outboxes[session].put(message(`${account} ${n}`, writes[commit].promise, `u${account}@x`), undefined);
          for (const n of order) {
            writes[n].resolve();
            if (n % 2 === 0) await turn();
          }
          for (const { resolve } of writes) resolve();
          await turn();
          expect(seen.length).toBe(sent.length);
          for (const account of ["0", "1", "2"]) {
            const ids = seen.filter((id) => id.startsWith(account)).map((id) => Number(id.slice(2)));
            expect(ids).toEqual(ids.toSorted((x, y) => x - y));
          }
          expect(arrivals.last.size).toBe(0);
        },
      ),
    );
  });
});
