/** What a closure in an ordinary registry is, as its index and its closure manifest say. */
export const closureArtifactType = "application/vnd.nix-closure.closure.v1";

/** Media type of the closure document, the one layer of the closure manifest. */
export const closureDocumentMediaType = "application/vnd.nix-closure.closure.v1+json";

/** Names of annotations. */
export const annotations = {
  /** Of the index: store paths with a blank between them. */
  roots: "org.nix-closure.roots",
  /** Of the index: the system in Nix's words. */
  system: "org.nix-closure.system",
  /** Of the closure manifest: `<key name>:<base64>`, with a blank between two. */
  signatures: "org.nix-closure.signatures",
} as const;
