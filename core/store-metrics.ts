// Calls of a feature's store, counted and timed under MongooseIM's names: mod_privacy_rdbms_count, mod_privacy_rdbms_time,
// with the call as label "function".

import type { Registry } from "./metrics/registry.ts";
import type { AnyModule, TimedCalls } from "./module.ts";

/** The families of metrics of a feature's back end. Times are in microseconds. */
export function storeMetrics(registry: Registry, { name, timed }: Pick<AnyModule, "name" | "timed">, backend: string) {
  const stem = timed?.as ?? name;
  const labels: readonly string[] = timed?.perServer ? ["function"] : ["function", "host_type"];
  return {
    count: registry.counter(`${stem}_${backend}_count`, `Calls of the store of ${stem}`, labels),
    time: registry.histogram(`${stem}_${backend}_time`, `How long calls of the store of ${stem} took`, labels),
  };
}

/**
 * Has each of the calls that a feature names counted and timed.
 * @param now microseconds on a clock that only runs forward
 */
export function timeCalls(
  module: AnyModule,
  store: unknown,
  backend: string,
  registry: Registry,
  hostType: string,
  now = () => performance.now() * 1000,
): void {
  const { name, timed } = module;
  if (timed === undefined) return;
  const families = storeMetrics(registry, module, backend);
  const whole = (timed as TimedCalls<unknown>).in(store);
  for (const [call, methods] of Object.entries(timed.calls)) {
    const labels: Record<string, string> = timed.perServer
      ? { function: call }
      : { function: call, host_type: hostType };
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
