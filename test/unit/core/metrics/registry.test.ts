import { describe, expect, test } from "vitest";
import { Histogram, POWERS_OF_TWO } from "../../../../core/metrics/instrument.ts";
import { Registry } from "../../../../core/metrics/registry.ts";

describe("Prometheus text", () => {
  test("a counter is rendered with its help, type and labels", () => {
    const registry = new Registry();
    const counter = registry.counter("c2s_auth_failed_count", "Failed", ["host_type"]).bind({ host_type: "localhost" });
    counter.add();
    counter.add(2);
    expect(registry.render()).toBe(
      '# HELP c2s_auth_failed_count Failed\n# TYPE c2s_auth_failed_count counter\nc2s_auth_failed_count{host_type="localhost"} 3\n',
    );
  });

  test("HELP and TYPE come once for all samples of a name, and names are sorted", () => {
    const registry = new Registry();
    registry.counter("b", "B", ["l"]).bind({ l: "2" });
    registry.gauge("a", "A").bind({}).set(-1.5);
    registry.counter("b", "B", ["l"]).bind({ l: "1" });
    expect(registry.render()).toBe(
      '# HELP a A\n# TYPE a gauge\na -1.5\n# HELP b B\n# TYPE b counter\nb{l="2"} 0\nb{l="1"} 0\n',
    );
  });

  test("label values and help are escaped", () => {
    const registry = new Registry();
    registry.counter("a", "one\ntwo\\", ["l"]).bind({ l: 'x"y\\z\n' });
    expect(registry.render()).toBe('# HELP a one\\ntwo\\\\\n# TYPE a counter\na{l="x\\"y\\\\z\\n"} 0\n');
  });

  test("a histogram has cumulative buckets, +Inf, sum and count", () => {
    const registry = new Registry();
    const histogram = registry.histogram("h", "H", ["l"], [1, 10]).bind({ l: "x" });
    for (const value of [0, 1, 5, 100]) histogram.observe(value);
    expect(registry.render().split("\n").slice(2, -1)).toEqual([
      'h_bucket{l="x",le="1"} 2',
      'h_bucket{l="x",le="10"} 3',
      'h_bucket{l="x",le="+Inf"} 4',
      'h_sum{l="x"} 106',
      'h_count{l="x"} 4',
    ]);
  });

  test("infinite values are written as Prometheus wants them", () => {
    const registry = new Registry();
    registry.gauge("a", "A").bind({}).set(Number.POSITIVE_INFINITY);
    expect(registry.render()).toContain("a +Inf\n");
  });
});

test("a probe is asked at each reading, and one that throws or knows nothing shows no sample", () => {
  const registry = new Registry();
  let n = 0;
  registry.gauge("good", "G").probe({}, () => ++n);
  registry.gauge("throws", "T").probe({}, () => {
    throw new Error("no");
  });
  registry.gauge("unknown", "U").probe({}, () => Number.NaN);
  registry.render();
  expect(registry.render()).toBe("# HELP good G\n# TYPE good gauge\ngood 2\n");
  expect(registry.list().map(({ name }) => name)).toEqual(["good"]);
});

test("a counter can be read from a number kept elsewhere, and is not counted by hand then", () => {
  const registry = new Registry();
  const traffic = { bytes: 0 };
  const family = registry.counter("c", "C", ["host_type"]);
  family.probe({ host_type: "x" }, () => traffic.bytes);
  traffic.bytes += 300;
  expect(registry.render()).toContain('# TYPE c counter\nc{host_type="x"} 300\n');
  expect(registry.list()[0]?.values).toEqual({ count: 300 });
  expect(() => family.bind({ host_type: "x" })).toThrow('Cannot count in "c"');
});

test("binding the same labels again gives the same instrument, whatever the order", () => {
  const family = new Registry().counter("a", "A", ["x", "y"]);
  expect(family.bind({ x: "1", y: "2" })).toBe(family.bind({ y: "2", x: "1" }));
  expect(family.bind({ x: "1", y: "2" })).not.toBe(family.bind({ x: "2", y: "1" }));
});

test("unbound labels are not shown any more", () => {
  const registry = new Registry();
  const family = registry.counter("a", "A", ["host_type"]);
  family.bind({ host_type: "x" });
  family.unbind({ host_type: "x" });
  expect(registry.render()).toBe("");
});

test.each([
  ["another kind", (registry: Registry) => registry.gauge("a", "A", ["l"])],
  ["other labels", (registry: Registry) => registry.counter("a", "A", ["m"])],
  ["a name with a dash", (registry: Registry) => registry.counter("a-b", "A")],
  ["the label le", (registry: Registry) => registry.histogram("b", "B", ["le"])],
  ["a reserved label", (registry: Registry) => registry.counter("b", "B", ["__x"])],
])("declaring with %s is refused", (_what, declare) => {
  const registry = new Registry();
  registry.counter("a", "A", ["l"]);
  expect(() => declare(registry)).toThrow(/^Cannot /);
});

describe("histogram", () => {
  test("the buckets of powers of two agree with a plain search", () => {
    const fast = new Histogram();
    const plain = new Histogram([...POWERS_OF_TWO]);
    for (let exponent = 0; exponent <= 32; exponent++) {
      for (const value of [2 ** exponent - 1, 2 ** exponent - 0.5, 2 ** exponent, 2 ** exponent + 1]) {
        fast.observe(value);
        plain.observe(value);
      }
    }
    for (const value of [-5, 0, 0.25, 1e12]) {
      fast.observe(value);
      plain.observe(value);
    }
    expect([...fast.counts]).toEqual([...plain.counts]);
  });

  test("MongooseIM's bounds are 1 to 2^30", () => {
    expect([POWERS_OF_TWO.length, POWERS_OF_TWO[0], POWERS_OF_TWO.at(-1)]).toEqual([31, 1, 1_073_741_824]);
  });

  test("quantiles lie in the bucket of the value and within what was seen", () => {
    const histogram = new Histogram();
    for (let value = 1; value <= 1000; value++) histogram.observe(value);
    expect(histogram.quantile(0.5)).toBeCloseTo(500, -1);
    expect(histogram.quantile(1)).toBe(1000);
    expect(new Histogram().quantile(0.5)).toBe(0);
  });
});

test("list gives every value by name for operations", () => {
  const registry = new Registry();
  registry.counter("c", "C", ["host_type"]).bind({ host_type: "x" }).add(5);
  registry.gauge("g", "G").bind({}).set(7);
  registry.histogram("h", "H").bind({}).observe(4);
  const quantiles = { median: 4, p75: 4, p90: 4, p95: 4, p99: 4, p999: 4 };
  expect(registry.list()).toEqual([
    { name: "c", kind: "counter", labels: { host_type: "x" }, values: { count: 5 } },
    { name: "g", kind: "gauge", labels: {}, values: { value: 7 } },
    { name: "h", kind: "histogram", labels: {}, values: { n: 1, mean: 4, min: 4, max: 4, ...quantiles } },
  ]);
});
