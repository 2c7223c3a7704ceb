/** Pods that come a second time: a restored backup, and copies by kubectl debug. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { parse } from "yaml";
import { productImage } from "../kind/product-image.ts";
import { type InjectedPod, waitForAll } from "./injected.ts";
import {
  apply,
  attemptCreate,
  get,
  kubectl,
  logs,
  makeNamespace,
  removeNamespace,
  restrictedNamespace,
} from "./kubectl.ts";
import { annotatedPod, roots } from "./pods.ts";
import { restorable } from "./restorable.ts";
import { listStore, shell } from "./shell.ts";

const namespace = "suite-copies";
const originals = ["directories", "with-store-image", "bundled"] as const;

beforeAll(async () => {
  await makeNamespace(namespace, restrictedNamespace);
  const [directories, withStoreImage, bundled] = originals;
  const mixed = { namespace, root: roots.mixed, command: ["mixed-app"] };
  await apply(
    annotatedPod({ name: directories, namespace }),
    annotatedPod({ ...mixed, name: withStoreImage }),
    annotatedPod({ ...mixed, name: bundled, annotations: { "nix.closure/strategy": "bundle" } }),
  );
  await waitForAll(namespace, originals);
});

afterAll(() => removeNamespace(namespace));

const read = (name: string): Promise<InjectedPod> => get<InjectedPod>("pod", name, namespace);

test("a backup is restored to exactly the same Pod, and runs", async () => {
  const backups = await Promise.all(
    originals.map(async (name) => {
      const text = await kubectl(["get", "pod", name, "-n", namespace, "-o", "yaml"]);
      return { name, pod: parse(text) as InjectedPod, printed: await logs(namespace, name) };
    }),
  );
  await kubectl(["delete", "pods", "-n", namespace, ...originals]);
  expect(await attemptCreate(...backups.map(({ pod }) => restorable(pod)))).toMatchObject({ ok: true });
  await waitForAll(namespace, originals);
  for (const { name, pod, printed } of backups) {
    const restored = await read(name);
    expect(restored.status).not.toEqual(pod.status);
    expect(restored.spec.volumes).toEqual(pod.spec.volumes);
    expect(restored.spec.containers).toEqual(pod.spec.containers);
    const status = "nix.closure/status";
    expect(restored.metadata.annotations?.[status]).toMatch(/"volumes":[256],/);
    expect(restored.metadata.annotations?.[status]).toBe(pod.metadata.annotations?.[status]);
    expect(await logs(namespace, name)).toBe(printed);
  }
});

test("kubectl debug --copy-to with another command: the copy has the closure", async () => {
  const copy = ["debug", "directories", "-n", namespace, "--copy-to=other-command", "--container=app"];
  await kubectl([...copy, "--attach=false", "--profile=restricted", "--", shell, "-c", `run; ${listStore}`]);
  await waitForAll(namespace, ["other-command"]);
  expect(await logs(namespace, "other-command")).toMatch(/^Hello, world!\n(?:[0-9a-z]{32}-\S+\n){5}$/);
  expect((await read("other-command")).spec.volumes).toEqual((await read("directories")).spec.volumes);
});

test("kubectl debug --copy-to with a container more: it is left alone, and the copy runs", async () => {
  const copy = ["debug", "directories", "-n", namespace, "--copy-to=one-more", "--container=debugger"];
  const image = [
    "--image",
    productImage,
    "--image-pull-policy=Never",
    "--profile=restricted",
    "--attach=false",
  ];
  await kubectl([...copy, ...image, "--", "node", "-e", "console.log(fs.existsSync('/nix'))"]);
  await waitForAll(namespace, ["one-more"]);
  expect(await logs(namespace, "one-more", "-c", "app")).toBe("Hello, world!\n");
  expect(await logs(namespace, "one-more", "-c", "debugger")).toBe("false\n");
});
