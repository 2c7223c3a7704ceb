import { nearestWords, pathAmbiguous, pathNotInClosure } from "../errors.ts";
import type { Closure } from "../nix/closure.ts";
import { baseName, storeDirectory, storeHash, storePathName, type StorePath } from "../nix/store-path.ts";

/** How many paths an error suggests. */
const suggested = 3;

/**
 * Finds the path of a closure that a person means: by its store path, with or without `/nix/store/`, by its hash, by its
 * name, or by its name without the version.
 * @throws pathNotInClosure, which suggests the nearest names; pathAmbiguous
 */
export function findNamedPath(closure: Closure, text: string): StorePath {
  const asked = withoutInside(text);
  const paths = closure.paths.map((info) => info.storePath);
  const ways: readonly ((path: StorePath) => string)[] = [
    (path) => path,
    baseName,
    storeHash,
    storePathName,
    (path) => nameWithoutVersion(storePathName(path)),
  ];
  for (const way of ways) {
    const found = paths.filter((path) => way(path) === asked);
    const [first, second] = found;
    if (first === undefined) continue;
    if (second !== undefined) throw pathAmbiguous(text, found);
    return first;
  }
  throw pathNotInClosure(text, closure.roots.map(baseName), suggestPaths(paths, asked));
}

/** `/nix/store/<hash>-<name>` of a file in there. */
function withoutInside(text: string): string {
  return /^\/nix\/store\/[^/]+/.exec(text)?.[0] ?? text;
}

/** What comes before the first dash that no letter follows, as Nix splits names (DrvName in src/libstore/names.cc, 2.36). */
function nameWithoutVersion(name: string): string {
  return name.replace(/-[^a-zA-Z].*$/, "");
}

/** Names that hold what was asked for come first, then those that are spelled most like it, whatever the versions. */
function suggestPaths(paths: readonly StorePath[], text: string): readonly string[] {
  const wanted = nameWithoutVersion(text.replace(`${storeDirectory}/`, "").replace(/^[0-9a-z]{32}-/, ""));
  const names = new Map(paths.map((path) => [path, nameWithoutVersion(storePathName(path))] as const));
  const holders = paths.filter((path) => names.get(path)?.includes(wanted));
  const near = nearestWords(wanted, [...new Set(names.values())], suggested).flatMap((word) =>
    paths.filter((path) => names.get(path) === word),
  );
  return [...new Set([...holders, ...near])].slice(0, suggested).map(baseName);
}
