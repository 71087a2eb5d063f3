// Medians of measurements, as Markdown tables.

import type { Row } from "./targets.ts";

type Column = readonly [title: string, value: (row: Row) => number | undefined, digits: number];

function median(values: readonly (number | undefined)[]): number | undefined {
  const known = values.filter((v) => v !== undefined).sort((a, b) => a - b);
  if (known.length === 0) return undefined;
  const half = known.length >> 1;
  return known.length % 2 === 1 ? known[half] : (known[half - 1] + known[half]) / 2;
}

const KINDS: readonly { title: string; of: (row: Row) => boolean; columns: readonly Column[] }[] = [
  {
    title: "Cold start",
    of: (row) => row.scenario === "cold",
    columns: [
      ["ms to listening", (r) => r.listening_ms, 0],
      ["RSS at rest MB", (r) => r.rss_at_rest && r.rss_at_rest / 1e6, 1],
    ],
  },
  {
    title: "Log-in and idle connections",
    of: (row) => row.scenario === "idle" || row.scenario === "login" || row.scenario === "websocket-idle",
    columns: [
      ["sessions", (r) => r.login?.ok, 0],
      ["failed", (r) => r.login?.failed, 0],
      ["log-ins/s", (r) => r.login?.per_s, 0],
      ["CPU µs/log-in", (r) => r.login?.cpu_us_per_login, 0],
      ["log-in p50 ms", (r) => r.login?.time_us && r.login.time_us.p50 / 1000, 1],
      ["log-in p99 ms", (r) => r.login?.time_us && r.login.time_us.p99 / 1000, 1],
      ["RSS B/conn", (r) => r.server?.rss_per_conn, 0],
      ["RSS B/conn after hold", (r) => r.server?.rss_per_conn_end, 0],
      ["alive", (r) => r.alive_after_hold, 0],
      ["other CPU", (r) => r.other_cpu_util, 2],
    ],
  },
  {
    title: "Chat",
    of: (row) => row.scenario === "chat",
    columns: [
      ["delivered/s", (r) => r.measured?.delivered_per_s, 0],
      ["CPU µs/delivered", (r) => r.server?.cpu_us_per_delivered, 1],
      ["server CPU", (r) => r.server?.cpu_util, 2],
      ["p50 ms", (r) => r.latency_us && r.latency_us.p50 / 1000, 2],
      ["p99 ms", (r) => r.latency_us && r.latency_us.p99 / 1000, 2],
      ["p99.9 ms", (r) => r.latency_us && r.latency_us.p999 / 1000, 2],
      ["lost", (r) => r.lost, 0],
      ["dup", (r) => r.duplicated, 0],
      ["out of order", (r) => r.out_of_order, 0],
      ["longest ping ms", (r) => r.stall?.max_ms, 1],
      ["generator CPU", (r) => r.generator?.cpu_util, 2],
      ["other CPU", (r) => r.other_cpu_util, 2],
    ],
  },
  {
    title: "Messages to who is not there",
    of: (row) => row.scenario === "offline",
    columns: [
      ["stored/s", (r) => r.measured?.delivered_per_s, 0],
      ["CPU µs/message", (r) => r.server?.cpu_us_per_delivered, 1],
      ["server CPU", (r) => r.server?.cpu_util, 2],
      ["refused", (r) => r.lost, 0],
    ],
  },
  {
    title: "Presence and events to many contacts",
    of: (row) => row.scenario === "presence" || row.scenario === "pep",
    columns: [
      ["copies/s", (r) => r.measured?.delivered_per_s, 0],
      ["CPU µs/copy", (r) => r.server?.cpu_us_per_delivered, 1],
      ["server CPU", (r) => r.server?.cpu_util, 2],
      ["p99 ms", (r) => r.latency_us && r.latency_us.p99 / 1000, 2],
      ["lost", (r) => r.lost, 0],
      ["generator CPU", (r) => r.generator?.cpu_util, 2],
    ],
  },
  {
    title: "Domains",
    of: (row) => row.scenario === "domains",
    columns: [["made per minute", (r) => r.domains_per_minute, 0]],
  },
];

/** A table for each kind of measurement that there is; steps in the order in which they ran. */
export function tables(rows: readonly Row[]): string {
  const out: string[] = [];
  for (const { title, of, columns } of KINDS) {
    const mine = rows.filter(of);
    if (mine.length === 0) continue;
    out.push(`### ${title}`, "");
    out.push(`| step | server | runs | ${columns.map(([name]) => name).join(" | ")} |`);
    out.push(`|---|---|--:|${columns.map(() => "--:|").join("")}`);
    for (const step of new Set(mine.map((row) => row.step))) {
      for (const peer of new Set(mine.map((row) => row.peer))) {
        const runs = mine.filter((row) => row.step === step && row.peer === peer);
        if (runs.length === 0) continue;
        const cells = columns.map(([, value, digits]) => median(runs.map(value))?.toFixed(digits) ?? "-");
        out.push(`| ${step} | ${peer} | ${runs.length} | ${cells.join(" | ")} |`);
      }
    }
    out.push("");
  }
  return out.join("\n");
}
