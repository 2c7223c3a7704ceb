/** A Deployment that is rolled from one closure to another. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { closureMounts, imageVolumes, type InjectedPod } from "./injected.ts";
import {
  apply,
  isReady,
  kubectl,
  list,
  logs,
  makeNamespace,
  patch,
  removeNamespace,
  restrictedNamespace,
  waitFor,
} from "./kubectl.ts";
import { annotatedPod, baseImage, demoSource, deploymentOf, restrictedContainer, roots } from "./pods.ts";
import { idle, shell } from "./shell.ts";

const namespace = "suite-rollout";
const replicas = 2;

beforeAll(() => makeNamespace(namespace, restrictedNamespace));
afterAll(() => removeNamespace(namespace));

const script = (program: string): readonly string[] => [shell, "-c", `${program}; ${idle}`];

async function rolledOut(): Promise<void> {
  await kubectl(["rollout", "status", "deployment/app", "-n", namespace, "--timeout=30s"]);
}

/** Pods that mount a root, once there are as many as wanted and all of them are ready. */
function generation(root: string): Promise<readonly InjectedPod[]> {
  return waitFor(
    `Pods with ${root}`,
    async () => {
      const pods = await list<InjectedPod>("pods", namespace, "app=app");
      const ours = pods.filter((pod) => closureMounts(pod, "app").includes(root));
      return ours.length === replicas && ours.every(isReady) ? ours : undefined;
    },
    { deadlineMs: 30_000 },
  );
}

function printed(pods: readonly InjectedPod[]): Promise<readonly string[]> {
  return Promise.all(pods.map(({ metadata }) => logs(namespace, metadata.name)));
}

test("both generations run what their closure holds, and share what both need", async () => {
  await apply(deploymentOf(annotatedPod({ name: "app", namespace, command: script("run") }), replicas));
  await rolledOut();
  const first = await generation(roots.hello);
  expect(await printed(first)).toEqual(["Hello, world!\n", "Hello, world!\n"]);

  const container = { name: "app", image: baseImage, securityContext: restrictedContainer };
  await patch("deployment", "app", namespace, {
    spec: {
      template: {
        metadata: { annotations: { "nix.closure": `${demoSource}:${roots.mixed}` } },
        spec: { containers: [{ ...container, command: script("mixed-app") }] },
      },
    },
  });
  await rolledOut();
  const second = await generation(roots.mixed);
  const words = "greeting: from a file store path\nHello, world!\n";
  expect(await printed(second)).toEqual([words, words]);
  expect(second.map((pod) => closureMounts(pod, "app").includes(roots.hello))).toEqual([false, false]);
  const shared = new Set(imageVolumes(first[0]!).values()).intersection(
    new Set(imageVolumes(second[0]!).values()),
  );
  expect(shared.size).toBe(4);

  await kubectl(["rollout", "undo", "deployment/app", "-n", namespace]);
  await rolledOut();
  const third = await generation(roots.hello);
  expect(await printed(third)).toEqual(["Hello, world!\n", "Hello, world!\n"]);
});
