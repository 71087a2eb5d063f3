// GraphQL category metric: the server's numbers by MongooseIM's names.
import { expect } from "vitest";
import type { Face, Graphql } from "../support/graphql.ts";
import { covering, stage } from "../support/story.ts";

const covers = covering("graphql_metric_SUITE", { door: "tcp" });
const { story } = stage({
  general: { hosts: ["localhost"], host_types: ["test type"] },
  services: { service_domain_db: {} },
});
const [GET, DICTS, CLUSTER] = ["getMetrics", "getMetricsAsDicts", "getClusterMetricsAsDicts"].map((n) => `metric.${n}`);
const globals = (graphql: Graphql): readonly Face[] => [graphql.admin, graphql.ctl];

const HISTOGRAM = ["n", "mean", "min", "max", "median", "p50", "p75", "p90", "p95", "p99", "p999"];
const KEYS: Readonly<Record<string, readonly string[]>> = {
  histogram: HISTOGRAM,
  counter: ["value", "ms_since_reset"],
  spiral: ["one", "count"],
  gauge: ["value"],
};
interface Metric {
  readonly name: readonly string[];
  readonly type: string;
  readonly [key: string]: unknown;
}
interface Dict {
  readonly name: readonly string[];
  readonly dict: readonly { readonly key: string; readonly value: number }[];
}

/** Every metric has the integers of its type. */
function areWellFormed(metrics: readonly Metric[]): void {
  for (const metric of metrics) {
    const integers = (KEYS[metric.type] ?? []).map((key) => Number.isInteger(metric[key]));
    expect(integers.length > 0 && integers.every(Boolean), metric.name.join(".")).toBe(true);
  }
}
const named = <T extends { readonly name: readonly string[] }>(all: readonly T[], name: string): T | undefined =>
  all.find((metric) => metric.name.join(".") === name);
const metricsOf = async (face: Face, args = {}) => (await face.calls(GET, args)).value as Metric[];
const dictsOf = async (face: Face, args = {}) => (await face.calls(DICTS, args)).value as Dict[];

const isSpiral = [
  { key: "count", value: expect.any(Number) },
  { key: "one", value: expect.any(Number) },
];

story(
  "metrics have the values of their types, and are found by name",
  { romeo: 1 },
  async ({ graphql }) => {
    for (const face of globals(graphql)) {
      const all = await metricsOf(face);
      areWellFormed(all);
      expect(new Set(all.map(({ type }) => type))).toEqual(new Set(["histogram", "counter", "spiral"]));
      const sizes = named(all, "localhost.xmpp_element_in.c2s.byte_size");
      expect(sizes).toMatchObject({ type: "histogram", n: expect.toSatisfy((n) => n > 0) });

      const reads = all.find(({ name }) =>
        /^localhost\.mod_roster_\w+\.read_roster_version\.time$/.test(name.join(".")),
      );
      expect(reads?.type).toBe("histogram");

      const memory = await metricsOf(face, { name: ["global", "system_memory"] });
      expect(named(memory, "global.system_memory.total")).toMatchObject({
        type: "counter",
        value: expect.toSatisfy((bytes) => bytes > 1_000_000),
      });
      areWellFormed(memory);
      expect(memory.every(({ name }) => name[0] === "global" && name[1] === "system_memory")).toBe(true);
      expect(named(await metricsOf(face, { name: ["global"] }), "global.system_memory.total")).toBeDefined();

      expect((await metricsOf(face, { name: [] })).length).toBeGreaterThanOrEqual(all.length);
      for (const segment of ["", "not_existing"]) expect(await metricsOf(face, { name: [segment] })).toEqual([]);
      for (const hostType of ["test type", "test_type"]) {
        const ofType = await metricsOf(face, { name: [hostType] });
        areWellFormed(ofType);
        expect(ofType.length).toBeGreaterThan(0);
        expect(ofType.every(({ name }) => name[0] === "test_type")).toBe(true);
      }
    }
  },
  covers(
    "get_all_metrics",
    "get_all_metrics_check_by_type",
    "get_by_name_global_erlang_metrics",
    "get_metrics_by_name_empty_args",
    "get_metrics_by_name_empty_string",
    "get_metrics_by_nonexistent_name",
    "get_metrics_for_specific_host_type",
    "get_vm_stats_memory",
  ),
);

