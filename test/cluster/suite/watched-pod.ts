import { expect } from "vitest";
import { recordFigure } from "./counts.ts";
import { apply, eventsOf, kubectl, type PodStatus, waitFor, waitForPod } from "./kubectl.ts";
import { annotatedPod, roots } from "./pods.ts";
import { sumOf } from "./product.ts";

const name = "watched";
/** The kubelet looks at each Pod about once in this time. Milliseconds. */
const syncMs = 60_000;

/** A Pod with many image volumes that only runs, so that it can be seen what that costs. */
export interface WatchedPod {
  /** Records what it has cost until now, after a minute and a half at least, and checks that warnings are found. */
  tell(): Promise<void>;
}

/** Starts it on a node on which no other Pods start meanwhile. */
export async function watchPod(namespace: string, node: string): Promise<WatchedPod> {
  const nobody = { httpGet: { path: "/", port: 1 }, periodSeconds: 5 };
  const pod = annotatedPod({
    name,
    namespace,
    root: roots.python,
    command: ["python3", "-c", "import time; time.sleep(3600)"],
    container: { readinessProbe: nobody },
    spec: { nodeName: node },
  });
  await apply(pod);
  const isRunning = ({ status }: PodStatus): boolean => status.phase === "Running";
  const { spec } = await waitForPod(namespace, name, isRunning);
  const volumes = spec.volumes?.filter(({ image }) => image).length ?? 0;
  const since = Date.now();
  const asked = await imagesAskedFor(node);

  return {
    async tell() {
      await waitFor("a sync of the kubelet", async () => Date.now() > since + 1.5 * syncMs);
      const questions = (await imagesAskedFor(node)) - asked;
      const minutes = (Date.now() - since) / 60_000;
      const { status } = await waitForPod(namespace, name, isRunning);
      expect(status.containerStatuses?.[0]?.restartCount).toBe(0);
      const events = await eventsOf(namespace, "Pod", name);
      const pulls = events.filter(({ reason }) => /^Pull(?:ed|ing)$/.test(reason));
      const repeated = pulls.reduce((sum, { count = 1 }) => sum + count, 0);
      await recordFigure(
        `a running Pod with ${volumes} image volumes, look-ups of images by its kubelet`,
        `${(questions / minutes).toFixed(0)} a minute`,
      );
      await recordFigure(
        `its events after ${minutes.toFixed(1)} min`,
        `${events.length}, of them ${pulls.length} Pulling and Pulled, which count ${repeated}`,
      );
      expect(pulls.length).toBeGreaterThan(0);

      // What matters is found all the same, in both ways that docs/operating.md names.
      const where = ["--namespace", namespace];
      const warnings = await kubectl(["events", ...where, `--for=pod/${name}`, "--types=Warning"]);
      expect(warnings).toContain("Unhealthy");
      expect(warnings).not.toContain("Pull");
      const fields = `involvedObject.name=${name},reason!=Pulled,reason!=Pulling`;
      const options = ["--field-selector", fields, "--output", "jsonpath={.items[*].reason}"];
      const others = (await kubectl(["get", "events", ...where, ...options])).split(" ");
      expect(others).toContain("Unhealthy");
      expect(others).not.toContain("Pulled");
    },
  };
}

/** How often a kubelet has asked its runtime for the state of an image. */
async function imagesAskedFor(node: string): Promise<number> {
  const metrics = await kubectl(["get", "--raw", `/api/v1/nodes/${node}/proxy/metrics`]);
  return sumOf(metrics, "kubelet_runtime_operations_total", { operation_type: "image_status" });
}
