import type { Digest } from "../oci/digest.ts";
import { type NameDocument, profileIndex, storeIndex } from "./name-document.ts";

/** The images of a name in an ordinary registry, as far as a Pod needs them: each is a platform index. */
export interface NamedImages {
  /** `<host>/<repository>`: what every reference starts with. */
  readonly repository: string;
  /** What the name stands for. */
  readonly document: NameDocument;
  /** Of the store images' index. */
  readonly store: Digest;
  /** Of the profiles' index; undefined: a root is no directory. */
  readonly profile: Digest | undefined;
}

/** What follows from the document of a name. */
export function namedImages(repository: string, document: NameDocument): NamedImages {
  return {
    repository,
    document,
    store: storeIndex(document).digest,
    profile: profileIndex(document)?.digest,
  };
}
