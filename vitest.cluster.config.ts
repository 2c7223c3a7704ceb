import { defineConfig } from "vitest/config";
import { FixedOrder } from "./test/cluster/suite/order.ts";

/** `npm run test:cluster`: the product on a Kubernetes that is made for it. */
export default defineConfig({
  test: {
    include: ["test/cluster/suite/*.test.ts"],
    globalSetup: ["test/cluster/suite/global-setup.ts"],
    // The report is what .ci/run counts.
    reporters: ["verbose", ["json", { outputFile: "node_modules/.cache/vitest-cluster-report.json" }]],
    // There is one cluster, and what one test does to it another would see.
    pool: "forks",
    fileParallelism: false,
    sequence: { sequencer: FixedOrder },
    testTimeout: 300_000,
    hookTimeout: 300_000,
    teardownTimeout: 120_000,
  },
});
