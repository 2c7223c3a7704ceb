import type { PushedImages } from "../closure-index/pushed-images.ts";
import { internal } from "../errors.ts";
import type { StorePath } from "../nix/store-path.ts";
import { digestHex, type Digest } from "../oci/digest.ts";
import type { PushedChoice, PushedClosure } from "./pushed-choices.ts";
import { arrangeVolumes, type PlannedVolume } from "./volumes.ts";

/** An image in an ordinary registry, named by the digest of its manifest. */
export interface PushedImage {
  readonly kind: "pushed";
  /** `<host>/<repository>`. */
  readonly repository: string;
  readonly digest: Digest;
}

/** The image reference of a pushed image: what a Pod's volume names. */
export function pushedReference({ repository, digest }: Omit<PushedImage, "kind">): string {
  return `${repository}@${digest}`;
}

/** The volumes that carry a closure with images that were pushed, in the order of all plans. */
export function makePushedVolumes(
  { closure, pushed }: PushedClosure,
  { store, own }: PushedChoice,
): readonly PlannedVolume[] {
  const imageOf = (digest: Digest): Pick<PlannedVolume, "image" | "reference"> => {
    const image: PushedImage = { kind: "pushed", repository: pushed.repository, digest };
    return { image, reference: pushedReference(image) };
  };
  return arrangeVolumes(closure, own, {
    ...(store && {
      store: {
        ...imageOf(store.digest),
        // As many digits as the check of a store image that our registry makes.
        name: `nix-store-${digestHex(store.digest).slice(0, 16)}`,
        storePaths: closure.paths.map((info) => info.storePath).filter((path) => !store.own.has(path)),
      },
    }),
    path: (path) => imageOf(pathDigest(pushed, path)),
  });
}

/** The references of the images of a choice, in no particular order. */
export function choiceReferences({ pushed }: PushedClosure, { store, own }: PushedChoice): readonly string[] {
  const digests = [...own].map((path) => pathDigest(pushed, path));
  if (store !== undefined) digests.push(store.digest);
  return digests.map((digest) => pushedReference({ repository: pushed.repository, digest }));
}

function pathDigest({ paths }: PushedImages, path: StorePath): Digest {
  const digest = paths.get(path);
  if (digest === undefined) throw internal(`${path} was pushed without an image`);
  return digest;
}
