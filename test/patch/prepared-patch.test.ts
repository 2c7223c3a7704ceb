import fc from "fast-check";
import type { Operation } from "fast-json-patch";
import { describe, expect, test } from "vitest";
import { imageVolumesUnsupported, type NixClosureError } from "../../src/errors.ts";
import { podOperations } from "../../src/patch/operations.ts";
import type { EncodedPatch } from "../../src/patch/prepared-patch.ts";
import type { Admission } from "../../src/webhook/admission.ts";
import { parsePod, type Container, type EnvVar, type Pod } from "../../src/patch/pod.ts";
import { applyChange, change } from "./arbitrary-changes.ts";
import { container, userPod } from "./arbitrary-pods.ts";
import { demoClosure, demoPath } from "./closures.ts";
import { jsonCopy } from "./invariants.ts";
import { testAdmission } from "./test-admission.ts";

const root = demoPath("hello-app");
const podBytes = 4096;

/** Holds what a Pod gets at once against what the pure patch makes of it. @returns whether it gets anything at once */
async function isPrepared(pod: Pod, admission: Admission): Promise<boolean> {
  const prepared = admission.patchAtOnce(pod, undefined, podBytes);
  if (prepared === undefined) return false;
  const pure = await admission.inject(pod, undefined);
  expect(operationsOf(prepared)).toEqual(jsonCopy(podOperations(pod, pure!.pod)));
  expect(prepared.warnings).toEqual(pure!.warnings);
  expect(prepared.volumes).toBe(pure!.volumes);
  return true;
}

function operationsOf({ encoded }: EncodedPatch): readonly Operation[] {
  const text = encoded!.toString("latin1");
  expect(text).toMatch(/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/);
  return JSON.parse(Buffer.from(text, "base64").toString()) as Operation[];
}

/** A Pod's patch is made, so that it is known from now on. */
async function learn(pod: Pod, admission: Admission): Promise<void> {
  await admission.patch(parsePod(jsonCopy(pod)), undefined).catch(() => undefined);
}

/** Another Pod of the same Deployment, and of its next revision: what no patch depends on is different. */
function sibling(pod: Pod, suffix: string): Pod {
  const renamed = (name: string): string => (name.startsWith("nix-") ? name : `${name}-${suffix}`);
  const container = ({ image, env, volumeMounts, ...rest }: Container): Container => ({
    ...rest,
    ...(image === undefined ? {} : { image: image.startsWith("debian") ? `${image}-${suffix}` : image }),
    ...(env && {
      env: env.map((one) => (one.name === "PATH" ? one : { name: `${one.name}_${suffix}`, value: suffix })),
    }),
    ...(volumeMounts && {
      volumeMounts: volumeMounts.map((mount) => ({ ...mount, name: renamed(mount.name), subPath: suffix })),
    }),
    resources: { limits: { memory: suffix } },
  });
  const { volumes, containers, initContainers, imagePullSecrets, ...spec } = pod.spec;
  return {
    ...pod,
    metadata: {
      ...pod.metadata,
      name: `app-${suffix}`,
      labels: { suffix },
      annotations: { "example.com/restarted": suffix, ...pod.metadata.annotations },
    },
    spec: {
      ...spec,
      ...(volumes && { volumes: volumes.map((one) => ({ ...one, name: renamed(one.name) })) }),
      containers: containers.map(container),
      ...(initContainers && { initContainers: initContainers.map(container) }),
      serviceAccountName: suffix,
      ...(imagePullSecrets && {
        imagePullSecrets: imagePullSecrets.map((one) =>
          one.name === undefined || one.name.endsWith("-registry") ? one : { name: `${one.name}-${suffix}` },
        ),
      }),
    },
  };
}

function podOf(container: Partial<Container> = {}, changes: Partial<Pod["spec"]> = {}): Pod {
  return {
    metadata: { annotations: { "nix.closure": root } },
    spec: { containers: [{ name: "app", image: "debian:12", ...container }], ...changes },
  };
}

