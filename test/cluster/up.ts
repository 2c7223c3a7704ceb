/** `npm run cluster:up`: a Kubernetes of three nodes out of own parts, with the product's image on each. */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { createOutput, type Output } from "../../demo/output.ts";
import { cacheDirectory } from "./cache.ts";
import { checkNodes } from "./check-nodes.ts";
import { startDocker } from "./docker.ts";
import { buildKind, buildParts, type GoParts } from "./go-parts.ts";
import { installHostPrograms } from "./host-programs.ts";
import { inspectHost, type Host } from "./host.ts";
import { deriveKindConfig } from "./kind-config.ts";
import { createKind, kubeconfig } from "./kind.ts";
import { hasImage, makeNodeImage, nodeImageName } from "./node-image.ts";
import { makeNodeRootfs } from "./node-rootfs.ts";
import { buildProductImage, productImage } from "./product-image.ts";
import { wantedRelease, type KubernetesRelease } from "./versions.ts";

try {
  await up(createOutput(process.stdout));
} catch (error) {
  process.stderr.write(
    `\ncluster:up failed: ${error instanceof Error ? error.message : String(error)}\n` +
      "`npm run cluster:down` takes back what was started.\n",
  );
  process.exitCode = 1;
}

async function up(output: Output): Promise<void> {
  const line = (text: string): void => output.line(text);
  const started = Date.now();
  const release = wantedRelease(process.env);
  output.title(`A cluster of Kubernetes ${release.version}`);
  await mkdir(cacheDirectory, { recursive: true });

  output.step("Docker");
  const installed = await installHostPrograms();
  if (installed.length > 0) line(`installed ${installed.join(", ")}`);
  const host = await inspectHost();
  if (!host.sysResource) line("containers run without CAP_SYS_RESOURCE, which this machine does not give");
  line((await startDocker(host)) ? "started a daemon of its own" : "the own daemon runs already");

  output.step("Parts");
  const kind = createKind(await buildKind());
  const { image, parts } = await ensureNodeImage(release, host, line);

  output.step(`Image ${productImage}`);
  line((await buildProductImage()) ? "built from the Containerfile" : "is up to date");

  output.step("kind create cluster");
  const { file, clusterName, additions } = await deriveKindConfig(host, true);
  line("kind-config.yaml");
  for (const addition of additions) line(`+ ${addition}`);
  await kind.delete(clusterName);
  await kind.create({ config: file, image });
  await kind.load(clusterName, productImage);
  const kubectl = join(parts.kubernetes, "kubectl");
  line(`${await checkNodes(kubectl)} nodes are ready; Pods on them reach each other`);

  output.title(`Ready after ${Math.round((Date.now() - started) / 1000)} s. Try:`);
  line(`export KUBECONFIG=${kubeconfig} PATH=${parts.kubernetes}:$PATH`);
  line("kubectl get nodes");
  line("kubectl get pods --all-namespaces");
  line("npm run cluster:down");
}

/** Parts are built even where the image is there: kubectl is one of them. */
async function ensureNodeImage(
  release: KubernetesRelease,
  host: Host,
  line: (text: string) => void,
): Promise<{ readonly image: string; readonly parts: GoParts }> {
  const image = await nodeImageName(release, host);
  const ready = await hasImage(image);
  // One waits for the network and packages, the other for the compiler.
  const [parts, rootfs] = await Promise.all([
    buildParts(release, line),
    ready ? undefined : makeNodeRootfs(),
  ]);
  if (rootfs !== undefined) {
    line("node image");
    await makeNodeImage(image, { release, host, parts, rootfs });
  }
  return { image, parts };
}
