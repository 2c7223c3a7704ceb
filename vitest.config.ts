import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    // They need a cluster, and programs of others: vitest.cluster.config.ts, vitest.clients.config.ts.
    exclude: ["test/cluster/suite/**", "test/clients/**"],
    // The report is what .ci/run counts.
    reporters: ["default", ["json", { outputFile: "node_modules/.cache/vitest-report.json" }]],
    // Tests start worker threads, child processes and servers of their own; two cores are the floor.
    maxWorkers: 2,
    // For threads and processes that tests start; see test/compile-cache.ts.
    env: { NODE_COMPILE_CACHE: fileURLToPath(new URL("node_modules/.cache/compiled", import.meta.url)) },
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
});
