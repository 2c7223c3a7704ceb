import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { Output } from "../../../demo/output.ts";
import { makeBaseImage } from "./base-image.ts";
import { cacheDirectory } from "./cache.ts";
import { linkProgram, recordCluster } from "./cluster.ts";
import { startDocker } from "./docker.ts";
import { type Engine, findPublishedNode, machineDocker, machineEngine, ownEngine } from "./engine.ts";
import { buildKind, buildParts } from "./go-parts.ts";
import { installHostPrograms } from "./host-programs.ts";
import { type Host, inspectHost } from "./host.ts";
import { type ConfigChange, type DerivedConfig, deriveKindConfig } from "./kind-config.ts";
import { createKind, type Kind } from "./kind.ts";
import { hasImage, makeNodeImage, nodeImageName } from "./node-image.ts";
import { makeNodeRootfs } from "./node-rootfs.ts";
import type { KubernetesRelease } from "./versions.ts";

/** What `kind create cluster` and the build of the product's image need. */
export interface Prepared {
  readonly release: KubernetesRelease;
  readonly engine: Engine;
  readonly kind: Kind;
  readonly config: DerivedConfig;
  readonly nodeImage: string;
  /** Base of the product's image; undefined: the Containerfile's own, which can be pulled. */
  readonly base: string | undefined;
}

/**
 * Finds or makes a Docker daemon, kind, a node image and a base for the product's image.
 *
 * @param change of the project's kind-config.yaml; absent: none
 */
export async function prepare(
  release: KubernetesRelease,
  output: Output,
  change?: ConfigChange,
): Promise<Prepared> {
  await mkdir(cacheDirectory, { recursive: true });
  const host = await inspectHost();
  output.step("Docker");
  const published = await findPublishedNode(release, machineDocker);
  if (published !== undefined) {
    output.line(`this machine's daemon has kind's own node image ${published}`);
    const made = { engine: machineEngine, nodeImage: published, base: undefined };
    return together(release, host, made, change);
  }
  const installed = await installHostPrograms();
  if (installed.length > 0) output.line(`installed ${installed.join(", ")}`);
  if (!host.sysResource)
    output.line("containers run without CAP_SYS_RESOURCE, which this machine does not give");
  output.line((await startDocker(host)) ? "started a daemon of its own" : "the own daemon runs already");

  output.step("Parts");
  const images = await ensureImages(release, host, (text) => output.line(text));
  return together(release, host, { engine: ownEngine, ...images }, change);
}

async function together(
  release: KubernetesRelease,
  host: Host,
  made: Pick<Prepared, "engine" | "nodeImage" | "base">,
  change: ConfigChange | undefined,
): Promise<Prepared> {
  const { engine, nodeImage } = made;
  const kind = await buildKind();
  await linkProgram("kind", kind);
  const config = await deriveKindConfig(host, engine.kind === "own", change);
  // Before there is anything: `cluster:down` has to find what a crash leaves.
  await recordCluster({ name: config.clusterName, version: release.version, engine: engine.kind, nodeImage });
  return { release, ...made, kind: createKind(kind, engine), config };
}

/** Parts are built even where the image is there: kubectl is one of them. */
async function ensureImages(
  release: KubernetesRelease,
  host: Host,
  line: (text: string) => void,
): Promise<Pick<Prepared, "nodeImage" | "base">> {
  const nodeImage = await nodeImageName(release, host);
  const ready = await hasImage(nodeImage);
  const debian = async (): Promise<{ readonly rootfs: string | undefined; readonly base: string }> => {
    const rootfs = ready ? undefined : await makeNodeRootfs();
    return { rootfs, base: await makeBaseImage() };
  };
  // One waits for the network and packages, the other for the compiler.
  const [parts, { rootfs, base }] = await Promise.all([buildParts(release, line), debian()]);
  await linkProgram("kubectl", join(parts.kubernetes, "kubectl"));
  if (rootfs !== undefined) {
    line("node image");
    await makeNodeImage(nodeImage, { release, host, parts, rootfs });
  }
  return { nodeImage, base };
}
