import { cp, mkdir, writeFile, appendFile } from "node:fs/promises";
import { join } from "node:path";
import { cachedDirectory } from "../../programs/cache.ts";
import { moduleDirectory } from "../../programs/go-module.ts";
import { cacheDirectory, recipeKey } from "./cache.ts";
import { run, runApart } from "./command.ts";
import { debianRelease, moduleVersions } from "./versions.ts";

/** What kind's images/base/Dockerfile installs, less network storage, plus what a minimal Debian lacks for its scripts. */
const nodePackages = [
  "systemd conntrack iptables nftables iproute2 ethtool util-linux mount kmod libseccomp2 bash ca-certificates",
  "curl jq procps e2fsprogs pigz findutils grep sed gawk hostname",
].flatMap((line) => line.split(" "));

/** Debian for a node, with kind's files and services, and without any part of Kubernetes. */
export async function makeNodeRootfs(): Promise<string> {
  const key = await recipeKey(["node-rootfs.ts"], debianRelease, moduleVersions.kind);
  return cachedDirectory(join(cacheDirectory, `rootfs-node-${key}`), async (root) => {
    await debootstrap(root, nodePackages);
    await addKindFiles(root);
    await runApart(`chroot '${root}' bash -euc '${serviceCleanUp}'`);
  });
}

/** Debian for the product's image where no base image can be pulled: what the Containerfile expects of its base. */
export async function makeBaseRootfs(): Promise<string> {
  const packages = ["ca-certificates", "xz-utils", "zstd", "libstdc++6"];
  const key = await recipeKey(["node-rootfs.ts"], debianRelease, packages);
  return cachedDirectory(join(cacheDirectory, `rootfs-base-${key}`), (root) => debootstrap(root, packages));
}

async function debootstrap(root: string, packages: readonly string[]): Promise<void> {
  const downloads = join(cacheDirectory, "packages");
  await mkdir(downloads, { recursive: true });
  const options = ["--variant=minbase", `--cache-dir=${downloads}`, `--include=${packages.join(",")}`];
  await run("nice", ["debootstrap", ...options, debianRelease, root]);
  await runApart(
    `chroot '${root}' sh -c 'apt-get clean; rm -rf /var/lib/apt/lists/* /var/log/* /usr/share/doc/* /usr/share/man/*'`,
  );
}

/** Copies images/base/files of kind's module with the modes of its Dockerfile: the module cache has them read-only. */
async function addKindFiles(root: string): Promise<void> {
  const files = join(await moduleDirectory("sigs.k8s.io/kind", moduleVersions.kind), "images/base/files");
  for (const directory of ["etc", "kind", "usr"])
    await cp(join(files, directory), join(root, directory), { recursive: true });
  const script = `cd '${root}'
    (cd '${files}' && find etc kind usr -type d) | xargs chmod 0755
    (cd '${files}' && find etc kind -type f) | xargs chmod 0644
    (cd '${files}' && find usr/local/bin kind/bin -type f) | xargs chmod 0755`;
  await run("bash", ["-euo", "pipefail", "-c", script]);
  await appendFile(join(root, "etc/systemd/journald.conf"), "ReadKMsg=no\n");
  await mkdir(join(root, "etc/kubernetes/manifests"), { recursive: true });
  // kind's entrypoint writes a new one for each node.
  await writeFile(join(root, "etc/machine-id"), "");
}

/** As in kind's images/base/Dockerfile. */
const serviceCleanUp = `
  find /lib/systemd/system/sysinit.target.wants/ -name systemd-tmpfiles-setup.service -delete
  rm -f /lib/systemd/system/multi-user.target.wants/* /etc/systemd/system/*.wants/*
  rm -f /lib/systemd/system/local-fs.target.wants/* /lib/systemd/system/sockets.target.wants/*udev*
  rm -f /lib/systemd/system/sockets.target.wants/*initctl* /lib/systemd/system/basic.target.wants/*
  ln -sf /usr/lib/systemd/systemd /sbin/init
  systemctl enable kubelet.service containerd.service undo-mount-hacks.service
  systemctl mask systemd-binfmt.service`;