story(
  "metrics as keys and values are found by name and key",
  { romeo: 1 },
  async ({ graphql }) => {
    const stanzas = ["xmpp_element_in", "c2s", "stanza_count"];
    for (const face of globals(graphql)) {
      const all = await dictsOf(face);
      expect(named(all, "localhost.xmpp_element_in.c2s.stanza_count")?.dict).toEqual(isSpiral);
      expect(named(all, "global.sm_unique_sessions.count")?.dict[0]).toEqual({ key: "value", value: 1 });
      const histogram = named(all, "localhost.xmpp_element_in.c2s.byte_size")?.dict ?? [];
      expect(histogram.map(({ key }) => key)).toEqual(HISTOGRAM.map((key) => key.replace(/^p/, "")));
      expect(histogram.every(({ value }) => Number.isInteger(value))).toBe(true);

      const some = await dictsOf(face, { name: ["_", ...stanzas] });
      expect(some.length).toBeGreaterThan(0);
      for (const { name, dict } of some) {
        expect(name.slice(1)).toEqual(stanzas);
        expect(dict).toEqual(isSpiral);
      }
      expect(await dictsOf(face, { name: ["not_existing"] })).toEqual([]);

      const ones = await dictsOf(face, { keys: ["one"] });
      expect(named(ones, "localhost.xmpp_element_out.c2s.stanza_count")?.dict).toEqual([
        { key: "one", value: expect.any(Number) },
      ]);
      const none = await dictsOf(face, { keys: ["not_existing"] });
      expect(named(none, "localhost.xmpp_element_in.c2s.byte_size")?.dict).toEqual([]);

      const medians = await dictsOf(face, { name: [], keys: ["median"] });
      expect(named(medians, "localhost.xmpp_element_in.c2s.byte_size")?.dict).toEqual([
        { key: "median", value: expect.any(Number) },
      ]);
      const memory = await dictsOf(face, { name: ["global", "system_memory"], keys: [] });
      expect(named(memory, "global.system_memory.total")?.dict.map(({ key }) => key)).toEqual([
        "value",
        "ms_since_reset",
      ]);
      expect(await dictsOf(face, { name: [""], keys: ["median"] })).toEqual([]);
      const noKey = await dictsOf(face, { name: ["global", "system_memory"], keys: [""] });
      expect(noKey).toEqual(memory.map(({ name }) => ({ name, dict: [] })));
    }
  },
  covers(
    "get_all_metrics_as_dicts",
    "get_by_name_metrics_as_dicts",
    "get_metrics_as_dicts_by_nonexistent_name",
    "get_metrics_as_dicts_with_key_one",
    "get_metrics_as_dicts_with_nonexistent_key",
    "get_metrics_as_dicts_empty_args",
    "get_metrics_as_dicts_empty_strings",
  ),
);

story(
  "metrics of nodes are told apart; a node that is not there is an error in its place",
  { romeo: 1 },
  async ({ graphql, server }) => {
    const node = server.node.name;
    const down = [{ name: ["error", "nodedown"], dict: [] }];
    for (const face of globals(graphql)) {
      const [whole] = (await face.calls(CLUSTER)).value as { node: string; result: Dict[] }[];
      expect(whole.node).toBe(node);
      expect(named(whole.result, "localhost.xmpp_element_in.c2s.stanza_count")?.dict).toEqual(isSpiral);
      (await face.calls(CLUSTER, { nodes: ["nonexistent"] })).gives([{ node: "nonexistent", result: down }]);
      (await face.calls(CLUSTER, { name: [""], keys: ["median"], nodes: [node] })).gives([{ node, result: [] }]);
      const [noKey] = (await face.calls(CLUSTER, { name: ["_"], keys: [""], nodes: [node] })).value as (typeof whole)[];
      expect(noKey.result.length).toBeGreaterThan(0);
      expect(noKey.result.every(({ dict }) => dict.length === 0)).toBe(true);
      (await face.calls(CLUSTER, { name: ["_"], keys: ["median"], nodes: [""] })).gives([{ node: "", result: down }]);
    }
  },
  covers("get_cluster_metrics_for_nonexistent_nodes", "get_cluster_metrics_empty_strings"),
);

story(
  "administrators of a domain see none",
  {},
  async ({ graphql, server }) => {
    const own = await graphql.domainAdmin();
    for (const [operation, args] of [
      [GET, {}],
      [DICTS, {}],
      [DICTS, { name: ["_"] }],
      [DICTS, { keys: ["one"] }],
      [CLUSTER, {}],
      [CLUSTER, { name: ["_"] }],
      [CLUSTER, { nodes: [server.node.name] }],
    ] as const) {
      (await own.calls(operation, args)).isUnauthorized();
    }
  },
  covers(
    "domain_admin_get_metrics",
    "domain_admin_get_metrics_as_dicts",
    "domain_admin_get_metrics_as_dicts_by_name",
    "domain_admin_get_metrics_as_dicts_with_keys",
    "domain_admin_get_cluster_metrics_as_dicts",
    "domain_admin_get_cluster_metrics_as_dicts_by_name",
    "domain_admin_get_cluster_metrics_as_dicts_for_nodes",
  ),
);
