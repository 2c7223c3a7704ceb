import { basename } from "node:path";
import { BaseSequencer, type TestSpecification } from "vitest/node";

/** What comes first makes what follows possible; faults come last because they leave the least untouched. */
const order = ["install", "workloads", "neighbours", "nodes", "faults"];

/** Runs the suite's files in a fixed order; those that it does not name come before the faults. */
export class FixedOrder extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    return files.toSorted(
      (a, b) => rank(a.moduleId) - rank(b.moduleId) || a.moduleId.localeCompare(b.moduleId),
    );
  }
}

function rank(file: string): number {
  const name = basename(file).split(/[.-]/, 1)[0] ?? "";
  const place = order.indexOf(name);
  return place === -1 ? order.length - 1.5 : place;
}
