// Calls of a feature's store, counted and timed under MongooseIM's names for the functions of its back ends.

import type { Registry } from "./metrics/registry.ts";
import type { AnyModule } from "./module.ts";

const LABELS = ["function", "host_type"] as const;

/** The families of a module's back end: how often its functions were called, and how long they took. */
export function backendFamilies(registry: Registry, module: string, backend: string) {
  const name = `${module}_${backend}`;
  return {
    counts: registry.counter(`${name}_count`, `Calls of the store of ${module}`, LABELS),
    times: registry.histogram(`${name}_time`, `Microseconds of a call of the store of ${module}`, LABELS),
  };
}

/** Has the calls of the store's `measured` methods counted. They are called as before. */
export function measure(registry: Registry, def: AnyModule, store: unknown, backend: string, hostType: string): void {
  if (def.measured === undefined) return;
  const { counts, times } = backendFamilies(registry, def.name, backend);
  for (const [fn, methods] of Object.entries(def.measured)) {
    const labels = { function: fn, host_type: hostType };
    const count = counts.bind(labels);
    const time = times.bind(labels);
    for (const path of typeof methods === "string" ? [methods] : methods) {
      const [owner, method] = methodOf(store, path);
      const called = owner[method];
      owner[method] = (...args: unknown[]): unknown => {
        const from = performance.now();
        const ended = (): void => time.observe((performance.now() - from) * 1000);
        count.add();
        const result = called.apply(owner, args);
        if (result instanceof Promise) result.then(ended, ended);
        else ended();
        return result;
      };
    }
  }
}

type Methods = Record<string, (...args: unknown[]) => unknown>;

function methodOf(store: unknown, path: string): [owner: Methods, method: string] {
  const names = path.split(".");
  const method = names.pop()!;
  let owner = store as Record<string, unknown>;
  for (const name of names) owner = owner[name] as Record<string, unknown>;
  if (typeof owner[method] !== "function") throw new Error(`The store has no method "${path}" to measure`);
  return [owner as Methods, method];
}
