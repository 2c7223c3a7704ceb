/** Containers whose own image brings a /nix/store. */
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { loadImage } from "./built-image.ts";
import { waitForAll } from "./injected.ts";
import { apply, logs, makeNamespace, removeNamespace, restrictedNamespace } from "./kubectl.ts";
import { docker } from "./node.ts";
import { annotatedPod, type PodOptions, roots } from "./pods.ts";
import { listStore, shell } from "./shell.ts";

const namespace = "suite-own-store";
const image = "nix-closure.test/own-store:1";
const own = "/nix/store/1111111111111111111111111111111a-own";
const words = "from the image's own store";

beforeAll(async () => {
  await Promise.all([makeNamespace(namespace, restrictedNamespace), buildImage()]);
  const script = `${listStore}; [ -e ${own}/words ] && echo "$(<${own}/words)"; true`;
  const pod = (name: string, options: Partial<PodOptions & { root: string }>) =>
    annotatedPod({
      name,
      namespace,
      command: [shell, "-c", script],
      container: { image, imagePullPolicy: "Never" },
      ...options,
    });
  const bundle = { "nix.closure/strategy": "bundle" };
  await apply(
    pod("per-path", {}),
    pod("bundle", { annotations: bundle }),
    pod("mixed", { root: roots.mixed }),
  );
  await waitForAll(namespace, ["per-path", "bundle", "mixed"], 60_000);
});

afterAll(async () => {
  await removeNamespace(namespace);
  await docker("image", "rm", image);
});

/** An image with nothing but a store: what runs in it comes from the closure. */
async function buildImage(): Promise<void> {
  const context = await mkdtemp(join(tmpdir(), "nix-closure-own-store-"));
  try {
    await mkdir(join(context, "root", own), { recursive: true });
    await writeFile(join(context, "root", own, "words"), `${words}\n`);
    await writeFile(join(context, "Dockerfile"), "FROM scratch\nCOPY root/ /\n");
    await docker("build", "--quiet", "--tag", image, context);
  } finally {
    await rm(context, { recursive: true, force: true });
  }
  await loadImage(image);
}

const output = (pod: string): Promise<string> => logs(namespace, pod);

test("with per-path and a closure of directories, its own store stays", async () => {
  const lines = (await output("per-path")).trimEnd().split("\n");
  expect(lines).toHaveLength(7);
  expect(lines).toEqual(expect.arrayContaining([words, own.slice(11), roots.hello.slice(11)]));
});

test.for(["bundle", "mixed"])("a store image hides its own store: %s", async (pod) => {
  const text = await output(pod);
  expect(text).toContain("-hello-2.10\n");
  expect(text).not.toContain("own");
});
