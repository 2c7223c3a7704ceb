import { run } from "../kind/command.ts";
import { clusterEnvironment, engineOf, programsDirectory, recordedCluster } from "../kind/cluster.ts";
import { productImage } from "../kind/product-image.ts";
import { kubectl, waitFor } from "./kubectl.ts";
import { docker, inNode } from "./node.ts";

/** What docker says of a node's container, as far as another one needs it. */
interface NodeContainer {
  readonly Config: {
    readonly Image: string;
    readonly Env: readonly string[];
    readonly Labels: Readonly<Record<string, string>>;
  };
  readonly HostConfig: {
    readonly Binds: readonly string[];
    readonly CgroupnsMode: string;
    readonly NetworkMode: string;
    readonly SecurityOpt: readonly string[];
    readonly Tmpfs: Readonly<Record<string, string>>;
  };
  readonly NetworkSettings: {
    readonly Networks: Readonly<Record<string, { readonly IPAddress: string }>>;
  };
}

async function inspect(node: string): Promise<NodeContainer> {
  const [container] = JSON.parse(await docker("inspect", node)) as NodeContainer[];
  if (container === undefined) throw new Error(`there is no container ${node}`);
  return container;
}

/** Starts a machine that is no node yet, as kind started a worker, with the product's image on it. */
export async function startMachine(name: string, worker: string): Promise<void> {
  const { Config, HostConfig } = await inspect(worker);
  const labels = Object.entries(Config.Labels).map(([key, value]) => `${key}=${value}`);
  const options = [
    ["--detach", "--tty", "--privileged", "--init=false", "--hostname", name, "--name", name],
    ["--net", HostConfig.NetworkMode, "--cgroupns", HostConfig.CgroupnsMode, "--volume", "/var"],
    HostConfig.SecurityOpt.flatMap((option) => ["--security-opt", option]),
    Object.keys(HostConfig.Tmpfs).flatMap((path) => ["--tmpfs", path]),
    HostConfig.Binds.flatMap((bind) => ["--volume", bind]),
    Config.Env.flatMap((variable) => ["--env", variable]),
    labels.flatMap((label) => ["--label", label]),
  ];
  await docker("run", ...options.flat(), Config.Image);
  await waitFor("its containerd", () => inNode(name, "ctr", "version"), { deadlineMs: 30_000 });
  const cluster = await recordedCluster();
  if (cluster === undefined) throw new Error("there is no cluster");
  const env = clusterEnvironment(engineOf(cluster));
  const load = ["load", "docker-image", productImage, "--name", cluster.name, "--nodes", name];
  await run(`${programsDirectory}/kind`, load, { env });
}

/** Makes it a node: `kubeadm join` with the configuration that kind wrote for a worker, and a token of its own. */
export async function joinCluster(name: string, worker: string, controlPlane: string): Promise<void> {
  const config = await inNode(worker, "cat", "/kind/kubeadm.conf");
  const token = (await inNode(controlPlane, "kubeadm", "token", "create", "--ttl", "10m")).trim();
  const [from, to] = await Promise.all([worker, name].map(addressOf));
  const own = config
    .replaceAll(`/${worker}\n`, `/${name}\n`)
    .replaceAll(`value: ${from}\n`, `value: ${to}\n`)
    .replaceAll(`advertiseAddress: ${from}\n`, `advertiseAddress: ${to}\n`)
    .replaceAll(/token: \S+/g, `token: ${token}`);
  const encoded = Buffer.from(own).toString("base64");
  await inNode(name, "bash", "-c", `echo ${encoded} | base64 --decode > /kind/kubeadm.conf`);
  await inNode(name, "kubeadm", "join", "--config", "/kind/kubeadm.conf", "--skip-phases=preflight");
}

async function addressOf(node: string): Promise<string> {
  const { NetworkSettings } = await inspect(node);
  const [network] = Object.values(NetworkSettings.Networks);
  return network?.IPAddress ?? "";
}

/** Takes a node away as if it had never been. */
export async function removeNode(name: string): Promise<void> {
  await kubectl(["delete", "node", name, "--ignore-not-found"]);
  await docker("rm", "--force", "--volumes", name).catch((error: Error) => {
    if (!/No such container/.test(error.message)) throw error;
  });
}
