import type { Closure, PathType } from "../src/nix/closure.ts";
import { parseSha256 } from "../src/nix/hash.ts";
import type { NarInfo } from "../src/nix/narinfo.ts";
import type { StorePath } from "../src/nix/store-path.ts";
import { numbers } from "./synthetic-graph.ts";
import { syntheticStorePath } from "./synthetic-paths.ts";

/** A closure with the types of its paths. */
export interface TypedGraph {
  readonly closure: Closure;
  readonly types: ReadonlyMap<StorePath, PathType>;
}

/** An application in two versions, the second of which has what is the application's own built anew. */
export interface App {
  readonly now: TypedGraph;
  readonly next: TypedGraph;
}

/** How the applications of a fleet resemble each other. */
export interface FleetShape {
  /** Sets of a language's runtime and packages of it that applications start from. */
  readonly bases: number;
  readonly appsPerBase: number;
  /** Shared packages that an application adds to its base, at most. */
  readonly extras: number;
}

/** A store path that is being made up. */
interface Part {
  readonly name: string;
  readonly narSize: number;
  readonly needs: readonly Part[];
  /** A file, as configurations and scripts are: it cannot have a volume of its own. */
  readonly isFile?: boolean;
}

const mebibyte = 2 ** 20;
const noHash = parseSha256(`sha256:${"0".repeat(52)}`);

/**
 * Applications as a package collection has them: a C library that all need, the compiler's runtime, shared libraries of
 * which a few are in nearly everything (a power law), runtimes of languages, packages for each of them, and what
 * is the application's own. Sizes are log-normal. The same seed gives the same fleet.
 */
export function makeFleet(seed: number, { bases, appsPerBase, extras }: FleetShape): readonly App[] {
  const next = numbers(seed);
  const below = (limit: number): number => Math.floor(next() * limit);
  /** A size in bytes with this median; of six in a hundred of them it is more than ten times as much. */
  const size = (median: number): number => {
    const normal = Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next());
    return Math.max(512, Math.round(median * mebibyte * Math.exp(1.5 * normal)));
  };
  /** One of a list that is sorted by popularity. */
  const popular = (list: readonly Part[]): Part | undefined => list[Math.floor(list.length * next() ** 2.5)];
  const some = (list: readonly Part[], count: number): readonly Part[] =>
    Array.from({ length: count }, () => popular(list)).filter((part) => part !== undefined);

  const idn: Part = { name: "libidn2", narSize: 2.2 * mebibyte, needs: [] };
  const libc: Part = { name: "libc", narSize: 30 * mebibyte, needs: [idn] };
  const compiler: Part = { name: "gcc-lib", narSize: 9 * mebibyte, needs: [libc] };
  const shell: Part = { name: "bash", narSize: 1.6 * mebibyte, needs: [libc] };
  const libraries: Part[] = [];
  for (let i = 0; i < 150; i++) {
    const lower = some(libraries, below(4));
    const needs = [libc, ...(next() < 0.3 ? [compiler] : []), ...(next() < 0.2 ? [shell] : []), ...lower];
    libraries.push({ name: `library${i}`, narSize: size(0.5), needs });
  }
  const languages = [110, 60, 250, 45, 70].map((megabytes, i) => {
    const needs = [libc, compiler, shell, ...some(libraries, 8 + below(8))];
    const runtime: Part = { name: `runtime${i}`, narSize: megabytes * mebibyte, needs };
    const packages: Part[] = [];
    for (let at = 0; at < 80; at++) {
      const native = next() < 0.3 ? some(libraries, 1 + below(3)) : [];
      const lower = some(packages, below(4));
      packages.push({ name: `package${i}-${at}`, narSize: size(0.8), needs: [runtime, ...native, ...lower] });
    }
    return { runtime, packages };
  });

  return Array.from({ length: bases }, (_base, base) => {
    const language = languages[base % languages.length];
    const packages = language?.packages ?? [];
    const common = [...(language ? [language.runtime] : []), ...some(packages, 4 + below(16))];
    return Array.from({ length: appsPerBase }, (_app, at): App => {
      const more = [...some(packages, below(extras + 1)), ...some(libraries, below(extras + 1))];
      const own = Array.from({ length: below(5) }, () => {
        return { narSize: size(1), needs: [...common, ...more].filter(() => next() < 0.3) };
      });
      const rootSize = size(3);
      const config: Part | undefined =
        next() < 0.3 ? { name: `config${base}-${at}`, narSize: 2048, needs: [], isFile: true } : undefined;
      const build = (version: number): TypedGraph => {
        const name = `app${base}-${at}-${version}`;
        const parts: Part[] = [];
        for (const [i, { narSize, needs }] of own.entries())
          parts.push({ name: `${name}-part${i}`, narSize, needs: [libc, ...needs, ...parts.slice(-1)] });
        const needs = [...common, ...more, ...parts, shell, ...(config ? [config] : [])];
        return closureOf({ name, narSize: rootSize, needs }, seed);
      };
      return { now: build(1), next: build(2) };
    });
  }).flat();
}

/** The closure of one made-up path. */
function closureOf(root: Part, seed: number): TypedGraph {
  const pathOf = ({ name }: Part): StorePath => syntheticStorePath(`${name}-of-${seed}`);
  const parts = new Set([root]);
  for (const part of parts) for (const needed of part.needs) parts.add(needed);
  const paths = [...parts]
    .map((part): NarInfo => ({
      storePath: pathOf(part),
      url: "none.nar",
      compression: "none",
      narHash: noHash,
      narSize: part.narSize,
      references: [...new Set(part.needs.map(pathOf))].toSorted(),
      signatures: [],
    }))
    .toSorted((a, b) => (a.storePath < b.storePath ? -1 : 1));
  return {
    closure: {
      roots: [pathOf(root)],
      paths,
      byPath: new Map(paths.map((info) => [info.storePath, info])),
      narSize: paths.reduce((sum, info) => sum + info.narSize, 0),
    },
    types: new Map([...parts].map((part) => [pathOf(part), part.isFile ? "regular" : "directory"])),
  };
}
