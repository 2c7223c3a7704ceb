import assert from "node:assert/strict";
import jsonPatch, { type Operation } from "fast-json-patch";
import { demoPublicKey, demoCache, demoSource } from "../demo/configuration.ts";
import { pathToFileURL } from "node:url";
import type { StorePath } from "../src/nix/store-path.ts";
import type { Pod, Volume, VolumeMount } from "../src/patch/pod.ts";
import { createResolver } from "../src/resolver/resolver.ts";

/** What an annotated Pod gets. */
export interface Additions {
  readonly annotations: Readonly<Record<string, string>>;
  readonly volumes: readonly Volume[];
  readonly mounts: readonly VolumeMount[];
}

/** The Pod of a review. */
export function podOf(review: string): Pod {
  return (JSON.parse(review) as { readonly request: { readonly object: Pod } }).request.object;
}

/** The Pod that an API server makes of a review and its answer. */
export function patchedPod(review: string, answer: string): Pod {
  const { request } = JSON.parse(review) as {
    readonly request: { readonly uid: string; readonly object: Pod };
  };
  const { response } = JSON.parse(answer) as {
    readonly response: { readonly uid: string; readonly allowed: boolean; readonly patch?: string };
  };
  assert.equal(response.uid, request.uid, "the answer is to another review");
  assert.ok(response.allowed && response.patch !== undefined, `no patch: ${answer}`);
  const operations = JSON.parse(Buffer.from(response.patch, "base64").toString()) as Operation[];
  return jsonPatch.applyPatch(request.object, operations, true, false).newDocument;
}

/** What an answer appends to the one container of a review's Pod. */
export function additionsOf(review: string, answer: string): Additions {
  const before = podOf(review);
  const after = patchedPod(review, answer);
  const appended = <T>(old: readonly T[] = [], all: readonly T[] = []): readonly T[] => {
    assert.deepEqual(all.slice(0, old.length), old, "entries of the Pod's own were changed");
    return all.slice(old.length);
  };
  const annotations = Object.entries(after.metadata.annotations ?? {});
  return {
    annotations: Object.fromEntries(
      annotations.filter(([key, value]) => before.metadata.annotations?.[key] !== value),
    ),
    volumes: appended(before.spec.volumes, after.spec.volumes),
    mounts: appended(before.spec.containers[0]?.volumeMounts, after.spec.containers[0]?.volumeMounts),
  };
}

/**
 * Holds the additions against the closure that the demo's cache has: every path is mounted at its place, from a volume
 * with an image of ours.
 */
export async function checkMounts({ volumes, mounts }: Additions, root: StorePath): Promise<void> {
  const resolver = createResolver({
    sources: [{ name: demoSource, caches: [pathToFileURL(demoCache).href], publicKeys: [demoPublicKey] }],
    limits: { maxPaths: 1000, maxBytes: 2 ** 31 },
  });
  try {
    const closure = await resolver.resolve(demoSource, [root]);
    const types = await resolver.pathTypes(
      demoSource,
      closure.paths.map(({ storePath }) => storePath),
    );
    const directories = [...types].filter(([, type]) => type === "directory").map(([path]) => path);
    const places = new Set(mounts.map(({ mountPath }) => mountPath));
    assert.deepEqual(
      directories.filter((path) => !places.has(path)),
      [],
      "paths that are not mounted",
    );
    if (directories.length < types.size) assert.ok(places.has("/nix/store"), "files are not mounted");
    const references = new Map(volumes.map(({ name, image }) => [name, image?.reference ?? ""]));
    for (const { name } of mounts) assert.match(references.get(name) ?? "", /^localhost:\d+\/demo\//);
  } finally {
    await resolver.close();
  }
}
