import { expect } from "vitest";
import type { PushedImages } from "../../src/closure-index/pushed-images.ts";
import type { Closure } from "../../src/nix/closure.ts";
import type { Digest } from "../../src/oci/digest.ts";
import type { Container, Pod } from "../../src/patch/pod.ts";
import type { NameRequest } from "../../src/patch/request.ts";
import { storeHash, type StorePath } from "../../src/nix/store-path.ts";
import { closureCheck, decodeDecision } from "../../src/plan/decision.ts";
import { parseImageName, type ImageName } from "../../src/plan/image-name.ts";
import { demoClosure, demoTypes } from "./closures.ts";
import { demoNamedImages } from "./named-closures.ts";
import { demoPushedImages } from "./pushed-sources.ts";

/**
 * A container has every path of a pushed closure at its place: from an image that was pushed as that path's, or from a
 * store image whose mount points are those of the paths that it leaves out.
 */
function expectPushed(pod: Pod, container: Container, closure: Closure, pushed: PushedImages): void {
  const mounted = new Map(
    (container.volumeMounts ?? []).map(({ name, mountPath }) => [
      mountPath,
      pod.spec.volumes?.find((volume) => volume.name === name)?.image?.reference,
    ]),
  );
  const referenceOf = (digest: Digest | undefined): string => `${pushed.repository}@${digest}`;
  const store = pushed.storeImages.find(({ digest }) => referenceOf(digest) === mounted.get("/nix/store"));
  expect(mounted.has("/nix/store")).toBe(store !== undefined);
  for (const { storePath } of closure.paths) {
    const own = mounted.get(storePath);
    if (own !== undefined) expect(own).toBe(referenceOf(pushed.paths.get(storePath)));
    if (store === undefined || store.own.has(storePath)) expect(own).toBeDefined();
  }
  const beside = [...mounted.keys()].filter((path) => path.startsWith("/nix/store/"));
  expect(beside.filter((path) => !closure.byPath.has(path as StorePath))).toEqual([]);
}

/** A container has what a name stands for: its store image, and its profile if there is to be one; nothing beside. */
export function expectNamed(pod: Pod, container: Container, { source, name, profile }: NameRequest): void {
  const named = demoNamedImages(source, name);
  const referenceAt = (path: string): string | undefined => {
    const mount = (container.volumeMounts ?? []).find(({ mountPath }) => mountPath === path);
    return pod.spec.volumes?.find((volume) => volume.name === mount?.name)?.image?.reference;
  };
  expect(referenceAt("/nix/store")).toBe(`${named.repository}@${named.store}`);
  if (profile !== undefined && named.profile !== undefined) {
    expect(referenceAt(profile)).toBe(`${named.repository}@${named.profile}`);
  }
  const beside = (container.volumeMounts ?? []).filter(({ mountPath }) =>
    mountPath.startsWith("/nix/store/"),
  );
  expect(beside).toEqual([]);
}

/**
 * A container has every path of a closure at its place: from the path's own image, or in a store image of this very
 * closure. Mounts beside a store image need a mount point in it, so there is none that it does not provide for.
 */
export function expectCarried(
  pod: Pod,
  container: Container,
  source: string,
  roots: readonly StorePath[],
  host: string,
): void {
  const closure = demoClosure(...roots);
  const pushed = demoPushedImages(source, closure);
  if (pushed !== undefined) return expectPushed(pod, container, closure, pushed);
  const images = new Map<string, ImageName>();
  for (const { name, mountPath } of container.volumeMounts ?? []) {
    const reference = pod.spec.volumes?.find((volume) => volume.name === name)?.image?.reference;
    const match = new RegExp(`^${RegExp.escape(host)}/([^@]*):([^:@]*)(?:@.*)?$`).exec(reference ?? "");
    if (match !== null) images.set(mountPath, parseImageName(match[1]!, match[2]!));
  }
  const store = images.get("/nix/store");
  let own: ReadonlySet<StorePath> = new Set(closure.paths.map(({ storePath }) => storePath));
  if (store !== undefined) {
    if (store.kind !== "store") throw new Error(`a ${store.kind} image is mounted at /nix/store`);
    expect(store.source).toBe(source);
    expect(store.check).toBe(closureCheck(store.version, closure, store.decision));
    own = decodeDecision(store.decision, closure, demoTypes);
  }
  for (const path of own) {
    expect(demoTypes.get(path)).toBe("directory");
    expect(images.get(path)).toMatchObject({ kind: "path", source, hash: storeHash(path) });
  }
  if (store === undefined) return;
  const beside = [...images.keys()].filter((path) => path.startsWith("/nix/store/"));
  expect(new Set(beside)).toEqual(own);
}