function withClosure(closure: string, changes: Partial<Pod["spec"]> = {}): Pod {
  return { ...podOf({}, changes), metadata: { annotations: { "nix.closure": closure } } };
}

/** Its closure is packed, so that its volumes depend on how many other images the Pod has. */
function packedPod(images: readonly (string | undefined)[], volumes: readonly string[] = []): Pod {
  return {
    metadata: { annotations: { "nix.closure": demoPath("nginx-app-1.0") } },
    spec: {
      containers: images.map((image, i) => ({ name: `app${i}`, ...(image === undefined ? {} : { image }) })),
      volumes: volumes.map((reference, i) => ({ name: `data${i}`, image: { reference } })),
    },
  };
}

const manyContainers = Array.from({ length: 40 }, (_, i) => ({ name: `app${i}`, image: "debian:12" }));

function mountAt(mountPath: string): Partial<Container> {
  return { volumeMounts: [{ name: "data", mountPath }] };
}

function onBase(...env: readonly EnvVar[]): Partial<Container> {
  return { image: "nix.closure/base", env };
}

/** A Pod without what resembles entries of ours: nearly all of the made-up ones have some of it. */
function withoutOddities(pod: Pod): Pod {
  const usual = ({ volumeMounts, ...container }: Container): Container => ({
    ...container,
    image: container.image === "debian:12" ? "debian:12" : "nix.closure/base",
    ...(volumeMounts && {
      volumeMounts: volumeMounts.filter(
        ({ name, mountPath }) => !name.startsWith("nix-") && mountPath === "/data",
      ),
    }),
  });
  const { volumes, ...spec } = pod.spec;
  return {
    ...pod,
    spec: {
      ...spec,
      containers: spec.containers.map(usual),
      ...(spec.initContainers && { initContainers: spec.initContainers.map(usual) }),
      ...(volumes && { volumes: volumes.filter(({ name }) => !name.startsWith("nix-")) }),
    },
  };
}

