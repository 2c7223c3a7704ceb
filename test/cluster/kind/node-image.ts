import { chmod, copyFile, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { recipeKey, withScratch } from "./cache.ts";
import { run, runApart, succeeds } from "./command.ts";
import { makeControlPlaneImages, saveImages } from "./control-plane-images.ts";
import { docker, dockerEnvironment } from "./docker.ts";
import type { GoParts } from "./go-parts.ts";
import type { Host } from "./host.ts";
import { podNetworkManifest } from "./pod-network.ts";
import { moduleVersions, type KubernetesRelease } from "./versions.ts";

/** Files of this folder that the node image follows from. */
const recipe = [
  "control-plane-images.ts",
  "go-parts.ts",
  "node-image.ts",
  "node-rootfs.ts",
  "pod-network.ts",
  "program-files.ts",
];

/** The name that the own node image has. */
export async function nodeImageName(release: KubernetesRelease, host: Host): Promise<string> {
  return `nix-closure-node:v${release.version}-${await recipeKey(recipe, moduleVersions, host)}`;
}

/** Whether the own Docker daemon has an image. */
export function hasImage(name: string): Promise<boolean> {
  return succeeds("docker", ["image", "inspect", name], { env: dockerEnvironment });
}

/** What a node image is made of. */
export interface NodeImageSources {
  readonly release: KubernetesRelease;
  readonly host: Host;
  readonly parts: GoParts;
  readonly rootfs: string;
}

/** Makes the node image out of Debian's files, the built programs and the images of the control plane. */
export async function makeNodeImage(name: string, sources: NodeImageSources): Promise<void> {
  await withScratch(async (scratch) => {
    const root = join(scratch, "root");
    await run("cp", ["-a", "--reflink=auto", sources.rootfs, root]);
    await addPrograms(root, sources.parts);
    const images = await makeControlPlaneImages({ ...sources, scratch });
    await configureNode(root, images.pause, sources);
    const archive = join(root, "images.tar");
    await saveImages(images.names, archive);
    await runApart(importScript(root));
    await rm(archive);
    await importNodeImage(root, name, scratch);
  });
}

async function addPrograms(root: string, parts: GoParts): Promise<void> {
  const places: readonly (readonly [string, string, readonly string[]])[] = [
    [parts.containerd, "usr/local/bin", ["containerd", "containerd-shim-runc-v2", "ctr"]],
    [parts.runc, "usr/local/sbin", ["runc"]],
    [parts.cniPlugins, "opt/cni/bin", ["host-local", "loopback", "ptp", "portmap"]],
    [parts.kubernetes, "usr/bin", ["kubelet", "kubeadm", "kubectl"]],
  ];
  for (const [from, to, programs] of places) {
    await mkdir(join(root, to), { recursive: true });
    for (const program of programs) {
      await copyFile(join(from, program), join(root, to, program));
      await chmod(join(root, to, program), 0o755);
    }
  }
}

async function configureNode(
  root: string,
  pause: string,
  { release, host }: Pick<NodeImageSources, "release" | "host">,
): Promise<void> {
  await writeFile(join(root, "kind/version"), `v${release.version}`);
  await mkdir(join(root, "kind/manifests"), { recursive: true });
  await writeFile(join(root, "kind/manifests/default-cni.yaml"), podNetworkManifest());
  await writeFile(join(root, "kind/manifests/default-storage.yaml"), storageClass);
  const file = join(root, "etc/containerd/config.toml");
  const config = await readFile(file, "utf8");
  const changed = config
    .replace(/sandbox_image = .*/, `sandbox_image = "${pause}"`)
    .replace(/restrict_oom_score_adj = .*/, `restrict_oom_score_adj = ${!host.sysResource}`);
  await writeFile(file, changed);
  // As in kind's images/base/Dockerfile.
  await runApart(`mount --bind '${root}' '${root}'; mount -t proc proc '${root}/proc'
    chroot '${root}' bash -euo pipefail -c 'ctr oci spec \\
      | jq ".hooks.createContainer[.hooks.createContainer | length] |= . + {path: \\"/kind/bin/mount-product-files.sh\\"}" \\
      | jq "del(.process.rlimits)" > /etc/containerd/cri-base.json'`);
}

/** Nothing provisions volumes here; kind wants a class of this name. */
const storageClass = `apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: standard}
provisioner: kubernetes.io/no-provisioner
`;

/** Starts the node's containerd in the node's files for as long as it takes to import the images. */
function importScript(root: string): string {
  return `cd '${root}'
    mount -t proc proc proc; mount --rbind /sys sys; mount --rbind /dev dev
    mount -t tmpfs tmpfs run; mount -t tmpfs tmpfs tmp
    chroot . containerd --config /dev/null > tmp/log 2>&1 & containerd=$!
    until chroot . ctr version > /dev/null 2>&1; do
      kill -0 $containerd 2> /dev/null || { cat tmp/log >&2; exit 1; }
      read -rt 0.2 <> <(:) || true
    done
    chroot . ctr -n k8s.io images import /images.tar >&2
    # Each node copies all this: the archives of layers that are unpacked are not needed any more.
    chroot . ctr -n k8s.io content prune references >&2
    kill $containerd; wait $containerd || true`;
}

/** `docker import` cannot set the signal that systemd ends on. */
async function importNodeImage(root: string, name: string, scratch: string): Promise<void> {
  // systemd 256 and later refuses version 1 of the control groups without the argument.
  const entrypoint = ["/usr/local/bin/entrypoint", "/sbin/init", "SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE=1"];
  const changes = ["ENV container=docker", `ENTRYPOINT ${JSON.stringify(entrypoint)}`];
  const options = changes.flatMap((change) => ["--change", change]);
  const script = 'tar -C "$1" --numeric-owner -c . | docker import "${@:3}" - "$2"';
  const unsignalled = `${name}-import`;
  await run("bash", ["-euo", "pipefail", "-c", script, "bash", root, unsignalled, ...options], {
    env: dockerEnvironment,
  });
  const context = join(scratch, "context");
  await mkdir(context);
  await writeFile(join(context, "Dockerfile"), `FROM ${unsignalled}\nSTOPSIGNAL SIGRTMIN+3\n`);
  await docker(["build", "--quiet", "--tag", name, context]);
  await docker(["rmi", "--no-prune", unsignalled]);
}
