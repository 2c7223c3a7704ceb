import { expect } from "vitest";
import type { Container, Pod } from "../../src/patch/pod.ts";
import { storeHash, type StorePath } from "../../src/nix/store-path.ts";
import { closureCheck, decodeDecision } from "../../src/plan/decision.ts";
import { parseImageName, type ImageName } from "../../src/plan/image-name.ts";
import { demoClosure, demoTypes } from "./closures.ts";

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
