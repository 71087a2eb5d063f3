// Prometheus' text format 0.0.4 (prometheus.io/docs/instrumenting/exposition_formats).
import type { Family, Histogram } from "./instrument.ts";

/** The Content-Type of what `Registry.render` gives. */
export const PROMETHEUS_CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8";

/** HELP, TYPE and the samples of a family; nothing when it has no sample. */
export function renderFamily(family: Family): string {
  let text = "";
  for (const { labels, instrument } of family.series()) {
    const pairs = family.labelNames.map((name) => `${name}="${escapeLabel(labels[name]!)}"`);
    if ("bounds" in instrument) {
      text += renderHistogram(family.name, pairs, instrument);
      continue;
    }
    const { value } = instrument;
    if (value !== undefined) text += `${sample(family.name, pairs)} ${number(value)}\n`;
  }
  if (text === "") return "";
  return `# HELP ${family.name} ${escapeHelp(family.help)}\n# TYPE ${family.name} ${family.kind}\n${text}`;
}

function renderHistogram(name: string, pairs: readonly string[], histogram: Histogram): string {
  let text = "";
  let below = 0;
  histogram.bounds.forEach((bound, i) => {
    below += histogram.counts[i]!;
    text += `${sample(`${name}_bucket`, [...pairs, `le="${number(bound)}"`])} ${number(below)}\n`;
  });
  text += `${sample(`${name}_bucket`, [...pairs, 'le="+Inf"'])} ${number(histogram.count)}\n`;
  text += `${sample(`${name}_sum`, pairs)} ${number(histogram.sum)}\n`;
  return `${text}${sample(`${name}_count`, pairs)} ${number(histogram.count)}\n`;
}

function sample(name: string, pairs: readonly string[]): string {
  return pairs.length === 0 ? name : `${name}{${pairs.join(",")}}`;
}

function number(value: number): string {
  if (value === Number.POSITIVE_INFINITY) return "+Inf";
  return value === Number.NEGATIVE_INFINITY ? "-Inf" : String(value);
}

function escapeHelp(help: string): string {
  return help.replaceAll("\\", "\\\\").replaceAll("\n", "\\n");
}

function escapeLabel(value: string): string {
  return escapeHelp(value).replaceAll('"', '\\"');
}
