/** Installation and removal, as docs/kind.md says and with manifests/install.yaml. */
import { readFile } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parseAllDocuments } from "yaml";
import { projectRoot } from "../kind/cache.ts";
import { run } from "../kind/command.ts";
import { matchesTranscript } from "../kind/doc-commands.ts";
import type { Engine } from "../kind/engine.ts";
import { clusterEnvironment, engineOf, recordedCluster } from "../kind/cluster.ts";
import { installProduct, isProductReady, kindOverlay, waitForProduct } from "../kind/install.ts";
import { kindTranscripts, runKindSection } from "./kind-page.ts";
import {
  attempt,
  attemptCreate,
  kubectl,
  list,
  logs,
  makeNamespace,
  type PodStatus,
  removeNamespace,
  restrictedNamespace,
  waitFor,
  waitForReady,
  waitForSuccess,
} from "./kubectl.ts";
import { annotatedPod, plainPod } from "./pods.ts";

const namespace = "suite-install";
const install = ["-f", "manifests/install.yaml"];
const examples = ["-k", "manifests/examples"];
const overlay = ["-k", kindOverlay];

let engine: Engine;

beforeAll(async () => {
  const cluster = await recordedCluster();
  if (cluster === undefined) throw new Error("there is no cluster");
  engine = engineOf(cluster);
  await makeNamespace(namespace, restrictedNamespace);
});

afterAll(async () => {
  await removeNamespace(namespace);
  // Whatever has failed here: the other files need the product.
  if (!(await isProductReady())) await installProduct();
});

/** Names of the objects of manifests that the API server has. */
async function existing(manifests: readonly string[]): Promise<readonly string[]> {
  const names = await kubectl(["get", ...manifests, "--ignore-not-found", "--output", "name"]);
  return names.split("\n").filter((name) => name !== "");
}

/** A plain Pod comes to run with the volumes and images that it was written with. */
async function expectPlainPodsUntouched(name: string): Promise<void> {
  const pod = plainPod({ name, namespace });
  expect(await attemptCreate(pod)).toMatchObject({ ok: true });
  const { spec } = await waitForReady(namespace, name);
  expect(spec.volumes ?? []).toEqual([]);
  expect(spec.containers.map(({ image }) => image)).toEqual(["nix-closure:dev"]);
}

const section = (name: Parameters<typeof runKindSection>[0]): Promise<string> =>
  runKindSection(name, engine, (line) => process.stdout.write(`   ${line}\n`));

describe("what docs/kind.md installs", () => {
  test("is ready in all its parts", async () => {
    await waitForProduct(60_000);
    const registries = await list<PodStatus>("pods", "nix-closure-registry");
    const nodes = await list("nodes", "default");
    expect(new Set(registries.map(({ spec }) => spec.nodeName)).size).toBe(nodes.length);
  });

  test("the API server takes manifests/install.yaml and every example", async () => {
    await kubectl(["apply", "--dry-run=server", ...install]);
    await kubectl(["apply", "-f", "manifests/examples/namespace.yaml"]);
    const taken = await kubectl(["apply", "--dry-run=server", ...examples, "--output", "name"]);
    expect(taken).toMatch(/job.*\/hello/);
  });

  test("what to try works as the page says", async () => {
    const output = await section("try");
    expect(output).toContain("Hello, world!");
    expect(output).toContain("hello from a nix closure");
  });

  test("what it shows is what one gets", async () => {
    const transcripts = await kindTranscripts();
    expect(transcripts.length).toBeGreaterThan(0);
    for (const { text, output } of transcripts) {
      const written = await run("bash", ["-c", `${text} 2>&1 || true`], { env: clusterEnvironment(engine) });
      expect(matchesTranscript(output, written), `$ ${text}\n${written}`).toBe(true);
    }
  });

  test("is removed without a trace", async () => {
    await section("uninstall");
    expect(await existing(examples)).toEqual([]);
    expect(await existing(overlay)).toEqual([]);
  });

  test("plain Pods run when it is gone", () => expectPlainPodsUntouched("after-removal"));
});

describe("manifests/install.yaml, whose image nobody has published", () => {
  test("makes all its objects", async () => {
    await kubectl(["apply", ...install]);
    const text = await readFile(new URL("manifests/install.yaml", projectRoot), "utf8");
    const objects = parseAllDocuments(text).filter(({ contents }) => contents !== null);
    expect((await existing(install)).length).toBe(objects.length);
  });

  test("an image that cannot be pulled is what its Pods wait for", async () => {
    await waitFor("the reason", async () => {
      const pods = [
        ...(await list<PodStatus>("pods", "nix-closure")),
        ...(await list<PodStatus>("pods", "nix-closure-registry")),
      ];
      const reasons = pods.flatMap(({ status }) =>
        (status.containerStatuses ?? []).map(({ state }) => state["waiting"]?.reason ?? ""),
      );
      return (
        reasons.length >= 5 && reasons.every((reason) => /^(?:ErrImagePull|ImagePullBackOff)$/.test(reason))
      );
    });
  });

  test("plain Pods run while the webhook does not", () => expectPlainPodsUntouched("without-webhook"));

  test("annotated Pods are refused meanwhile, not run without their store", async () => {
    const { ok, output } = await attemptCreate(annotatedPod({ name: "too-early", namespace }));
    expect(ok, output).toBe(false);
    expect(output).toContain(`failed calling webhook "pods.nix.closure"`);
  });

  test("is rolled back without a trace", async () => {
    await kubectl(["delete", ...install, "--timeout=120s"]);
    expect(await existing(install)).toEqual([]);
    expect((await attempt(["get", "namespace", "nix-closure"])).ok).toBe(false);
  });

  test("the overlay for kind can be installed after it, and annotated Pods run", async () => {
    await section("install");
    await waitForProduct();
    expect(await attemptCreate(annotatedPod({ name: "hello", namespace }))).toMatchObject({ ok: true });
    await waitForSuccess(namespace, "hello");
    expect(await logs(namespace, "hello")).toBe("Hello, world!\n");
  });
});
