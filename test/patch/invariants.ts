import jsonPatch, { type Operation } from "fast-json-patch";
import { expect } from "vitest";
import type { Injection } from "../../src/patch/inject.ts";
import { podOperations } from "../../src/patch/operations.ts";
import { allContainers, type Container, type EnvVar, type Pod } from "../../src/patch/pod.ts";
import { baseImagePlaceholder, readRequest } from "../../src/patch/request.ts";
import type { Admission } from "../../src/webhook/admission.ts";
import { expectCarried, expectNamed } from "./carried.ts";
import { ourNames } from "./our-names.ts";
import { host, testSettings } from "./test-admission.ts";

const statusKey = "nix.closure/status";

/**
 * What must hold of every injection:
 * the patch applies and makes exactly the injected Pod; its operations touch nothing but entries of ours; nothing of
 * the user's changes; every container that is served has its whole closure; and a second review finds nothing to do.
 */
export async function expectSound(before: Pod, injection: Injection, admission: Admission): Promise<void> {
  const original = jsonCopy(before);
  const operations = podOperations(before, injection.pod);
  const patched = applyStepwise(before, operations);
  expect(patched).toEqual(injection.pod);
  expect(jsonPatch.applyPatch(jsonCopy(before), operations, true).newDocument).toEqual(injection.pod);
  expect(before, "the Pod that came in is not changed").toEqual(original);

  const names = new Set([...ourNames(before), ...ourNames(injection.pod)]);
  expect(withoutOurs(injection.pod, before, names)).toEqual(withoutOurs(before, before, names));
  expectPathsKept(before, injection.pod);
  expectValid(injection.pod);
  expectPullSecrets(before, injection.pod);
  expectServed(before, injection.pod);

  const again = await admission.inject(patched, undefined);
  expect(podOperations(patched, again!.pod), "a second review has no operations").toEqual([]);
  expect(again!.pod).toBe(patched);
}

/** A copy that shares nothing, within itself either. */
export function jsonCopy<T>(value: T): T {
  return JSON.parse(JSON.stringify(value)) as T;
}

/** Applies operations one by one, each after a look at what it is about to touch. */
function applyStepwise(before: Pod, operations: readonly Operation[]): Pod {
  let pod = jsonCopy(before);
  for (const operation of operations) {
    expectOurs(pod, before, operation);
    pod = jsonPatch.applyOperation(pod, operation, true).newDocument;
  }
  return pod;
}

function expectOurs(pod: Pod, before: Pod, { op, path }: Operation): void {
  const what = `${op} ${path}`;
  const present: unknown = path.endsWith("/-") ? undefined : jsonPatch.getValueByPointer(pod, path);
  const container = /^\/spec\/(?:initC|c)ontainers\/\d+/.exec(path)?.[0];
  const field = path.slice(container?.length ?? 0);
  if (op === "remove" || op === "replace") {
    expect(field, what).toMatch(container ? /^\/volumeMounts\/\d+$/ : /^\/spec\/volumes\/\d+$/);
    expect([...ourNames(before)], what).toContain((present as { name: string }).name);
    return;
  }
  expect(op).toBe("add");
  if (field.endsWith("/-")) {
    expect(field, what).toMatch(
      container ? /^\/(?:env|volumeMounts)\/-$/ : /^\/spec\/(?:volumes|imagePullSecrets)\/-$/,
    );
  } else if (/^\/(?:env|volumeMounts|spec\/(?:volumes|imagePullSecrets|nodeSelector))$/.test(field)) {
    expect(present ?? undefined, `${what}: lists and maps are never replaced whole`).toBeUndefined();
  } else if (container && /^\/(?:image|imagePullPolicy)$/.test(field)) {
    expect((jsonPatch.getValueByPointer(before, container) as Container).image).toBe(baseImagePlaceholder);
  } else if (container) {
    expect(field, what).toMatch(/^\/env\/\d+\/value$/);
    const variable = jsonPatch.getValueByPointer(pod, path.slice(0, -"/value".length)) as EnvVar;
    expect(variable.name).toBe("PATH");
  } else {
    expect(path).toMatch(
      /^\/(?:metadata\/annotations\/nix\.closure~1status|spec\/nodeSelector\/kubernetes\.io~1arch)$/,
    );
  }
}

