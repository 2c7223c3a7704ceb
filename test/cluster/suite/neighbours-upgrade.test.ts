/** A rolling upgrade to a build that converts otherwise, and back, while annotated Pods are created every second. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { waitForProduct } from "../kind/install.ts";
import { productImage } from "../kind/product-image.ts";
import { loadImage } from "./built-image.ts";
import { recordFigure } from "./counts.ts";
import { imageVolumes, type InjectedPod, waitForAll } from "./injected.ts";
import {
  type Attempt,
  attemptCreate,
  get,
  kubectl,
  list,
  makeNamespace,
  removeNamespace,
  restrictedNamespace,
} from "./kubectl.ts";
import { docker } from "./node.ts";
import { annotatedPod, demoSource, type KubernetesObject, roots, untilItEndsWell } from "./pods.ts";
import { restorable } from "./restorable.ts";

const namespace = "suite-upgrade";
const nextImage = "nix-closure:next";
const file = "dist/plan/image-name.js";

beforeAll(async () => {
  await Promise.all([makeNamespace(namespace, restrictedNamespace), buildNext()]);
});

afterAll(async () => {
  await setImage(["registry", "webhook"], productImage);
  await waitForProduct();
  await removeNamespace(namespace);
  await docker("image", "rm", nextImage);
});

/** The product's image with conversion version 2. */
async function buildNext(): Promise<void> {
  const source = await docker("run", "--rm", "--entrypoint", "cat", productImage, `/opt/nix-closure/${file}`);
  const changed = source.replace("conversionVersion = 1;", "conversionVersion = 2;");
  if (changed === source) throw new Error(`${file} of ${productImage} has not the conversion version 1`);
  const context = await mkdtemp(join(tmpdir(), "nix-closure-next-"));
  try {
    await writeFile(join(context, "image-name.js"), changed, { mode: 0o644 });
    await writeFile(
      join(context, "Dockerfile"),
      `FROM ${productImage}\nCOPY image-name.js /opt/nix-closure/${file}\n`,
    );
    await docker("build", "--quiet", "--tag", nextImage, context);
  } finally {
    await rm(context, { recursive: true, force: true });
  }
  await loadImage(nextImage);
}

const workloads = {
  registry: { name: "daemonset/nix-closure-registry", namespace: "nix-closure-registry" },
  webhook: { name: "deployment/nix-closure-webhook", namespace: "nix-closure" },
} as const;

type Part = keyof typeof workloads;

/** Rolls parts to an image, one after the other. */
async function setImage(order: readonly Part[], image: string): Promise<void> {
  for (const part of order) {
    const { name, namespace: where } = workloads[part];
    await kubectl(["set", "image", name, "-n", where, `${part}=${image}`]);
    await kubectl(["rollout", "status", name, "-n", where, "--timeout=300s"]);
  }
}

/** A Pod of a small closure in volumes, or of one in a store image that no node has for another reason. */
function streamed(name: string, number: number): KubernetesObject {
  if (number % 2 === 0) return annotatedPod({ name, namespace, spec: untilItEndsWell });
  const annotations = {
    "nix.closure": `${demoSource}: ${roots.hello} ${roots.nginx}`,
    "nix.closure/strategy": "bundle",
  };
  return annotatedPod({ name, namespace, annotations, spec: untilItEndsWell });
}

/** A stream of Pods that are really created, one a second. */
function startStream(): { stop(): Promise<readonly { readonly name: string; readonly made: Attempt }[]> } {
  const stopped = new AbortController();
  const creations: Promise<{ name: string; made: Attempt }>[] = [];
  const create = async (number: number): Promise<{ name: string; made: Attempt }> => {
    const name = `stream-${number}`;
    return { name, made: await attemptCreate(streamed(name, number)) };
  };
  const running = (async () => {
    while (!stopped.signal.aborted) {
      creations.push(create(creations.length));
      await Promise.all([
        creations.at(-1),
        delay(1000, undefined, { signal: stopped.signal }).catch(() => {}),
      ]);
    }
  })();
  return {
    async stop() {
      stopped.abort();
      await running;
      return Promise.all(creations);
    },
  };
}

/** Tags of the images of path volumes that a Pod has. */
const versions = (pod: InjectedPod): readonly string[] => [
  ...new Set(
    [...imageVolumes(pod).values()].map((reference) => reference.replace(/^.*:(\d+)(?:-.*)?$/, "$1")),
  ),
];

test("every Pod starts, whichever part comes first", { timeout: 900_000 }, async () => {
  const stream = startStream();
  let created: Awaited<ReturnType<typeof stream.stop>> = [];
  const restored: { name: string; before: InjectedPod; after: InjectedPod }[] = [];
  try {
    // First an old registry is asked for images of a version that it does not know,
    await setImage(["webhook", "registry"], nextImage);
    const [first] = await waitForAll(namespace, ["stream-0"]);
    const backup = restorable({ ...first!, metadata: { ...first!.metadata, name: "restored" } });
    expect(await attemptCreate(backup)).toMatchObject({ ok: true });
    const after = await get<InjectedPod>("pod", "restored", namespace);
    restored.push({ name: "restored", before: first!, after });
    // and then a new one for those of the version before.
    await setImage(["webhook", "registry"], productImage);
  } finally {
    created = await stream.stop();
  }
  expect(created.filter(({ made }) => !made.ok)).toEqual([]);
  const names = created.map(({ name }) => name);
  const pods = await waitForAll(namespace, [...names, "restored"], 240_000);
  const seen = new Set(pods.flatMap(versions));
  expect(seen).toEqual(new Set(["1", "2"]));
  for (const { before, after } of restored) expect(after.spec.volumes).toEqual(before.spec.volumes);
  await recordFigure("rolling upgrade and back between conversion versions", await figures(pods));
});

/** How long Pods took, and how many had to try a pull again. */
async function figures(pods: readonly InjectedPod[]): Promise<string> {
  const events = await list<{ readonly reason: string; readonly involvedObject: { readonly name: string } }>(
    "events",
    namespace,
  );
  const retried = new Set(
    events.filter(({ reason }) => reason === "Failed").map(({ involvedObject }) => involvedObject.name),
  );
  const seconds = pods.map(secondsToEnd).toSorted((a, b) => a - b);
  const middle = seconds[Math.floor(seconds.length / 2)];
  return `${pods.length} Pods, all ended well after ${middle} s (median), ${seconds.at(-1)} s at most; ${retried.size} had to pull again`;
}

function secondsToEnd({ metadata, status }: InjectedPod): number {
  const { creationTimestamp } = metadata as { readonly creationTimestamp?: string };
  const { finishedAt } = (status.containerStatuses?.[0]?.state["terminated"] ?? {}) as {
    finishedAt?: string;
  };
  return (Date.parse(finishedAt ?? "") - Date.parse(creationTimestamp ?? "")) / 1000;
}
