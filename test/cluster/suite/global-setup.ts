import { fileURLToPath } from "node:url";
import { createOutput, duration, type Output } from "../../../demo/output.ts";
import { engineOf, recordedCluster } from "../kind/cluster.ts";
import { run } from "../kind/command.ts";
import { settleCluster } from "../kind/create.ts";
import { isProductReady, waitForProduct } from "../kind/install.ts";
import { kubectl } from "../kind/kubectl.ts";
import { prepare } from "../kind/prepare.ts";
import { wantedRelease } from "../kind/versions.ts";
import { clearCounts, formatCounts, readCounts } from "./counts.ts";
import { checkKindPage, forcedSubstitutions, runKindSection } from "./kind-page.ts";

/** For development: a cluster that works is used as it is, and stays. */
const keep = process.env["CLUSTER_KEEP"] === "1";

/** Makes a cluster and installs the product by the commands of docs/kind.md. */
export async function setup(): Promise<void> {
  const output = createOutput(process.stdout);
  await clearCounts();
  if (keep && (await reuse(output))) return;
  try {
    await makeCluster(output);
  } catch (error) {
    // vitest does not call the tear-down then.
    if (!keep) await down();
    throw error;
  }
}

/** Prints what the suite has counted, and takes the cluster away. */
export async function teardown(): Promise<void> {
  const lines = formatCounts(await readCounts());
  if (lines.length > 0) process.stdout.write(`\n${lines.join("\n")}\n\n`);
  if (!keep) await down();
}

async function makeCluster(output: Output): Promise<void> {
  const started = Date.now();
  const release = wantedRelease(process.env);
  output.title(`A cluster of Kubernetes ${release.version}`);
  await checkKindPage();
  const prepared = await prepare(release, output);
  output.step("docs/kind.md");
  await prepared.kind.delete(prepared.config.clusterName);
  const onLine = (text: string): void => output.line(text);
  await runKindSection("create", prepared.engine, onLine, forcedSubstitutions(prepared));
  await settleCluster(prepared, output);
  await runKindSection("install", prepared.engine, onLine);
  await waitForProduct();
  output.line(`ready after ${duration(Date.now() - started)}`);
}

/** @returns false: there is no cluster that works */
async function reuse(output: Output): Promise<boolean> {
  const cluster = await recordedCluster();
  if (cluster === undefined) return false;
  const healthy = await kubectl(["wait", "--for=condition=Ready", "nodes", "--all", "--timeout=10s"]).then(
    () => true,
    () => false,
  );
  if (!healthy) return false;
  if (!(await isProductReady())) {
    output.line("the product is not ready in the cluster that is there: it is installed");
    await runKindSection("install", engineOf(cluster), (text) => output.line(text));
    await waitForProduct();
  }
  return true;
}

/** In a process of its own: it ends whatever carries the cluster's mark. */
async function down(): Promise<void> {
  process.stdout.write(
    await run(process.execPath, [fileURLToPath(new URL("../kind/down.ts", import.meta.url))]),
  );
}