/** A Pod without what injection may add, remove or change. */
function withoutOurs(pod: Pod, before: Pod, names: ReadonlySet<string>): unknown {
  const strip = (container: Container): unknown => {
    const original = allContainers(before).find(({ name }) => name === container.name);
    const { image, imagePullPolicy, env, volumeMounts, ...rest } = container;
    return {
      ...rest,
      ...(original?.image === baseImagePlaceholder ? {} : { image, imagePullPolicy }),
      env: (env ?? []).filter((variable) => variable.name !== "PATH"),
      volumeMounts: (volumeMounts ?? []).filter((mount) => !names.has(mount.name)),
    };
  };
  const { [statusKey]: _status, ...annotations } = pod.metadata.annotations ?? {};
  const { volumes, containers, initContainers, nodeSelector, imagePullSecrets: _, ...spec } = pod.spec;
  const { "kubernetes.io/arch": arch, ...labels } = nodeSelector ?? {};
  return {
    ...pod,
    metadata: { ...pod.metadata, annotations },
    spec: {
      ...spec,
      volumes: (volumes ?? []).filter((volume) => !names.has(volume.name)),
      containers: containers.map(strip),
      initContainers: (initContainers ?? []).map(strip),
      nodeSelector: maySelect(annotations) ? labels : { ...labels, arch },
    },
  };
}

/** Whether the annotations ask for nodes of one system, or for a name that has images for those alone. */
function maySelect(annotations: Readonly<Record<string, string>>): boolean {
  const isOfOne = Object.values(annotations).some((text) => text.includes("-only"));
  return isOfOne || annotations["nix.closure/system"] !== undefined;
}

/** Of env only PATH may change, and what it said stays at its end. */
function expectPathsKept(before: Pod, after: Pod): void {
  for (const container of allContainers(before)) {
    const injected = allContainers(after).find(({ name }) => name === container.name)!;
    const paths = (env: readonly EnvVar[] | undefined): readonly EnvVar[] =>
      (env ?? []).filter(({ name }) => name === "PATH");
    const now = paths(injected.env);
    for (const [i, { value, ...rest }] of paths(container.env).entries()) {
      const { value: changed, ...same } = now[i]!;
      expect(same).toEqual(rest);
      if (value !== changed) expect(changed).toMatch(new RegExp(`/bin(?::${RegExp.escape(value ?? "")})?$`));
    }
  }
}

/** The list that came is kept, and each secret that follows is one of a source, that the list did not have. */
function expectPullSecrets(before: Pod, after: Pod): void {
  const kept = before.spec.imagePullSecrets ?? [];
  const now = after.spec.imagePullSecrets ?? [];
  expect(now.slice(0, kept.length)).toEqual(kept);
  const added = now.slice(kept.length).map(({ name }) => name!);
  const known = testSettings.sources.flatMap(({ pullSecret }) => pullSecret ?? []);
  expect(known).toEqual(expect.arrayContaining(added));
  expect(new Set([...kept.map(({ name }) => name), ...added]).size).toBe(
    new Set(kept.map(({ name }) => name)).size + added.length,
  );
}

/** What the API server's validation asks of volumes and mounts (core/v1). */
function expectValid(pod: Pod): void {
  const volumes = (pod.spec.volumes ?? []).map(({ name }) => name);
  expect(volumes.length).toBe(new Set(volumes).size);
  for (const name of volumes) expect(name).toMatch(/^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/);
  for (const { volumeMounts = [] } of allContainers(pod)) {
    const paths = (volumeMounts ?? []).map(({ mountPath }) => mountPath);
    expect(paths.length).toBe(new Set(paths).size);
    for (const { name } of volumeMounts ?? []) expect(volumes).toContain(name);
  }
}

/** Every container that this review serves has its whole closure, and no base placeholder is left. */
function expectServed(before: Pod, after: Pod): void {
  const request = readRequest(before, {
    sources: testSettings.sources.map(({ name }) => name),
    defaultSource: testSettings.defaultSource,
  })!;
  const ours = ourNames(before);
  const had = new Set(
    allContainers(before)
      .filter(({ volumeMounts }) => (volumeMounts ?? []).some((mount) => ours.has(mount.name)))
      .map(({ name }) => name),
  );
  for (const container of allContainers(after)) {
    expect(container.image).not.toBe(baseImagePlaceholder);
    const asked = request.containers.find(({ name }) => name === container.name);
    if (asked === undefined || (had.size > 0 && !asked.named && !had.has(container.name))) continue;
    const closure = request.closures.find(({ key }) => key === asked.closureKey)!;
    const { source } = closure;
    if ("roots" in closure) expectCarried(after, container, source, closure.roots, host);
    else expectNamed(after, container, closure);
    const { pullSecret: name } = testSettings.sources.find((one) => one.name === source)!;
    if (name !== undefined) expect(after.spec.imagePullSecrets).toContainEqual({ name });
  }
}
