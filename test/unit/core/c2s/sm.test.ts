// XEP-0198 §4: counters modulo 2^32, and what is kept until the client has acknowledged it.

import { describe, expect, test } from "vitest";
import { StreamManagement } from "../../../../core/c2s/sm.ts";

const LAST = 2 ** 32 - 1;

function sent(n: number, max = Number.POSITIVE_INFINITY): StreamManagement {
  const sm = new StreamManagement(max, 1, 600);
  for (let k = 1; k <= n; k++) sm.push(String(k), k, false);
  return sm;
}
const waiting = (sm: StreamManagement): string[] => sm.unacked().map((u) => u.bytes);

describe("acknowledging", () => {
  test("takes the oldest stanzas out", () => {
    const sm = sent(5);
    expect([sm.ack(2), waiting(sm), sm.waiting]).toEqual([true, ["3", "4", "5"], 3]);
  });

  test("the same again changes nothing", () => {
    const sm = sent(5);
    sm.ack(2);
    expect([sm.ack(2), sm.waiting]).toEqual([true, 3]);
  });

  test("everything leaves nothing", () => {
    const sm = sent(5);
    expect([sm.ack(5), sm.waiting, waiting(sm)]).toEqual([true, 0, []]);
  });

  test("more than was sent is refused and takes nothing out", () => {
    const sm = sent(2);
    expect([sm.ack(3), sm.waiting, sm.acked]).toEqual([false, 2, 0]);
  });

  test("less than before is refused: it would be 2^32 more", () => {
    const sm = sent(5);
    sm.ack(3);
    expect([sm.ack(2), sm.waiting]).toEqual([false, 2]);
  });

  test("before anything was sent is only right with 0", () => {
    const sm = sent(0);
    expect([sm.ack(0), sm.ack(1)]).toEqual([true, false]);
  });

  test("goes on over thousands of stanzas in order", () => {
    const sm = sent(0);
    for (let k = 1; k <= 3000; k++) {
      sm.push(String(k), k, false);
      if (k % 3 === 0) expect(sm.ack(k - 1)).toBe(true);
    }
    expect(waiting(sm)).toEqual(["3000"]);
  });
});

describe("copies", () => {
  const MB = "x".repeat(1_000_000);
  const resumable = (): StreamManagement => {
    const sm = sent(1);
    sm.id = "id";
    return sm;
  };

  test("are kept for resumption while they are not too much", () => {
    const sm = resumable();
    for (let k = 0; k < 40; k++) {
      sm.push(MB, k, true);
      if (k % 10 === 9) sm.ack(k);
    }
    expect(sm.tooMuch).toBe(false);
    expect(waiting(sm)).toEqual([MB, MB]);
  });

  test("are dropped when they are, and nothing else is; their acknowledgement is counted", () => {
    const sm = resumable();
    for (let k = 0; k < 17; k++) sm.push(MB, k, true);
    expect(sm.tooMuch).toBe(true);
    expect(waiting(sm)).toEqual(["1", ...Array(17).fill("")]);
    expect([sm.ack(18), sm.waiting]).toEqual([true, 0]);
  });

  test("are not kept where the client cannot resume", () => {
    const sm = sent(1);
    sm.push(MB, 2, true);
    expect(waiting(sm)).toEqual(["1", ""]);
  });
});

describe("at 2^32", () => {
  test("what the server has sent wraps to 0, and so does what the client says", () => {
    const sm = sent(0);
    sm.sent = sm.acked = LAST - 1;
    for (const bytes of ["a", "b", "c"]) sm.push(bytes, 0, false);
    expect(sm.sent).toBe(1);
    expect([sm.ack(LAST), waiting(sm)]).toEqual([true, ["b", "c"]]);
    expect([sm.ack(0), waiting(sm)]).toEqual([true, ["c"]]);
    expect([sm.ack(2), sm.ack(1), sm.waiting]).toEqual([false, true, 0]);
  });

  test("what the client has sent wraps to 0", () => {
    const sm = sent(0);
    sm.handled = LAST;
    sm.count();
    expect(sm.handled).toBe(0);
    sm.count();
    expect(sm.handled).toBe(1);
  });
});

describe("the buffer", () => {
  test("says when it is over its bound, and takes the stanza all the same", () => {
    const sm = new StreamManagement(2, 1, 600);
    expect(["a", "b", "c"].map((b) => sm.push(b, 0, false))).toEqual([true, true, false]);
    expect(waiting(sm)).toEqual(["a", "b", "c"]);
  });

  test("has room again after an acknowledgement", () => {
    const sm = sent(2, 2);
    sm.ack(1);
    expect(sm.push("3", 0, false)).toBe(true);
  });

  test("of 0 keeps nothing and counts all the same", () => {
    const sm = sent(3, 0);
    expect([sm.waiting, sm.sent, sm.ack(2), sm.ack(4), sm.ack(3)]).toEqual([0, 3, true, false, true]);
  });

  test("remembers when a stanza was sent and whether it was a copy", () => {
    const sm = sent(0);
    sm.id = "id";
    sm.push("a", 17, true);
    expect(sm.unacked()).toEqual([{ bytes: "a", at: 17, copy: true }]);
  });

  test("is empty after clear", () => {
    const sm = sent(3);
    sm.clear();
    expect([sm.waiting, waiting(sm)]).toEqual([0, []]);
  });
});

describe("the h that is reported", () => {
  test("is the count of handled stanzas", () => {
    const sm = sent(0);
    sm.count();
    sm.count();
    expect([sm.report(), sm.asked]).toEqual([2, false]);
  });

  test("stays where it was while other connections hold stanzas in memory, and the question is remembered", () => {
    const sm = sent(0);
    sm.count();
    sm.report();
    sm.held = 1;
    sm.count();
    expect([sm.report(), sm.asked]).toEqual([1, true]);
    sm.held = 0;
    expect([sm.report(), sm.asked]).toEqual([2, false]);
  });
});
