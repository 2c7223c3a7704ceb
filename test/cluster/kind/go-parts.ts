import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { cachedDirectory, recipeKey } from "./cache.ts";
import { run } from "./command.ts";
import { companionVersions, moduleVersions, type KubernetesRelease } from "./versions.ts";

/** Programs of one Go module. Each module is built alone: their dependencies disagree. */
interface GoPart {
  readonly name: string;
  readonly module: string;
  readonly version: string;
  /** Packages of commands, relative to the module. */
  readonly packages: readonly string[];
  readonly tags?: string;
  readonly cgo?: boolean;
  readonly linkerFlags?: string;
  /** Name of the one program, where it is not the last part of the package. */
  readonly program?: string;
}

/** Directories with the built programs. */
export interface GoParts {
  readonly kubernetes: string;
  readonly containerd: string;
  readonly runc: string;
  readonly etcd: string;
  readonly coredns: string;
  readonly cniPlugins: string;
}

const kind: GoPart = {
  name: "kind",
  module: "sigs.k8s.io/kind",
  version: moduleVersions.kind,
  packages: ["."],
};

type OtherPart = GoPart & { readonly name: Exclude<keyof GoParts, "kubernetes"> };

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

/** Where the Go module cache has the files of a module. */
export async function moduleDirectory(module: string, version: string): Promise<string> {
  const { Dir } = JSON.parse(await run("go", ["mod", "download", "-json", `${module}@${version}`])) as {
    Dir: string;
  };
  return Dir;
}

function kubernetesPart({ version, major, minor }: KubernetesRelease): GoPart {
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

async function buildPart(part: GoPart): Promise<string> {
  const key = await recipeKey([], part);
  return cachedDirectory(join("parts", `${part.name}-${part.version}-${key}`), async (directory) => {
    const source = join(directory, "source");
    await mkdir(source);
    await writeFile(join(source, "go.mod"), await wrapperModule(part));
    const packages = part.packages.map((name) =>
      name === "." ? part.module : `${part.module}/${name.replace(/^\.\//, "")}`,
    );
    await writeFile(join(source, "tools.go"), wrapperImports(packages));
    const go = (...args: string[]): Promise<string> =>
      run("nice", ["go", ...args], {
        cwd: source,
        env: {
          GOFLAGS: "-mod=mod -buildvcs=false",
          GOWORK: "off",
          CGO_ENABLED: part.cgo === true ? "1" : "0",
        },
      });
    // -e: packages that only tests of dependencies import need not exist.
    await go("mod", "tidy", "-e");
    const flags = ["-trimpath", "-ldflags", `-s -w ${part.linkerFlags ?? ""}`, "-tags", part.tags ?? ""];
    const target = part.program === undefined ? `${directory}/` : join(directory, part.program);
    await go("build", ...flags, "-o", target, ...packages);
  });
}

/**
 * A module that requires the part's module alone. A module that keeps its own dependencies in its tree (Kubernetes,
 * etcd) names them by relative paths, which hold only there: the same modules are published under the version that
 * staging/publishing of Kubernetes gives them, v0.36.3 for 1.36.3.
 */
async function wrapperModule({ module, version }: GoPart): Promise<string> {
  const goMod = await readFile(join(await moduleDirectory(module, version), "go.mod"), "utf8");
  const go = /^go (\S+)$/m.exec(goMod)?.[1] ?? "1.25";
  const staged = [...goMod.matchAll(/^\s*(?:replace )?(k8s\.io\/\S+) => \.\/staging\//gm)].map(
    ([, name]) => `replace ${name} => ${name} ${version.replace(/^v1\./, "v0.")}`,
  );
  return [`module nix-closure.test/part`, `go ${go}`, `require ${module} ${version}`, ...staged, ""].join(
    "\n",
  );
}

/** A file by which `go mod tidy` knows what is needed; it is never compiled. */
function wrapperImports(packages: readonly string[]): string {
  const imports = packages.map((name) => `import _ "${name}"`);
  return ["//go:build tools", "", "package part", "", ...imports, ""].join("\n");
}
