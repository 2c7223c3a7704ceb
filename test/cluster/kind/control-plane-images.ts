import { copyFile, mkdir, rm, symlink } from "node:fs/promises";
import { join } from "node:path";
import { run } from "./command.ts";
import { docker, dockerEnvironment } from "./docker.ts";
import { kubeadmImages, type GoParts } from "./go-parts.ts";
import { moduleDirectory } from "../../programs/go-module.ts";
import { podNetworkImage, podNetworkPrograms } from "./pod-network.ts";
import { copyPrograms } from "./program-files.ts";
import type { KubernetesRelease } from "./versions.ts";

/** Where the images are made from, and of what. */
export interface ImageSources {
  readonly release: KubernetesRelease;
  readonly parts: GoParts;
  /** Debian's files of a node. */
  readonly rootfs: string;
  /** An empty directory for as long as it takes. */
  readonly scratch: string;
}

/** The images that a node must have, by the names that kubeadm gives them. */
export interface ControlPlaneImages {
  readonly names: readonly string[];
  readonly pause: string;
}

/** What kube-proxy calls in nftables mode, and iptables, whose rules of earlier runs it looks for. */
const proxyPrograms = [
  "/usr/sbin/nft",
  "/usr/sbin/conntrack",
  "/usr/sbin/xtables-nft-multi",
  "/usr/lib/x86_64-linux-gnu/xtables",
];

/**
 * Makes the images of the control plane in the own Docker daemon.
 *
 * @throws Error if kubeadm wants an image that is not known here
 */
export async function makeControlPlaneImages(sources: ImageSources): Promise<ControlPlaneImages> {
  const { release, parts } = sources;
  const names = await kubeadmImages(join(parts.kubernetes, "kubeadm"), release);
  for (const name of names) {
    const component = /([^/]+):[^:]+$/.exec(name)?.[1] ?? "";
    const root = join(sources.scratch, component);
    await mkdir(join(root, "usr/local/bin"), { recursive: true });
    await importImage(root, name, await fillImage(component, root, sources));
  }
  const root = join(sources.scratch, "pod-network");
  await mkdir(join(root, "usr/local/bin"), { recursive: true });
  await copyPrograms(sources.rootfs, root, podNetworkPrograms);
  await copyFile(join(parts.kubernetes, "kubectl"), join(root, "usr/local/bin/kubectl"));
  await importImage(root, podNetworkImage, []);
  const pause = names.find((name) => /\/pause:/.test(name));
  if (pause === undefined) throw new Error(`kubeadm lists no pause image: ${names.join(", ")}`);
  return { names: [...names, podNetworkImage], pause };
}

/** Returns the changes of the image's configuration. */
async function fillImage(
  component: string,
  root: string,
  { release, parts, rootfs }: ImageSources,
): Promise<readonly string[]> {
  const program = join(root, "usr/local/bin", component);
  switch (component) {
    case "kube-apiserver":
    case "kube-controller-manager":
    case "kube-scheduler":
      await copyFile(join(parts.kubernetes, component), program);
      return [];
    case "kube-proxy":
      await copyFile(join(parts.kubernetes, component), program);
      await copyPrograms(rootfs, root, proxyPrograms);
      for (const family of ["iptables", "ip6tables"])
        for (const suffix of ["", "-save", "-restore"])
          await symlink("xtables-nft-multi", join(root, "usr/sbin", family + suffix));
      return [];
    case "etcd":
      await copyFile(join(parts.etcd, "etcd"), program);
      return [];
    case "coredns":
      await copyFile(join(parts.coredns, "coredns"), join(root, "coredns"));
      return ['ENTRYPOINT ["/coredns"]'];
    case "pause":
      await compilePause(release, join(root, "pause"));
      return ['ENTRYPOINT ["/pause"]', "USER 65535:65535"];
    default:
      throw new Error(`kubeadm ${release.version} wants an image that is not known here: ${component}`);
  }
}

async function compilePause(release: KubernetesRelease, program: string): Promise<void> {
  const source = await moduleDirectory("k8s.io/kubernetes", `v${release.version}`);
  const file = join(source, "build/pause/linux/pause.c");
  await run("gcc", ["-Os", "-static", "-DVERSION=own", "-o", program, file]);
}

/** Makes an image of one layer out of a directory, which is removed. */
export async function importImage(root: string, name: string, changes: readonly string[]): Promise<void> {
  const path = "ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
  const options = [path, ...changes].flatMap((change) => ["--change", change]);
  const script = 'tar -C "$1" --numeric-owner -c . | docker import "${@:3}" - "$2"';
  await run("bash", ["-euo", "pipefail", "-c", script, "bash", root, name, ...options], {
    env: dockerEnvironment,
  });
  await rm(root, { recursive: true });
}

/** Writes images of the own Docker daemon to one file. */
export async function saveImages(names: readonly string[], file: string): Promise<void> {
  await docker(["save", "--output", file, ...names]);
}
