import { spawn } from "node:child_process";
import { capture } from "../../demo/child.ts";

/** A row of a table, and what the suite says of it. */
export interface Row {
  readonly name: string;
  readonly status: string;
}

/** What the conformance suite prints at its end. */
export interface ConformanceTable {
  /** Single tests, groups among them; names have no "OCI Conformance Test/" before them. */
  readonly tests: readonly Row[];
  /** What it says of each part of the API. */
  readonly apis: readonly Row[];
  /** How many tests ended with each status. */
  readonly counts: Readonly<Record<string, number>>;
}

const heading = "OCI Conformance Test";

/**
 * Runs the conformance suite of OCI distribution-spec.
 *
 * @param settings variables without their first word, `OCI_`
 * @throws Error with its output if it prints no table
 */
export async function runConformance(
  program: string,
  settings: Readonly<Record<string, string>>,
  env: Readonly<Record<string, string>>,
): Promise<ConformanceTable> {
  const variables = Object.fromEntries(
    Object.entries(settings).map(([name, value]) => [`OCI_${name}`, value]),
  );
  const child = spawn(program, {
    env: { ...process.env, ...env, ...variables },
    stdio: ["ignore", "pipe", "pipe"],
  });
  // Without pushes it fails while it writes results.yaml, after the table: its exit code says nothing.
  const { stdout, stderr } = await capture(child);
  const table = parseTable(stdout);
  if (table.tests.length === 0) throw new Error(`the conformance suite has no table: ${stdout}${stderr}`);
  return table;
}

function parseTable(text: string): ConformanceTable {
  const [tests = "", rest = ""] = text.split("\nConfiguration:\n");
  const [counts = "", apis = ""] = rest.split("\nAPI conformance:\n");
  const dotted = (part: string): readonly Row[] =>
    [...part.matchAll(/^ {2}(\S.*?)\.{2,}: +(\S+)$/gm)].map(([, name = "", status = ""]) => ({
      name,
      status,
    }));
  return {
    tests: [...tests.matchAll(new RegExp(`^ *${heading}/(.*): (.*)$`, "gm"))].map(
      ([, name = "", status = ""]) => ({ name, status }),
    ),
    apis: dotted(apis),
    counts: Object.fromEntries(dotted(counts).map(({ name, status }) => [name, Number(status)])),
  };
}
