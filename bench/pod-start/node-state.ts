import { inNode } from "../../test/cluster/suite/node.ts";
import { registryNamespace, sumOf } from "../../test/cluster/suite/product.ts";
import type { Pod, PodApi } from "./pod-api.ts";
import type { PodWatch } from "./pod-watch.ts";
import { namespace } from "./workloads.ts";

const admin = "http://127.0.0.1:5418";
const ctr = "ctr --namespace k8s.io";
/** From the end of a Pod until nothing of it is left on its node. Milliseconds. */
const forgetMs = 90_000;
const registryMs = 60_000;

/** What a node has of images, to come back to. */
export interface NodeContents {
  /** Of the node, with the names of its images. */
  readonly file: string;
  /** Unpacked layers. */
  readonly layers: number;
  readonly blobs: number;
}

const countImages = `echo $(${ctr} snapshots list | grep -c ' Committed') $(${ctr} content list --quiet | wc --lines)`;

/** Reads what containerd has on a node. @param name of what is read, which is another one each time */
export async function readContents(node: string, name: string): Promise<NodeContents> {
  const file = `/tmp/images-${name}`;
  const script = `${ctr} images list --quiet | sort > ${file}; ${countImages}`;
  const [layers, blobs] = (await inNode(node, "bash", "-c", script)).trim().split(" ");
  return { file, layers: Number(layers), blobs: Number(blobs) };
}

/**
 * Takes the images from a node that it did not have before, with their layers. There must be no Pods of them.
 *
 * A kubelet removes what is left of a Pod after up to a minute, and until then it holds the layers of its images: dead
 * containers are removed here too.
 *
 * @throws Error if something stays
 */
export async function forgetSince(node: string, { file, layers, blobs }: NodeContents): Promise<void> {
  const ours = `labels."io.kubernetes.pod.namespace"==${namespace},labels."io.cri-containerd.kind"==container`;
  const script = `for ((try = 0; try < ${forgetMs / 200}; try++)); do
      running=" $(${ctr} tasks list --quiet | tr '\\n' ' ')"
      for container in $(${ctr} containers list --quiet '${ours}'); do
        case "$running" in *" $container "*) ;; *) ${ctr} containers delete "$container" ;; esac
      done
      ${ctr} images list --quiet | sort | comm -13 ${file} - | xargs --no-run-if-empty ${ctr} images remove --sync > /dev/null
      read -r layers blobs < <(${countImages})
      ((layers <= ${layers} && blobs <= ${blobs})) && exit 0
      sleep 0.2
    done
    echo "it keeps $layers layers and $blobs blobs; it had ${layers} and ${blobs}" >&2; exit 1`;
  await inNode(node, "bash", "-c", script);
}

/** Replaces a node's registry by one that has nothing. Waits until it serves. */
export async function renewRegistry(api: PodApi, registries: PodWatch, node: string): Promise<void> {
  const onNode = ({ spec }: Pod): boolean => spec.nodeName === node;
  const old = await registries.until(
    `a registry on ${node}`,
    (pods) => [...pods.values()].find(onNode),
    registryMs,
  );
  await api.delete(registryNamespace, old.metadata.name);
  await untilGone(registries, [old.metadata.name]);
  await untilServing(node);
}

/** Waits until Pods are gone from the API server. */
export async function untilGone(watch: PodWatch, names: readonly string[]): Promise<void> {
  await watch.until("the end of Pods", (pods) => names.every((name) => !pods.has(name)), registryMs);
}

/** Waits until a node's registry serves. */
export async function untilServing(node: string): Promise<void> {
  const script = `for ((try = 0; try < ${registryMs / 100}; try++)); do
    curl --silent --fail --output /dev/null --max-time 1 ${admin}/readyz && exit 0
    sleep 0.1
  done; exit 1`;
  await inNode(node, "bash", "-c", script);
}

/** Counters of a node. */
export interface NodeCounters {
  /** Bytes of blobs and manifests that our registry has sent. */
  readonly sentBytes: number;
  /** Bytes that came to the node over the network. */
  readonly receivedBytes: number;
}

/** Reads the counters; our registry must serve. */
export async function readCounters(node: string): Promise<NodeCounters> {
  const script = `cat /sys/class/net/eth0/statistics/rx_bytes; curl --silent --fail --max-time 5 ${admin}/metrics`;
  const text = await inNode(node, "bash", "-c", script);
  return {
    receivedBytes: Number(text.split("\n", 1)[0]),
    sentBytes: sumOf(text, "nix_closure_registry_bytes_total"),
  };
}

/**
 * When containers were started, in milliseconds since the epoch. A Pod's status has whole seconds, and its kubelet looks
 * about once a second what has become of containers; the container runtime's own record is exact.
 *
 * @param ids without "containerd://"
 */
export async function startTimes(node: string, ids: readonly string[]): Promise<readonly number[]> {
  // containerd, internal/cri/store/container/status.go: a checkpoint of each container.
  const files = ids.map((id) => `/var/lib/containerd/io.containerd.grpc.v1.cri/containers/${id}/status`);
  const texts = await inNode(node, "bash", "-c", files.map((file) => `cat ${file}; echo`).join("; "));
  const times = texts
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => (JSON.parse(line) as { readonly StartedAt: number }).StartedAt / 1e6);
  if (times.length !== ids.length || times.some((time) => time === 0))
    throw new Error(`${node}: ${ids.length} containers, ${times.length} records of their starts`);
  return times;
}
