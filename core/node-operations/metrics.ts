// Metrics as MongooseIM's GraphQL and command line show them: by Exometer's names and kinds.

import type { Reading } from "../metrics/index.ts";
import type { Node } from "../node.ts";
import type { MetricOps, MetricSample } from "../operations.ts";

/** Milliseconds between two looks at the counters, for what came in the last minute. */
const LOOK = 10_000;
const MINUTE = 60_000;

export function metricOps(node: Node): MetricOps {
  const recent = new LastMinute(node);
  return {
    samples: () => node.registry.list().map((reading) => sampleOf(reading, node, recent)),
    // There is no other node to ask.
    samplesOf: () => undefined,
  };
}

function sampleOf(reading: Reading, node: Node, recent: LastMinute): MetricSample {
  const name = exometerName(reading);
  const { values } = reading;
  switch (reading.kind) {
    case "counter": {
      const count = values["count"] ?? 0;
      return { name, type: "spiral", values: { one: recent.since(reading, count), count } };
    }
    case "gauge":
      // MongooseIM takes whatever says when it was last reset for a counter, and all its gauges do.
      return { name, type: "counter", values: { ...values, ms_since_reset: node.steady() - node.startedAt } };
    case "histogram":
      return { name, type: "histogram", values: { ...values, p50: values["median"] ?? 0 } };
  }
}

/** Events whose measurement is more than the last word of the Prometheus name. */
const EVENTS =
  /^(xmpp_element_(?:in|out)|(?:tcp|tls)_data_(?:in|out)|(?:websocket|bosh)_data_(?:received|sent)|sm_presence_subscription|mod_privacy_(?:check_packet|set)|wpool_(?:global_)?rdbms_stats|system_(?:dist_data|info|memory))_(.+)$/;
const LAST_WORD = /^(.+)_([^_]+)$/;

/** Host type (or global), event, other labels in the order of their names, measurement. */
function exometerName({ name, labels }: Reading): string[] {
  const [, event = name, measurement = "value"] = EVENTS.exec(name) ?? LAST_WORD.exec(name) ?? [];
  const { host_type: hostType, ...others } = labels as Record<string, string>;
  const middle = Object.keys(others)
    .sort()
    .map((label) => others[label]);
  return [(hostType || "global").replaceAll(" ", "_"), event, ...middle, measurement];
}

const keyOf = ({ name, labels }: Reading): string => `${name} ${JSON.stringify(labels)}`;

/** What counters stood at in the last minute, every ten seconds: some hundred numbers a look, whatever the load. */
class LastMinute {
  private readonly looks: { at: number; counts: Map<string, number> }[] = [];

  constructor(private readonly node: Node) {
    this.look();
  }

  private look(): void {
    const { node, looks } = this;
    const counts = new Map<string, number>();
    for (const reading of node.registry.list()) {
      if (reading.kind === "counter") counts.set(keyOf(reading), reading.values["count"] ?? 0);
    }
    looks.push({ at: node.steady(), counts });
    this.trim();
    node.wheel.after(LOOK, () => this.look());
  }

  /** Leaves one look that is a minute old, or nearly: the first. */
  private trim(): void {
    const { node, looks } = this;
    while (looks.length > 1 && looks[1].at <= node.steady() - MINUTE) looks.shift();
  }

  /** How much a counter grew in about the last minute. */
  since(reading: Reading, count: number): number {
    this.trim();
    return count - (this.looks[0].counts.get(keyOf(reading)) ?? 0);
  }
}
