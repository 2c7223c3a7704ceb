/**
 * Takes out of an OCI runtime bundle what a machine without CAP_SYS_RESOURCE cannot give a container: that capability,
 * resource limits, and a score by which the kernel spares a process. Run by the runtime's wrapper with runc's arguments.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

interface RuntimeProcess {
  capabilities?: Record<string, string[]>;
  rlimits?: unknown;
  oomScoreAdj?: number;
}

const args = process.argv.slice(2);
const bundle = option("--bundle", "-b");
const execution = option("--process", "-p");
for (const file of [bundle === undefined ? undefined : join(bundle, "config.json"), execution])
  if (file !== undefined) edit(file);

function option(...names: readonly string[]): string | undefined {
  for (const [index, arg] of args.entries()) {
    if (names.includes(arg)) return args[index + 1];
    const name = names.find((candidate) => arg.startsWith(`${candidate}=`));
    if (name !== undefined) return arg.slice(name.length + 1);
  }
  return undefined;
}

/** Edits the process of a bundle's specification, or the file of a process alone. */
function edit(file: string): void {
  const value = JSON.parse(readFileSync(file, "utf8")) as RuntimeProcess & { process?: RuntimeProcess };
  restrict(value.process ?? value);
  writeFileSync(file, JSON.stringify(value));
}

function restrict(process: RuntimeProcess): void {
  for (const [set, names] of Object.entries(process.capabilities ?? {}))
    process.capabilities![set] = names.filter((name) => name !== "CAP_SYS_RESOURCE");
  delete process.rlimits;
  if ((process.oomScoreAdj ?? 0) < 0) delete process.oomScoreAdj;
}
