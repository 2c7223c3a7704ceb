import type { NamedImages } from "../closure-index/named-images.ts";
import { storeDirectory } from "../nix/store-path.ts";
import { type Digest, digestHex } from "../oci/digest.ts";
import { type PushedImage, pushedReference } from "./pushed-volumes.ts";
import type { PlannedVolume } from "./volumes.ts";

/** A volume of a name: of what is in it only the image that a node pulls can tell. */
export type NamedVolume = Pick<PlannedVolume, "name" | "image" | "reference" | "mountPath">;

/**
 * The volumes of a name. They are mounted at the same places on nodes of all systems, for a Pod is written before anybody
 * knows which node it will have: the store image has all paths, and the root's own image is the profile alone.
 *
 * @param profile where it is mounted; undefined: nowhere.
 */
export function makeNamedVolumes(named: NamedImages, profile: string | undefined): readonly NamedVolume[] {
  const volume = (kind: "store" | "profile", digest: Digest, mountPath: string): NamedVolume => {
    const image: PushedImage = { kind: "pushed", repository: named.repository, digest };
    const name = `nix-${kind}-${digestHex(digest).slice(0, 16)}`;
    return { name, image, reference: pushedReference(image), mountPath };
  };
  const store = volume("store", named.store, storeDirectory);
  if (profile === undefined || named.profile === undefined) return [store];
  return [store, volume("profile", named.profile, profile)];
}
