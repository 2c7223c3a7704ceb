import { defineConfig } from "vitest/config";

/** `npm run test:clients`: the registry, as programs of others see it. */
export default defineConfig({
  test: {
    include: ["test/clients/*.test.ts"],
    globalSetup: ["test/clients/global-setup.ts"],
    // The report is what .ci/run counts.
    reporters: ["verbose", ["json", { outputFile: "node_modules/.cache/vitest-clients-report.json" }]],
    // Two cores are the floor. Each file has a podman store of its own; the registry is there for many clients.
    pool: "forks",
    maxWorkers: 2,
    testTimeout: 60_000,
    hookTimeout: 60_000,
    teardownTimeout: 60_000,
  },
});
