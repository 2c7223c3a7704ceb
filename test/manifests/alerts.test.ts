import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { parse } from "yaml";
import { createMetrics } from "../../src/admin/metrics.ts";
import { parseConfig } from "../../src/config.ts";
import { chart } from "./chart.ts";

interface Rule {
  readonly alert: string;
  readonly expr: string;
  readonly labels: { readonly severity: string };
  readonly annotations: { readonly summary: string };
}

const { groups } = parse(readFileSync(new URL("../alerts.yaml", chart), "utf8")) as {
  groups: { rules: Rule[] }[];
};
const rules = groups.flatMap((group) => group.rules);

test.for(rules)("$alert is about metrics that there are", async ({ expr, labels, annotations }) => {
  const scraped = await createMetrics("1.2.3").scrape();
  const types = new Map(
    [...scraped.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name, type]) => [name!, type!] as const),
  );
  for (const [name] of expr.matchAll(/nix_closure_\w+/g)) {
    const type = types.get(name) ?? types.get(name.replace(/_bucket$/, ""));
    expect(type, name).toBeDefined();
    expect(name.endsWith("_bucket"), name).toBe(type === "histogram");
    // Only what counts up can be asked for its growth.
    expect(new RegExp(`(?:increase|rate)\\(${name}`).test(expr), name).toBe(type !== "gauge");
  }
  expect(["critical", "warning"]).toContain(labels.severity);
  expect(annotations.summary).toMatch(/^[A-Z].*\.$/);
});

test("a certificate that is renewed in time alerts nobody", () => {
  const { expr } = rules.find(({ alert }) => alert === "NixClosureCertificateEnds")!;
  const seconds = Number(/< ([0-9]+)$/.exec(expr)?.[1]);
  const { cluster } = parseConfig("cluster: {}", "defaults");
  // The last third begins with the renewal (src/cluster/authorities.ts).
  expect(seconds).toBeLessThan(cluster!.certificateValidityMs / 1000 / 3);
});

test("alerts have names of their own", () => {
  expect(new Set(rules.map(({ alert }) => alert)).size).toBe(rules.length);
});
