/** What a closure in an ordinary registry is, as its index and its closure manifest say. */
export const closureArtifactType = "application/vnd.nix-closure.closure.v1";

/** Media type of the closure document, the one layer of the closure manifest. */
export const closureDocumentMediaType = "application/vnd.nix-closure.closure.v1+json";

/** What a name is, as its index and its manifest say. */
export const nameArtifactType = "application/vnd.nix-closure.name.v1";

/** Media type of the name document, the first layer of the name's manifest. */
export const nameDocumentMediaType = "application/vnd.nix-closure.name.v1+json";

/** Names of annotations. */
export const annotations = {
  /** Of the index of a closure: store paths with a blank between them. */
  roots: "org.nix-closure.roots",
  /** Of the index of a closure: the system in Nix's words. */
  system: "org.nix-closure.system",
  /** Of the index of a name: the name. */
  name: "org.nix-closure.name",
  /** Of the index of a name: the systems, with a blank between two. */
  systems: "org.nix-closure.systems",
  /** Of the closure manifest, and of a name's: `<key name>:<base64>`, with a blank between two. */
  signatures: "org.nix-closure.signatures",
} as const;
