import type { StorePath } from "../src/nix/store-path.ts";
import { numbers } from "./synthetic-graph.ts";
import { syntheticStorePath, type SyntheticPath } from "./synthetic-paths.ts";

/**
 * Closures as a cluster has them after some years: programs built from one of several revisions of nixpkgs. Those of one
 * revision share its base and choose among its libraries; across revisions nothing is the same.
 */
const revisions = 50;
const programsPerRevision = 20;
const basePaths = 25;
const librariesPerRevision = 300;
/** What a program needs of its revision's libraries. */
const libraries = { atLeast: 13, atMost: 33 };

/** A root of every fleet that has more programs than the index. */
export function fleetRoot(index: number): StorePath {
  return syntheticStorePath(`program-${index}`);
}

/**
 * All paths of such a cluster.
 *
 * @param count of programs, each with a closure of 40 to 60 paths
 */
export function syntheticFleet(count: number): readonly SyntheticPath[] {
  const next = numbers(count);
  const paths: SyntheticPath[] = [];
  const add = (name: string, references: readonly StorePath[]): StorePath => {
    const storePath = syntheticStorePath(name);
    paths.push({ storePath, references, type: paths.length % 25 === 24 ? "regular" : "directory" });
    return storePath;
  };
  const made = Array.from(
    { length: Math.min(revisions, Math.ceil(count / programsPerRevision)) },
    (_, revision) => {
      // A chain, so that a program that needs its end has it all.
      let base: StorePath | undefined;
      for (let at = 0; at < basePaths; at++)
        base = add(`base-${at}-${revision}`, base === undefined ? [] : [base]);
      const needed = base === undefined ? [] : [base];
      const choice = Array.from({ length: librariesPerRevision }, (_, at) =>
        add(`library-${at}-${revision}`, needed),
      );
      return { needed, choice };
    },
  );
  for (let index = 0; index < count; index++) {
    const { needed, choice } = made[index % made.length] ?? { needed: [], choice: [] };
    const chosen = new Set(needed);
    const size = libraries.atLeast + Math.floor(next() * (libraries.atMost - libraries.atLeast + 1));
    while (chosen.size < size + needed.length) {
      const library = choice[Math.floor(next() * choice.length)];
      if (library !== undefined) chosen.add(library);
    }
    const own = add(`program-lib-${index}`, [...chosen]);
    const references = [own, ...[...chosen].slice(0, 6)];
    paths.push({ storePath: fleetRoot(index), references, type: "directory" });
  }
  return paths;
}
