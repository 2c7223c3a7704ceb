/** Another mutating webhook, which the API server calls after ours and which adds a container. */
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { run } from "../kind/command.ts";
import { productImage } from "../kind/product-image.ts";
import { closureMounts, containerOf, type InjectedPod, waitForAll } from "./injected.ts";
import {
  apply,
  attemptCreate,
  get,
  kubectl,
  logs,
  makeNamespace,
  remove,
  removeNamespace,
  restrictedNamespace,
  waitFor,
} from "./kubectl.ts";
import {
  annotatedPod,
  type Container,
  type KubernetesObject,
  plainPod,
  restrictedContainer,
} from "./pods.ts";
import { secondWebhook, sidecarAnnotation } from "./second-webhook.ts";

const namespace = "suite-second-webhook";
const pods = "suite-sidecars";

let configuration: KubernetesObject;

beforeAll(async () => {
  await Promise.all([
    makeNamespace(namespace, restrictedNamespace),
    makeNamespace(pods, restrictedNamespace),
  ]);
  const objects = secondWebhook({ namespace, watched: pods, ...(await certificate()) });
  await apply(...objects.serving);
  await kubectl(["rollout", "status", "deployment/sidecars", "-n", namespace, "--timeout=60s"]);
  configuration = objects.configuration;
  await apply(configuration);
  await waitFor("the second webhook's first container", async () => {
    const probe = plainPod({ name: "probe", namespace: pods, annotations: added({}) });
    const made = await kubectl(
      ["create", "--dry-run=server", "-f", "-", "-o", "json"],
      JSON.stringify(probe),
    );
    return (JSON.parse(made) as InjectedPod).spec.containers.length === 2;
  });
});

afterAll(async () => {
  await remove(configuration);
  await Promise.all([removeNamespace(namespace), removeNamespace(pods)]);
});

async function certificate(): Promise<{ readonly ca: string; readonly cert: string; readonly key: string }> {
  const out = await mkdtemp(join(tmpdir(), "nix-closure-second-webhook-"));
  try {
    const service = ["--service", "sidecars", "--namespace", namespace];
    await run(process.execPath, ["bin/nix-closure.js", "certs", "--out", out, "--days", "1", ...service]);
    const read = (name: string): Promise<string> => readFile(join(out, name), "utf8");
    return { ca: await read("ca.pem"), cert: await read("tls.pem"), key: await read("tls.key") };
  } finally {
    await rm(out, { recursive: true, force: true });
  }
}

/** Asks the second webhook for a container "agent". */
function added(container: Partial<Container>): Record<string, string> {
  const agent = {
    name: "agent",
    image: productImage,
    imagePullPolicy: "Never",
    command: ["node", "-e", "console.log(fs.existsSync('/nix'))"],
    securityContext: restrictedContainer,
    ...container,
  };
  return { [sidecarAnnotation]: JSON.stringify(agent) };
}

async function runPod(name: string, annotations: Record<string, string>): Promise<InjectedPod> {
  const pod = annotatedPod({ name, namespace: pods, annotations });
  expect(await attemptCreate(pod)).toMatchObject({ ok: true });
  await waitForAll(pods, [name], 60_000);
  return get<InjectedPod>("pod", name, pods);
}

test("a container that is named in nix.closure/containers gets the closure when it comes", async () => {
  const agent = added({ image: "nix.closure/base", imagePullPolicy: "IfNotPresent", command: ["run"] });
  const pod = await runPod("named", { ...agent, "nix.closure/containers": "app, agent" });
  expect(await logs(pods, "named", "-c", "app")).toBe("Hello, world!\n");
  expect(await logs(pods, "named", "-c", "agent")).toBe("Hello, world!\n");
  expect(closureMounts(pod, "agent")).toEqual(closureMounts(pod, "app"));
  expect(containerOf(pod, "agent").image).toBe(containerOf(pod, "app").image);
  // Our webhook was first, so only its second call can have given the agent its mounts.
  expect(pod.metadata.annotations).toMatchObject({ [`${sidecarAnnotation}-found-volumes`]: "5" });
});

test("a container that is not named is left alone, and the Pod runs", async () => {
  const pod = await runPod("unnamed", added({}));
  expect(await logs(pods, "unnamed", "-c", "app")).toBe("Hello, world!\n");
  expect(await logs(pods, "unnamed", "-c", "agent")).toBe("false\n");
  expect(closureMounts(pod, "agent")).toEqual([]);
  expect(pod.metadata.annotations).toMatchObject({ [`${sidecarAnnotation}-found-volumes`]: "5" });
});

test("one with the base image that is not named gets that, and still no closure", async () => {
  const annotations = added({ image: "nix.closure/base", command: ["run"] });
  const pod = JSON.stringify(annotatedPod({ name: "left", namespace: pods, annotations }));
  const text = await kubectl(["create", "--dry-run=server", "-o", "json", "-f", "-"], pod);
  const made = JSON.parse(text) as InjectedPod;
  expect(containerOf(made, "agent").image).toBe(containerOf(made, "app").image);
  expect(containerOf(made, "agent").image).toMatch(/^localhost:5417\/base:/);
  expect(closureMounts(made, "agent")).toEqual([]);
  expect(closureMounts(made, "app")).toHaveLength(6);
});
