// The metrics that a server shows, held against MongooseIM's (metrics.tsv: name, kind, labels).
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { metricsPage } from "../../../../cmd/gen/metrics.ts";
import { authMetrics } from "../../../../core/metrics/names.ts";
import { Registry } from "../../../../core/metrics/registry.ts";
import { MODULES } from "../../../../modules/index.ts";

interface Shown {
  name: string;
  kind: string;
  labels: string;
}

const inOrder = (labels: string): string => labels.split(", ").toSorted().join(", ");

const THEIRS = new Map<string, Shown>();
for (const line of readFileSync(join(import.meta.dirname, "metrics.tsv"), "utf8")
  .trimEnd()
  .split("\n")
  .slice(1)) {
  const [name, kind, labels] = line.split("\t");
  THEIRS.set(name, { name, kind, labels: inOrder(labels) });
}

const OURS: Shown[] = [...metricsPage(MODULES).matchAll(/^\| `(\w+)` \| (\w+) \| ([^|]*) \|/gm)].map(
  ([, name, kind, labels]) => ({ name, kind, labels: inOrder(labels.trim()) }),
);

/** What MongooseIM has no metric for. */
const OWN = /^(storage_|retention_|domains_count$)/;

describe("a metric", () => {
  test.each(OURS.filter(({ name }) => !OWN.test(name)))(
    "$name is MongooseIM's, of its kind, with its labels",
    (shown) => {
      expect(shown).toEqual(THEIRS.get(shown.name));
    },
  );

  test("there are some", () => {
    expect(OURS.length).toBeGreaterThan(100);
  });
});

test("two host types share a name and have their own values", () => {
  const registry = new Registry();
  authMetrics(registry, "a").registerUser.add(3);
  authMetrics(registry, "b").registerUser.add(4);
  expect(registry.render()).toContain(
    'auth_register_user_count{host_type="a"} 3\nauth_register_user_count{host_type="b"} 4',
  );
});
