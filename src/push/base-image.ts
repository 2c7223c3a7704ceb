import { pushedBaseImage } from "../image/pushed-base-image.ts";
import type { Digest } from "../oci/digest.ts";
import { conversionVersion } from "../plan/image-name.ts";
import { Repository, type RepositoryOptions } from "../registry-client/repository.ts";
import { Blobs } from "./blobs.ts";
import { type Outcome, Tally } from "./tally.ts";

/** The base image in a repository. */
export interface BaseImageInRegistry {
  readonly tag: string;
  /** Of the index: it is for all architectures. */
  readonly digest: Digest;
  readonly outcome: Outcome;
}

/**
 * Puts the base image into an ordinary registry, under the tag `base-<version>`.
 *
 * @throws the errors of the registry
 */
export async function pushBaseImage(
  options: Omit<RepositoryOptions, "access"> & { readonly signal: AbortSignal },
): Promise<BaseImageInRegistry> {
  const { host, repository: name, signal } = options;
  const { layer, documents } = await pushedBaseImage();
  const { index, manifests, configs } = documents;
  const tag = `base-${conversionVersion}`;
  const tally = new Tally();
  const repository = new Repository({ ...options, access: "push" });
  try {
    const blobs = new Blobs({ repository, host, name, mountFrom: [], dryRun: false, tally, signal });
    await blobs.ensure(layer);
    for (const config of configs) await blobs.ensure(config);
    for (const manifest of manifests) await blobs.ensureManifest(manifest);
    const present = await repository.headManifest(tag, signal);
    if (present?.digest !== index.digest) await blobs.tag(tag, index);
    return { tag, digest: index.digest, outcome: tally.outcome };
  } finally {
    await repository.close();
  }
}
