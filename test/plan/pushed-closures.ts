import type { PushedImages, PushedStoreImage } from "../../src/closure-index/pushed-images.ts";
import { sha256Digest, type Digest } from "../../src/oci/digest.ts";
import { planClosures, type KnownClosure, type PlanRules } from "../../src/plan/plan.ts";

/** What a closure is pushed with: a plan of a strategy, or one of so many images. */
export type PushedPlan = "per-path" | "bundle" | number;

/** A closure as it is in a repository after it was pushed with some plans. Equal images have equal digests, everywhere. */
export function pushClosure(
  known: KnownClosure,
  repository: string,
  plans: readonly PushedPlan[],
): PushedImages {
  const { closure, types } = known;
  const directories = closure.paths
    .map(({ storePath }) => storePath)
    .filter((path) => types.get(path) === "directory");
  const storeImages = new Map<Digest, PushedStoreImage>();
  for (const plan of plans) {
    const rules: PlanRules = {
      ...(typeof plan === "number"
        ? { strategy: "auto", maxImages: plan }
        : { strategy: plan, maxImages: Infinity }),
      host: "localhost:5417",
      maxImageBytes: Infinity,
    };
    const [{ volumes } = { volumes: [] }] = planClosures([{ ...known, pushed: undefined }], rules);
    const own = volumes.flatMap(({ image, storePaths }) => (image.kind === "path" ? storePaths : []));
    if (own.length === closure.paths.length) continue;
    const content = closure.paths.map(({ storePath }) => storePath).filter((path) => !own.includes(path));
    const digest = digestOf("store", ...content, "own", ...own.toSorted());
    storeImages.set(digest, { own: new Set(own), digest });
  }
  return {
    repository,
    system: "x86_64-linux",
    paths: new Map(directories.map((path) => [path, digestOf("path", path)])),
    storeImages: [...storeImages.values()].toSorted((one, other) => one.own.size - other.own.size),
  };
}

function digestOf(...words: readonly string[]): Digest {
  return sha256Digest(Buffer.from(words.join("\n")));
}
