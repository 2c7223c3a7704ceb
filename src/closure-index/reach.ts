import type { StorePath } from "../nix/store-path.ts";
import type { ClosureDocument } from "./pushed-closure.ts";

/** The first path that no root of a document leads to, if there is one. */
export function whatIsNotReached({
  roots,
  paths,
}: Pick<ClosureDocument, "roots" | "paths">): StorePath | undefined {
  const references = new Map(paths.map((path) => [path.storePath, path.references]));
  const reached = new Set(roots);
  // A set gives what is added while it is walked.
  for (const path of reached) for (const reference of references.get(path) ?? []) reached.add(reference);
  return paths.find(({ storePath }) => !reached.has(storePath))?.storePath;
}
