/** The admission plugin AlwaysPullImages, which is after all webhooks and sees every image, those of volumes too. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { waitForProduct } from "../kind/install.ts";
import { type InjectedPod, waitForAll } from "./injected.ts";
import {
  attemptCreate,
  get,
  kubectl,
  logs,
  makeNamespace,
  removeNamespace,
  restrictedNamespace,
  waitFor,
} from "./kubectl.ts";
import { inNode, nodeNames, waitForNode } from "./node.ts";
import { annotatedPod, roots } from "./pods.ts";
import { restorable } from "./restorable.ts";

const namespace = "suite-always-pull";
const manifest = "/etc/kubernetes/manifests/kube-apiserver.yaml";
// Beside the directory that the kubelet reads, on the same file system: to rename is to replace at once.
const kept = "/etc/kubernetes/kube-apiserver.kept.yaml";
const changed = "/etc/kubernetes/kube-apiserver.changed.yaml";

let node: string;

beforeAll(async () => {
  await makeNamespace(namespace, restrictedNamespace);
  ({ controlPlane: node } = await nodeNames());
});

afterAll(() => removeNamespace(namespace));

/**
 * Puts another manifest of the API server in the place of the one there is, and waits until it is obeyed.
 *
 * @param file on the node, renamed
 * @param plugin whether that manifest has the plugin
 */
async function restartWith(file: string, plugin: boolean): Promise<void> {
  // A kubelet that sees the change waits 30 s for an API server that others watch, and 10 s more before the next one:
  // by then the scheduler has lost its lease and waits too.
  await inNode(node, "systemctl", "stop", "kubelet");
  try {
    await inNode(node, "mv", file, manifest);
    await inNode(node, "pkill", "-KILL", "-x", "kube-apiserver");
  } finally {
    await inNode(node, "systemctl", "start", "kubelet");
  }
  await waitForPlugin(plugin);
}

/** Waits until the API server that answers has the plugin, or has it no more. */
async function waitForPlugin(wanted: boolean): Promise<void> {
  const pod = JSON.stringify(annotatedPod({ name: "probe", namespace }));
  const create = ["create", "--dry-run=server", "-o", "json", "-f", "-", "--request-timeout=5s"];
  const policy = wanted ? "Always" : "IfNotPresent";
  const answers = async (): Promise<boolean> => {
    const made = JSON.parse(await kubectl(create, pod)) as InjectedPod;
    return made.spec.containers[0]?.imagePullPolicy === policy;
  };
  await waitFor(`an API server ${wanted ? "with" : "without"} AlwaysPullImages`, answers, {
    deadlineMs: 90_000,
    everyMs: 500,
  });
}

test("annotated and restored Pods run, and pull their closure each time", async () => {
  await inNode(node, "cp", "--preserve", manifest, kept);
  try {
    const edit = "s/--enable-admission-plugins=\\S*/&,AlwaysPullImages/";
    await inNode(node, "sh", "-c", `sed '${edit}' ${manifest} > ${changed}`);
    await restartWith(changed, true);
    const mixed = { root: roots.mixed, command: ["mixed-app"] };
    const pods = [
      annotatedPod({ name: "per-path", namespace, ...mixed }),
      annotatedPod({
        name: "bundle",
        namespace,
        ...mixed,
        annotations: { "nix.closure/strategy": "bundle" },
      }),
    ];
    expect(await attemptCreate(...pods)).toMatchObject({ ok: true });
    const [first] = await waitForAll(namespace, ["per-path", "bundle"], 60_000);
    const policies = first!.spec.volumes?.map(({ image }) => image?.pullPolicy);
    expect(policies).toEqual(Array.from({ length: 6 }, () => "Always"));
    const printed = "greeting: from a file store path\nHello, world!\n";
    expect(await logs(namespace, "per-path")).toBe(printed);
    expect(await logs(namespace, "bundle")).toBe(printed);

    await kubectl(["delete", "pod", "per-path", "-n", namespace]);
    expect(await attemptCreate(restorable(first!))).toMatchObject({ ok: true });
    await waitForAll(namespace, ["per-path"], 60_000);
    const again = await get<InjectedPod>("pod", "per-path", namespace);
    expect(again.spec.volumes).toEqual(first!.spec.volumes);
    expect(await logs(namespace, "per-path")).toBe(printed);
  } finally {
    await restartWith(kept, false);
    await waitForNode(node, true);
    await waitForProduct();
  }
});
