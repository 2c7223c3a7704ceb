import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    // They need a cluster: vitest.cluster.config.ts.
    exclude: ["test/cluster/suite/**"],
    // The report is what .ci/run counts.
    reporters: ["default", ["json", { outputFile: "node_modules/.cache/vitest-report.json" }]],
    // Tests start worker threads, child processes and servers of their own; two cores are the floor.
    maxWorkers: 2,
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
});
