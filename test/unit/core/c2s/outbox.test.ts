import { describe, expect, test } from "vitest";
import { Outbox } from "../../../../core/c2s/outbox.ts";
import type { MaybePromise } from "../../../../core/module.ts";
import type { Stanza } from "../../../../core/stanza.ts";
import { viewText } from "../../../../core/xml/framer.ts";

const message = (id: string, commit?: Promise<unknown>): Stanza => {
  const s = viewText(`<message id='${id}'/>`);
  if (commit !== undefined) s.wait(commit);
  return s;
};
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

function setUp(slow?: (id: string) => MaybePromise<void>) {
  const seen: string[] = [];
  const outbox: Outbox = new Outbox({
    deliver: (s) => {
      seen.push(s.id ?? "");
      return slow?.(s.id ?? "");
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
