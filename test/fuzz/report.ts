import { mkdirSync, writeFileSync } from "node:fs";

import type { FuzzResult } from "./worker-data.ts";

/** Where vitest's reports are too. */
const file = new URL("../../node_modules/.cache/vitest-fuzz-report.json", import.meta.url);

/** Writes what came of fuzzing in the shape of vitest's JSON reporter, a test for each target, for .ci/run to count. */
export function writeReport(results: readonly FuzzResult[]): void {
  mkdirSync(new URL(".", file), { recursive: true });
  writeFileSync(file, JSON.stringify(reportOf(results), undefined, 2));
}

/** The report of some targets. */
export function reportOf(results: readonly FuzzResult[]) {
  const tests = results.map(({ target, executions, failure }) => ({
    title: `${target}: ${executions} executions`,
    fullName: `fuzz ${target}`,
    status: failure === undefined ? "passed" : "failed",
    failureMessages: failure === undefined ? [] : [failure.message],
  }));
  const failed = tests.filter(({ status }) => status === "failed").length;
  return {
    numTotalTests: tests.length,
    numPassedTests: tests.length - failed,
    numFailedTests: failed,
    numPendingTests: 0,
    numTodoTests: 0,
    success: failed === 0,
    testResults: [
      { name: "test/fuzz/run.ts", status: failed === 0 ? "passed" : "failed", assertionResults: tests },
    ],
  };
}
