import { join } from "node:path";
import { buildGoModule, type GoModule } from "../../programs/go-module.ts";
import { cacheDirectory } from "./cache.ts";
import { run } from "./command.ts";
import { companionVersions, moduleVersions, type KubernetesRelease } from "./versions.ts";

/** Directories with the built programs. */
export interface GoParts {
  readonly kubernetes: string;
  readonly containerd: string;
  readonly runc: string;
  readonly etcd: string;
  readonly coredns: string;
  readonly cniPlugins: string;
}

const kind: GoModule = {
  name: "kind",
  module: "sigs.k8s.io/kind",
  version: moduleVersions.kind,
  packages: ["."],
};

type OtherPart = GoModule & { readonly name: Exclude<keyof GoParts, "kubernetes"> };

const parts: readonly OtherPart[] = [
  {
    name: "containerd",
    module: "github.com/containerd/containerd/v2",
    version: moduleVersions.containerd,
    packages: ["cmd/containerd", "cmd/containerd-shim-runc-v2", "cmd/ctr"],
    tags: "no_btrfs no_devmapper no_zfs",
  },
  {
    name: "runc",
    module: "github.com/opencontainers/runc",
    version: moduleVersions.runc,
    packages: ["."],
    tags: "seccomp",
    cgo: true,
  },
  {
    name: "cniPlugins",
    module: "github.com/containernetworking/plugins",
    version: moduleVersions.cniPlugins,
    packages: [
      "plugins/main/ptp",
      "plugins/main/loopback",
      "plugins/ipam/host-local",
      "plugins/meta/portmap",
    ],
  },
];

/** What kubeadm's manifests are written for. */
async function companionParts(kubeadm: string, release: KubernetesRelease): Promise<readonly OtherPart[]> {
  const { etcd, coredns } = companionVersions(await kubeadmImages(kubeadm, release));
  return [
    {
      name: "etcd",
      module: "go.etcd.io/etcd/server/v3",
      version: etcd,
      packages: ["."],
      program: "etcd",
    },
    { name: "coredns", module: "github.com/coredns/coredns", version: coredns, packages: ["."] },
  ];
}

/** Names of the images that a control plane of kubeadm's is made of. */
export async function kubeadmImages(kubeadm: string, release: KubernetesRelease): Promise<readonly string[]> {
  const listed = await run(kubeadm, ["config", "images", "list", "--kubernetes-version", release.version]);
  return listed.trim().split("\n");
}

/** Builds kind; returns the program. */
export async function buildKind(): Promise<string> {
  return join(await buildPart(kind), "kind");
}

/** Builds everything that runs on a node. */
export async function buildParts(
  release: KubernetesRelease,
  onPart: (name: string) => void,
): Promise<GoParts> {
  const directories: Record<string, string> = {};
  onPart(`Kubernetes ${release.version}`);
  const kubernetes = await buildPart(kubernetesPart(release));
  directories["kubernetes"] = kubernetes;
  for (const part of [...parts, ...(await companionParts(join(kubernetes, "kubeadm"), release))]) {
    onPart(`${part.name} ${part.version.slice(1)}`);
    directories[part.name] = await buildPart(part);
  }
  return directories as unknown as GoParts;
}

function kubernetesPart({ version, major, minor }: KubernetesRelease): GoModule {
  const variables = "k8s.io/component-base/version";
  return {
    name: "kubernetes",
    module: "k8s.io/kubernetes",
    version: `v${version}`,
    packages: ["kube-apiserver", "kubelet", "kube-scheduler", "kube-controller-manager", "kube-proxy"]
      .concat(["kubeadm", "kubectl"])
      .map((command) => `cmd/${command}`),
    linkerFlags: `-X ${variables}.gitVersion=v${version} -X ${variables}.gitMajor=${major} -X ${variables}.gitMinor=${minor}`,
  };
}

function buildPart(part: GoModule): Promise<string> {
  return buildGoModule(part, join(cacheDirectory, "parts"));
}
