import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { stringify } from "yaml";
import { run } from "../../test/programs/command.ts";
import { cacheKeys } from "./bench-cache.ts";
import { type KubeletName, kubelets } from "./bench-cluster.ts";
import type { CacheServers } from "./cache-servers.ts";
import { mainClosures } from "./closures.ts";
import type { Estimate } from "./report.ts";

const program = fileURLToPath(new URL("../../bin/nix-closure.js", import.meta.url));

/** Asks `nix-closure plan` what a cold start of each closure takes; nothing where it does not say. */
export async function estimateStarts({ urls }: CacheServers): Promise<readonly Estimate[]> {
  const directory = await mkdtemp(join(tmpdir(), "nix-closure-bench-"));
  try {
    const estimates: Estimate[] = [];
    for (const kubelet of Object.keys(kubelets) as readonly KubeletName[]) {
      const file = join(directory, `${kubelet}.yaml`);
      const sources = { fast: { caches: [urls.fast], publicKeys: cacheKeys } };
      await writeFile(file, stringify({ sources, defaultSource: "fast", kubelet: kubelets[kubelet] }));
      for (const { name, roots } of mainClosures) {
        const args = [program, "plan", ...roots, "--config", file, "--json"];
        const { estimate } = JSON.parse(await run(process.execPath, args)) as {
          readonly estimate?: { readonly coldSeconds?: Readonly<Record<string, number>> };
        };
        const seconds = estimate?.coldSeconds?.["configured"];
        if (seconds === undefined) return estimates;
        estimates.push({ workload: name, kubelet, milliseconds: 1000 * seconds });
      }
    }
    return estimates;
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}
