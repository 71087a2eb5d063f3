// Calls of a feature's store, counted and timed under MongooseIM's names: mod_privacy_rdbms_count, mod_privacy_rdbms_time,
// with the call as label "function".

import type { Registry } from "./metrics/registry.ts";
import type { AnyModule, TimedCalls } from "./module.ts";

const LABELS = ["function", "host_type"] as const;

/** The families of metrics of a feature's back end. Times are in microseconds. */
export function storeMetrics(registry: Registry, module: string, backend: string) {
  const name = `${module}_${backend}`;
  return {
    count: registry.counter(`${name}_count`, `Calls of the store of ${module}`, LABELS),
    time: registry.histogram(`${name}_time`, `How long calls of the store of ${module} took`, LABELS),
  };
}

/**
 * Has each of the calls that a feature names counted and timed.
 * @param now microseconds on a clock that only runs forward
 */
export function timeCalls(
  { name, timed }: AnyModule,
  store: unknown,
  backend: string,
  registry: Registry,
  hostType: string,
  now = () => performance.now() * 1000,
): void {
  if (timed === undefined) return;
  const families = storeMetrics(registry, timed.as ?? name, backend);
  const whole = (timed as TimedCalls<unknown>).in(store);
  for (const [call, methods] of Object.entries(timed.calls)) {
    const labels = { function: call, host_type: hostType };
    const [count, time] = [families.count.bind(labels), families.time.bind(labels)];
    for (const path of typeof methods === "string" ? [methods] : methods) {
      const [object, method] = methodAt(whole, path);
      const run: unknown = Reflect.get(object, method);
      if (typeof run !== "function") throw new TypeError(`The store of ${name} has no method ${path}`);
      const counted = (...args: unknown[]): unknown => {
        count.add();
        const start = now();
        const result: unknown = Reflect.apply(run, object, args);
        if (result instanceof Promise) return result.finally(() => time.observe(now() - start));
        time.observe(now() - start);
        return result;
      };
      Reflect.set(object, method, counted);
    }
  }
}

function methodAt(store: object, path: string): [owner: object, method: string] {
  const fields = path.split(".");
  const method = fields.pop()!;
  return [fields.reduce<object>((owner, field) => Reflect.get(owner, field) as object, store), method];
}
