// Category metric: metrics of nodes, as MongooseIM reports them.

import { defineOperation, type MetricSample, type OperationNode } from "../operations.ts";
import type { OutputOf } from "./language.ts";

/** Names begin with the given segments; "_" stands for any segment. */
const named =
  (name: readonly string[]) =>
  (sample: MetricSample): boolean =>
    name.every((segment, i) => (segment === "_" ? i < sample.name.length : segment === sample.name[i]));

/** The name that is asked for: a host type may be written as it is, while metrics have no space in theirs. */
function asked(name: readonly string[], node: OperationNode): readonly string[] {
  const hostTypes = node.domains.hostTypes();
  return name.map((segment) => (hostTypes.includes(segment) ? segment.replaceAll(" ", "_") : segment));
}

/** GraphQL's Int has 32 bits and no fraction: a figure past them is given as the largest there is. */
const int = (value: number): number => Math.max(-0x80000000, Math.min(0x7fffffff, Math.round(value)));
const ints = (values: Readonly<Record<string, number>>) =>
  Object.fromEntries(Object.entries(values).map(([key, value]) => [key, int(value)]));

const TYPE_NAMES = {
  histogram: "HistogramMetric",
  counter: "CounterMetric",
  spiral: "SpiralMetric",
  gauge: "GaugeMetric",
} as const;

/** A field's name begins with a letter; as a key, a percentile is a number. */
const PERCENTILE = /^p(\d+)$/;
/** Of keys in a dictionary: MongooseIM's. */
const ORDER = ["count", "one", "value", "ms_since_reset", "n", "mean", "min", "max", "median"].concat([
  "50",
  "75",
  "90",
  "95",
  "99",
  "999",
]);

type Dict = OutputOf<"MetricDictResult!">;

function asDicts(samples: readonly MetricSample[], name: readonly string[], keys: readonly string[]): Dict[] {
  return samples.filter(named(name)).map((sample) => ({
    name: sample.name,
    dict: Object.entries(sample.values)
      .map(([key, value]) => ({ key: key.replace(PERCENTILE, "$1"), value: int(value) }))
      .filter(({ key }) => keys.length === 0 || keys.includes(key))
      .sort((a, b) => ORDER.indexOf(a.key) - ORDER.indexOf(b.key)),
  }));
}

/** What stands for the metrics of a node that does not answer. */
const NODE_DOWN: Dict[] = [{ name: ["error", "nodedown"], dict: [] }];

const NAME = { type: "[String]", description: "First segments of the name; all metrics when left out" } as const;
const KEYS = { type: "[String]", description: "Which values to give; all when left out" } as const;

const getMetrics = defineOperation({
  category: "metric",
  name: "getMetrics",
  kind: "query",
  description: "Give metrics, each with the fields of its type",
  args: { name: NAME },
  result: "[MetricResult]",
  scope: "global",
  run: ({ name = [] }, _caller, node) =>
    node.metrics
      .samples()
      .filter(named(asked(name, node)))
      .map((sample) => ({
        __typename: TYPE_NAMES[sample.type],
        name: sample.name,
        type: sample.type,
        ...ints(sample.values),
      })),
});

const getMetricsAsDicts = defineOperation({
  category: "metric",
  name: "getMetricsAsDicts",
  kind: "query",
  description: "Give metrics as keys and values",
  args: { name: NAME, keys: KEYS },
  result: "[MetricDictResult]",
  scope: "global",
  run: ({ name = [], keys = [] }, _caller, node) => asDicts(node.metrics.samples(), asked(name, node), keys),
});

const getClusterMetricsAsDicts = defineOperation({
  category: "metric",
  name: "getClusterMetricsAsDicts",
  kind: "query",
  description: "Give metrics of the nodes of the cluster as keys and values",
  args: { name: NAME, keys: KEYS, nodes: { type: "[String]", description: "Which nodes; all when left out" } },
  result: "[MetricNodeResult]",
  scope: "global",
  async run({ name = [], keys = [], nodes = [] }, _caller, node) {
    const segments = asked(name, node);
    return Promise.all(
      (nodes.length > 0 ? nodes : node.nodes()).map(async (each) => {
        const samples = each === node.name ? node.metrics.samples() : await node.metrics.samplesOf(each);
        return { node: each, result: samples ? asDicts(samples, segments, keys) : NODE_DOWN };
      }),
    );
  },
});

export const metricOperations = [getMetrics, getMetricsAsDicts, getClusterMetricsAsDicts];
