// Calls of a store, counted and timed.
import { expect, test } from "vitest";
import { z } from "zod";
import { Registry } from "../../../core/metrics/registry.ts";
import { defineModule } from "../../../core/module.ts";
import { timeCalls } from "../../../core/store-metrics.ts";
import { MODULES } from "../../../modules/index.ts";
import { MemoryDb } from "../../support/memory-db.ts";

class Store {
  readonly #secret = 41;
  async answer(add: number): Promise<number> {
    await Promise.resolve();
    return this.#secret + add;
  }
  async fails(): Promise<void> {
    throw new Error("no database");
  }
  uncounted(): number {
    return this.#secret;
  }
  async removeUser(): Promise<void> {}
  async removeDomain(): Promise<void> {}
  async personalData() {
    return [];
  }
}

const def = (calls: Record<string, string | readonly string[]>) =>
  defineModule({
    name: "mod_x",
    xeps: [],
    config: z.strictObject({}),
    store: () => new Store(),
    timed: { backends: ["rdbms"], in: (store) => store, calls },
  });

test("a call is counted when made and timed when done, be it that it fails", async () => {
  const registry = new Registry();
  const store = new Store();
  let clock = 0;
  timeCalls(
    def({ get_answer: "answer", get_nothing: "fails" }),
    store,
    "rdbms",
    registry,
    "localhost",
    () => (clock += 7),
  );
  expect([await store.answer(1), await store.answer(2), store.uncounted()]).toEqual([42, 43, 41]);
  await expect(store.fails()).rejects.toThrow("no database");
  const shown = registry
    .list()
    .map(({ name, labels, values }) => [name, labels["function"], values["count"] ?? values["n"]]);
  expect(shown).toEqual([
    ["mod_x_rdbms_count", "get_answer", 2],
    ["mod_x_rdbms_count", "get_nothing", 1],
    ["mod_x_rdbms_time", "get_answer", 2],
    ["mod_x_rdbms_time", "get_nothing", 1],
  ]);
  expect(registry.list().find(({ name }) => name === "mod_x_rdbms_time")?.values["max"]).toBe(7);
  expect(registry.list()[0].labels).toEqual({ function: "get_answer", host_type: "localhost" });
});

test("a method that is not there is told when the feature starts", () => {
  const start = () => timeCalls(def({ get_answer: "anwser" }), new Store(), "rdbms", new Registry(), "localhost");
  expect(start).toThrow("The store of mod_x has no method anwser");
});

test("several methods may be one call, and a method may be that of a field", () => {
  const registry = new Registry();
  const store = Object.assign(new Store(), { inner: { version: () => "v1" } });
  timeCalls(def({ get: ["answer", "uncounted"], read_version: "inner.version" }), store, "rdbms", registry, "h");
  expect([store.uncounted(), store.inner.version()]).toEqual([41, "v1"]);
  expect(registry.render()).toContain('mod_x_rdbms_count{function="get",host_type="h"} 1');
  expect(registry.render()).toContain('mod_x_rdbms_time_count{function="read_version",host_type="h"} 1');
});

test.each(MODULES.filter(({ timed }) => timed !== undefined))("$name names methods that its store has", (module) => {
  const registry = new Registry();
  timeCalls(module, module.store?.(new MemoryDb()), "rdbms", registry, "h");
  for (const call of Object.keys(module.timed!.calls)) {
    expect(registry.render()).toContain(`${module.timed?.as ?? module.name}_rdbms_count{function="${call}"`);
  }
});
