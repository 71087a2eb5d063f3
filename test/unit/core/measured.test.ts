import { expect, test } from "vitest";
import { z } from "zod";
import { measure } from "../../../core/measured.ts";
import { Registry } from "../../../core/metrics/registry.ts";
import { type AnyModule, defineModule, type PersonalStore } from "../../../core/module.ts";
import { MODULES } from "../../../modules/index.ts";
import { MemoryDb } from "../../support/memory-db.ts";

class Store implements PersonalStore {
  readonly inner = { version: () => "v1" };
  private readonly items = ["a"];
  async get(n: number): Promise<string> {
    return this.items[n];
  }
  async fail(): Promise<never> {
    throw new Error("no");
  }
  async removeUser(): Promise<void> {}
  async removeDomain(): Promise<void> {}
  async personalData(): Promise<[]> {
    return [];
  }
}
const withMeasured = (measured: AnyModule["measured"]): AnyModule =>
  defineModule({ name: "mod_x", xeps: [], config: z.strictObject({}), store: () => new Store(), measured });

test("calls are counted and timed, and do what they did", async () => {
  const registry = new Registry();
  const store = new Store();
  measure(registry, withMeasured({ get: ["get", "fail"], read_version: "inner.version" }), store, "rdbms", "h");
  expect(await store.get(0)).toBe("a");
  await expect(store.fail()).rejects.toThrow("no");
  expect(store.inner.version()).toBe("v1");
  const text = registry.render();
  expect(text).toContain('mod_x_rdbms_count{function="get",host_type="h"} 2');
  expect(text).toContain('mod_x_rdbms_count{function="read_version",host_type="h"} 1');
  expect(text).toContain('mod_x_rdbms_time_count{function="get",host_type="h"} 2');
});

test("a method that is not there is found out", () => {
  const wrong = withMeasured({ get: "inner.nothing" });
  expect(() => measure(new Registry(), wrong, new Store(), "rdbms", "h")).toThrow(/no method "inner.nothing"/);
});

test.each(MODULES.filter(({ measured }) => measured !== undefined))("$name names methods that its store has", (def) => {
  const registry = new Registry();
  measure(registry, def, def.store?.(new MemoryDb()), "rdbms", "h");
  const functions = Object.keys(def.measured!);
  for (const fn of functions) expect(registry.render()).toContain(`${def.name}_rdbms_count{function="${fn}"`);
});
