import { describe, expect, test } from "vitest";
import { QuietCollector } from "../../../core/quiet.ts";

function collector() {
  const state = { input: 0, collections: 0 };
  const quiet = new QuietCollector(
    () => state.input,
    () => void state.collections++,
  );
  const look = (bytes: number) => {
    state.input += bytes;
    quiet.look();
    return state.collections;
  };
  return look;
}

describe("QuietCollector", () => {
  test("collects once after a burst, when two looks in a row were silent", () => {
    const look = collector();
    expect(look(10_000_000)).toBe(0);
    expect(look(100)).toBe(0);
    expect(look(100)).toBe(1);
    expect(look(0)).toBe(1);
  });

  test("leaves a server alone that is never silent", () => {
    const look = collector();
    for (let i = 0; i < 100; i++) expect(look(1_000_000)).toBe(0);
  });

  test("does not collect for a trickle", () => {
    const look = collector();
    for (let i = 0; i < 100; i++) expect(look(1000)).toBe(0);
  });
});