describe("a patch at once", () => {
  test("is the pure patch, for whatever sibling of a Pod gets one", async () => {
    const admission = testAdmission();
    let found = 0;
    await fc.assert(
      fc.asyncProperty(
        userPod,
        fc.array(change, { maxLength: 1 }),
        fc.boolean(),
        async (pod, changes, usual) => {
          const changed = changes.reduce(applyChange, pod);
          const asked = parsePod(jsonCopy(usual ? withoutOddities(changed) : changed));
          await isPrepared(asked, admission);
          await learn(asked, admission);
          if (await isPrepared(parsePod(jsonCopy(sibling(asked, "13"))), admission)) found++;
        },
      ),
      { numRuns: 2000 },
    );
    expect(found).toBeGreaterThan(100);
  });

  test("is the pure patch, for whatever Pod is like another by chance", async () => {
    const admission = testAdmission();
    let found = 0;
    const somePod = fc.record({
      path: fc.constantFrom("true", "false"),
      containers: fc.array(container, { minLength: 1, maxLength: 1 }),
    });
    await fc.assert(
      fc.asyncProperty(somePod, async ({ path, containers }) => {
        const named = containers.map((one, i) => ({ name: `app${i}`, ...one }));
        const pod: Pod = {
          metadata: { annotations: { "nix.closure": root, "nix.closure/path": path } },
          spec: { containers: named, volumes: [{ name: "data", emptyDir: {} }] },
        };
        const asked = parsePod(jsonCopy(withoutOddities(pod)));
        if (await isPrepared(asked, admission)) found++;
        else await learn(asked, admission);
      }),
      { numRuns: 2000 },
    );
    expect(found).toBeGreaterThan(100);
  });

  test("is the pure patch of a packed closure, whatever other images the Pod has", async () => {
    const admission = testAdmission();
    const image = fc.constantFrom("debian:12", "debian:13", "nix.closure/base", "x:1", "", undefined);
    const images = fc.array(image, { minLength: 1, maxLength: 4 });
    const volumes = fc.array(fc.constantFrom("debian:12", "x:1", "model:1", "model:2"), { maxLength: 3 });
    let found = 0;
    await fc.assert(
      fc.asyncProperty(images, volumes, async (someImages, someVolumes) => {
        const asked = parsePod(jsonCopy(packedPod(someImages, someVolumes)));
        if (await isPrepared(asked, admission)) found++;
        else await learn(asked, admission);
      }),
      { numRuns: 1000 },
    );
    expect(found).toBeGreaterThan(100);
  });

  test.for<[string, Pod]>([
    ["without any list", podOf()],
    ["with empty lists", podOf({ volumeMounts: [], env: [] }, { volumes: [] })],
    [
      "with lists that are null",
      jsonCopy(podOf({ volumeMounts: null as never }, { volumes: null as never })),
    ],
    ["on the base image", podOf({ image: "nix.closure/base", imagePullPolicy: "Always" })],
    [
      "on the base image with a PATH",
      podOf({ image: "nix.closure/base", env: [{ name: "PATH", value: "/x" }] }),
    ],
    [
      "with volumes and mounts of its own",
      podOf(
        { volumeMounts: [{ name: "data", mountPath: "/data" }] },
        { volumes: [{ name: "data", emptyDir: {} }] },
      ),
    ],
    ["with an init container", podOf({}, { initContainers: [{ name: "init", image: "nix.closure/base" }] })],
    [
      "with characters of several bytes",
      podOf({ image: "nix.closure/base", env: [{ name: "PATH", value: "/…/é😀" }] }),
    ],
    ["with containers of one name", podOf({}, { containers: [{ name: "a" }, { name: "b" }, { name: "a" }] })],
    [
      "with two closures",
      {
        ...podOf({}, { containers: [{ name: "app" }, { name: "other" }] }),
        metadata: {
          annotations: { "nix.closure": root, "container.nix.closure/app": demoPath("nginx-app-1.0") },
        },
      },
    ],
    [
      "with a root that is a file",
      { ...podOf(), metadata: { annotations: { "nix.closure": demoPath("mixed-app.conf") } } },
    ],
    ["with a mount in the store", podOf({ volumeMounts: [{ name: "x", mountPath: "/nix/store/x" }] })],
    ["with a pushed closure", withClosure(`shop: ${root}`)],
    ["with a pushed closure and an empty list", withClosure(`shop: ${root}`, { imagePullSecrets: [] })],
    [
      "with a pushed closure and Secrets of its own",
      withClosure(`shop: ${root}`, { imagePullSecrets: [{ name: "mine" }, {}] }),
    ],
    [
      "with a pushed closure and its Secret",
      withClosure(`shop: ${root}`, { imagePullSecrets: [{ name: "shop-registry" }] }),
    ],
    ["with a packed closure that was pushed", withClosure(`shop: ${demoPath("nginx-app-1.0")}`)],
    ["with a closure that was pushed to where no Secret is needed", withClosure(`depot: ${root}`)],
    ["with forty containers", podOf({}, { containers: manyContainers })],
    ["with a packed closure", packedPod(["debian:12"])],
    [
      "with a packed closure beside several images",
      packedPod(["debian:12", "debian:13", "debian:12", undefined]),
    ],
    [
      "with a packed closure beside image volumes",
      packedPod(["debian:12"], ["model:1", "model:2", "model:1"]),
    ],
  ])("is had by a Pod %s, and its siblings", async ([, pod]) => {
    const admission = testAdmission();
    expect(await isPrepared(pod, admission), "before there was one").toBe(false);
    await learn(pod, admission);
    for (const suffix of ["1", "2", "é😀"])
      expect(await isPrepared(parsePod(jsonCopy(sibling(pod, suffix))), admission)).toBe(true);
  });

  const twice = [{ name: "a" }, { name: "b" }];
  test.for<[string, Pod, Pod]>([
    ["another container's name", podOf(), podOf({ name: "b" })],
    ["no list of volumes", podOf({}, { volumes: [] }), podOf()],
    ["no list of mounts", podOf({ volumeMounts: [] }), podOf()],
    ["another place of a mount", podOf(mountAt("/a")), podOf(mountAt("/nix/var/nix/profiles/default"))],
    ["one mount less", podOf(mountAt("/a")), podOf({ volumeMounts: [] })],
    ["the base image", podOf(), podOf({ image: "nix.closure/base" })],
    [
      "another pull policy of the base image",
      podOf({ image: "nix.closure/base" }),
      podOf({ image: "nix.closure/base", imagePullPolicy: "IfNotPresent" }),
    ],
    ["a PATH", podOf(onBase()), podOf(onBase({ name: "PATH", value: "/x" }))],
    ["no list of variables", podOf(onBase()), podOf({ image: "nix.closure/base" })],
    [
      "another PATH",
      podOf(onBase({ name: "PATH", value: "/x" })),
      podOf(onBase({ name: "PATH", value: "/y" })),
    ],
    [
      "PATH in another place",
      podOf(onBase({ name: "A", value: "" }, { name: "PATH", value: "/x" })),
      podOf(onBase({ name: "PATH", value: "/x" }, { name: "A", value: "" })),
    ],
    [
      "a PATH from elsewhere",
      podOf(onBase({ name: "PATH", value: "" })),
      podOf(onBase({ name: "PATH", valueFrom: { fieldRef: { fieldPath: "spec.nodeName" } } })),
    ],
    ["another order", podOf({}, { containers: twice }), podOf({}, { containers: twice.toReversed() })],
    [
      "an init container",
      podOf({}, { containers: twice }),
      podOf({}, { containers: [{ name: "a" }], initContainers: [{ name: "b" }] }),
    ],
    [
      "another annotation",
      podOf(),
      { ...podOf(), metadata: { annotations: { "nix.closure": root, "nix.closure/profile": "none" } } },
    ],
    [
      "another value of an annotation",
      { ...podOf(), metadata: { annotations: { "nix.closure": root, "nix.closure/profile": "/app" } } },
      { ...podOf(), metadata: { annotations: { "nix.closure": root, "nix.closure/profile": "none" } } },
    ],
    ["another number of images", packedPod(["a", "b"]), packedPod(["a", "a"])],
    ["the base image as another one", packedPod(["a", "a"]), packedPod(["a", "nix.closure/base"])],
    ["an image volume of its own", packedPod(["a"], ["a"]), packedPod(["a"], ["b"])],
    ["a container without an image", packedPod(["a", "b"]), packedPod(["a", undefined])],
    [
      "no list of Secrets",
      withClosure(`shop: ${root}`, { imagePullSecrets: [] }),
      withClosure(`shop: ${root}`),
    ],
    [
      "the Secret of the source",
      withClosure(`shop: ${root}`, { imagePullSecrets: [{ name: "mine" }] }),
      withClosure(`shop: ${root}`, { imagePullSecrets: [{ name: "mine" }, { name: "shop-registry" }] }),
    ],
    [
      "the same under another annotation",
      podOf(),
      { ...podOf(), metadata: { annotations: { "container.nix.closure/app": root } } },
    ],
  ])("of one Pod is not that of a Pod with %s", async ([, one, other]) => {
    const admission = testAdmission();
    await learn(one, admission);
    expect(await isPrepared(parsePod(jsonCopy(one)), admission)).toBe(true);
    expect(await isPrepared(parsePod(jsonCopy(other)), admission)).toBe(false);
  });

  test.for<[string, Pod]>([
    ["a volume whose name may be ours", podOf({}, { volumes: [{ name: "nix-x", emptyDir: {} }] })],
    ["a mount whose name may be ours", podOf({ volumeMounts: [{ name: "nix-x", mountPath: "/x" }] })],
    ["an image of ours by a name that is not", podOf({ image: "nix.closure/bass" })],
    [
      "a mount on the profile",
      podOf({ volumeMounts: [{ name: "x", mountPath: "/nix/var/nix/profiles/default" }] }),
    ],
    ["another system than Linux", podOf({}, { os: { name: "windows" } })],
    ["a selector of another system", podOf({}, { nodeSelector: { "kubernetes.io/os": "windows" } })],
    ["the base image already", podOf({ image: "localhost:5417/base:1" })],
    [
      "no volumes yet, but mounts of lost ones",
      podOf({ volumeMounts: [{ name: `nix-${"0".repeat(32)}`, mountPath: "/y" }] }),
    ],
    [
      "a system",
      {
        ...podOf(),
        metadata: { annotations: { "nix.closure": root, "nix.closure/system": "x86_64-linux" } },
      },
    ],
    [
      "a status",
      { ...podOf(), metadata: { annotations: { "nix.closure": root, "nix.closure/status": "{}" } } },
    ],
    ["no annotation of ours", { ...podOf(), metadata: { annotations: { "example.com/nix": root } } }],
    ["a wrong annotation", { ...podOf(), metadata: { annotations: { "nix.closure": "hello" } } }],
  ])("is not had by a Pod with %s", async ([, pod]) => {
    const admission = testAdmission();
    await learn(podOf(), admission);
    await learn(pod, admission);
    expect(await isPrepared(parsePod(jsonCopy(pod)), admission)).toBe(false);
  });

  test("is not had by a Pod that comes near the limit of an object", async () => {
    const admission = testAdmission();
    await learn(podOf(), admission);
    const limit = 1024 * 1024;
    for (const bytes of [limit - 100, limit + 1, Number.NaN, Infinity])
      expect(admission.patchAtOnce(podOf(), undefined, bytes)).toBeUndefined();
    expect(admission.patchAtOnce(podOf(), undefined, limit / 2)).toBeDefined();
  });

  test("is not had where the source may not be used", async () => {
    const admission = testAdmission();
    const pod = { ...podOf(), metadata: { annotations: { "nix.closure": `team:${root}` } } };
    await learn(pod, admission);
    expect(admission.patchAtOnce(pod, "team-a", podBytes)).toBeDefined();
    expect(admission.patchAtOnce(pod, "shop", podBytes)).toBeUndefined();
  });

  test("is not had once the closure was resolved anew", async () => {
    const closures = new Map([[root, demoClosure(root)]]);
    const admission = testAdmission({}, closures);
    await learn(podOf(), admission);
    expect(admission.patchAtOnce(podOf(), undefined, podBytes)).toBeDefined();
    closures.set(root, demoClosure(root));
    expect(admission.patchAtOnce(podOf(), undefined, podBytes)).toBeUndefined();
    closures.delete(root);
    expect(admission.patchAtOnce(podOf(), undefined, podBytes)).toBeUndefined();
  });

  test("is not had once a pushed closure was looked up anew", async () => {
    const closures = new Map([[root, demoClosure(root)]]);
    const admission = testAdmission({}, closures);
    const pod = withClosure(`shop: ${root}`);
    await learn(pod, admission);
    expect(admission.patchAtOnce(pod, undefined, podBytes)).toBeDefined();
    closures.set(root, demoClosure(root));
    expect(admission.patchAtOnce(pod, undefined, podBytes)).toBeUndefined();
  });

  test("is not had while nobody may be injected", async () => {
    const state: { refusal?: NixClosureError } = {};
    const admission = testAdmission({}, undefined, () => state.refusal);
    await learn(podOf(), admission);
    expect(admission.patchAtOnce(podOf(), undefined, podBytes)).toBeDefined();
    state.refusal = imageVolumesUnsupported("1.30");
    expect(admission.patchAtOnce(podOf(), undefined, podBytes)).toBeUndefined();
  });

  test("is kept for a few shapes of one annotation, those that came last", async () => {
    const admission = testAdmission();
    const pods = Array.from({ length: 10 }, (_, i) => podOf({ name: `app-${i}` }));
    for (const pod of pods) await learn(pod, admission);
    const kept = await Promise.all(pods.map((pod) => isPrepared(pod, admission)));
    expect(kept).toEqual([...Array<boolean>(2).fill(false), ...Array<boolean>(8).fill(true)]);
  });
});
