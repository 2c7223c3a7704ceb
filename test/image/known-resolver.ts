import type { PathInfo } from "../../src/nix/path-info.ts";
import { storeHash } from "../../src/nix/store-path.ts";
import type { NarLocation } from "../../src/resolver/nar-location.ts";
import type { Resolver } from "../../src/resolver/resolver.ts";

/** What a resolver has found out about a path; plain data. */
export interface KnownPath {
  readonly info: PathInfo;
  readonly locations: readonly NarLocation[];
}

/** Knows paths that another resolver has looked up, and nothing else: a process with it loads no HTTP client. */
export function knownResolver(paths: readonly KnownPath[]): Resolver {
  const find = (wanted: (path: KnownPath) => boolean): KnownPath => {
    const found = paths.find(wanted);
    if (found === undefined) throw new Error("a path that is not known");
    return found;
  };
  const never = async (): Promise<never> => {
    throw new Error("only path images can be made");
  };
  return {
    sources: ["main"],
    lookup: async (_source, hash) => find(({ info }) => storeHash(info.storePath) === hash).info,
    narLocations: async (_source, path) => find(({ info }) => info.storePath === path).locations,
    known: () => undefined,
    repositoryOf: () => undefined,
    pushedImages: () => undefined,
    resolve: never,
    named: never,
    namedClosure: never,
    knownName: () => undefined,
    resolveHashes: never,
    pathTypes: never,
    forget: () => undefined,
    close: async () => undefined,
  };
}
