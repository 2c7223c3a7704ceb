import type { ClosureName } from "../closure-index/closure-name.ts";
import {
  baseImageUnknown,
  containerUnknown,
  maxListed,
  type NixClosureError,
  osUnsupported,
  strategyNotForNames,
  throwTogether,
  tooManyClosures,
} from "../errors.ts";
import type { StorePath } from "../nix/store-path.ts";
import { annotationKeys, containerOf, parseAnnotations, type Annotations } from "./annotations.ts";
import type { AskedClosure, KnownSources } from "./asked-closure.ts";
import { allContainers, type Pod } from "./pod.ts";

/** The image that stands for the configured base image. */
export const baseImagePlaceholder = "nix.closure/base";

/** Closures of one Pod: each has a volume at least, and a Pod no more than so many (maxVolumesPerPod). */
const maxClosures = 200;

/** One distinct closure that a Pod asks for. */
export type ClosureRequest = RootsRequest | NameRequest;

/** The closure of roots. */
export interface RootsRequest {
  /** Identifies it within the Pod: source and roots, in any order. */
  readonly key: string;
  readonly source: string;
  readonly roots: readonly StorePath[];
  /** The roots among them that some container mounts as its profile. */
  readonly profileRoots: ReadonlySet<StorePath>;
}

/** What a name stands for. */
export interface NameRequest {
  /** Source and name. */
  readonly key: string;
  readonly source: string;
  readonly name: ClosureName;
  /** Where its root is mounted a second time; undefined: nowhere. */
  readonly profile: string | undefined;
}

/** What one container asks for. */
export interface ContainerRequest {
  readonly name: string;
  readonly closureKey: string;
  /** undefined: it asks for a name. */
  readonly firstRoot: StorePath | undefined;
  /** An annotation names this container: it gets the closure even if it joined an injected Pod later. */
  readonly named: boolean;
}

/** What a Pod asks for: its annotations, spread over its containers. */
export interface PodRequest {
  readonly annotations: Annotations;
  readonly closures: readonly ClosureRequest[];
  readonly containers: readonly ContainerRequest[];
  /** For the person who creates the Pod; at most a line each. */
  readonly warnings: readonly string[];
}

/**
 * Reads what a Pod asks for.
 * @returns undefined if it asks for no closure.
 * @throws one error that holds all that is wrong: those of parseAnnotations, containerUnknown, baseImageUnknown,
 * osUnsupported, strategyNotForNames; tooManyClosures.
 */
export function readRequest(pod: Pod, known: KnownSources): PodRequest | undefined {
  const errors: NixClosureError[] = [];
  const annotations = parseAnnotations(pod.metadata.annotations ?? {}, known, errors);
  if (annotations === undefined) {
    throwTogether(errors);
    return undefined;
  }
  const containers = allContainers(pod);
  const names = containers.map((container) => container.name);
  const present = new Set(names);
  const warnings: string[] = [];

  for (const key of Object.keys(pod.metadata.annotations ?? {})) {
    const name = containerOf(key);
    if (errors.length > maxListed) break;
    if (name !== undefined && !present.has(name)) errors.push(containerUnknown(key, name, names));
  }
  const missing = (annotations.containers ?? []).filter((name) => !present.has(name));
  // Another webhook may add a container after us, so a missing name is wrong for certain only where none is there.
  if (missing.length > 0 && missing.length === annotations.containers?.length) {
    errors.push(containerUnknown(annotationKeys.containers, missing.join(", "), names));
  } else if (missing.length > 0) {
    warnings.push(
      `annotation ${annotationKeys.containers} names ${missing.join(", ")}, which the Pod does not have (yet); it has: ${names.join(", ")}`,
    );
  }
  for (const { name, image = "" } of containers) {
    if (image !== baseImagePlaceholder && /^nix\.closure(\/|:|@|$)/.test(image))
      errors.push(baseImageUnknown(name, image));
  }
  const os = pod.spec.os?.name ?? pod.spec.nodeSelector?.["kubernetes.io/os"] ?? "linux";
  if (os !== "linux") errors.push(osUnsupported(os));
  const { strategy = "auto" } = annotations;
  for (const name of namesIn(annotations)) {
    if (strategy === "auto" || strategy === "bundle" || errors.length > maxListed) break;
    errors.push(strategyNotForNames(strategy, name));
  }
  throwTogether(errors);

  const selected = annotations.containers && new Set(annotations.containers);
  const requests = containers.flatMap(({ name }) => requestOf(name, annotations, selected));
  const closures = distinctClosures(annotations, requests);
  // Before a cache is asked for any of them.
  if (closures.length > maxClosures) throw tooManyClosures(closures.length, maxClosures);
  return { annotations, closures, containers: requests, warnings };
}

function requestOf(
  name: string,
  annotations: Annotations,
  selected: ReadonlySet<string> | undefined,
): readonly ContainerRequest[] {
  const own = annotations.containerClosures.get(name);
  const listed = selected?.has(name);
  const asked = own ?? (listed === false ? undefined : annotations.closure);
  if (asked === undefined) return [];
  return [
    {
      name,
      closureKey: closureKey(asked),
      firstRoot: "name" in asked ? undefined : asked.roots[0],
      named: own !== undefined || listed === true,
    },
  ];
}

/** All closures that the annotations ask for, the Pod's first. */
function askedIn({ closure, containerClosures }: Annotations): readonly AskedClosure[] {
  return [...(closure === undefined ? [] : [closure]), ...containerClosures.values()];
}

function namesIn(annotations: Annotations): ReadonlySet<ClosureName> {
  return new Set(askedIn(annotations).flatMap((asked) => ("name" in asked ? asked.name : [])));
}

function distinctClosures(
  annotations: Annotations,
  containers: readonly ContainerRequest[],
): readonly ClosureRequest[] {
  const { profile } = annotations;
  const usersOf = Map.groupBy(containers, (container) => container.closureKey);
  const closures = new Map<string, ClosureRequest>();
  for (const asked of askedIn(annotations)) {
    const key = closureKey(asked);
    const users = usersOf.get(key);
    if (users === undefined || closures.has(key)) continue;
    const { source } = asked;
    if ("name" in asked) {
      closures.set(key, { key, source, name: asked.name, profile });
      continue;
    }
    const profileRoots = profile === undefined ? [] : users.flatMap((user) => user.firstRoot ?? []);
    closures.set(key, { key, source, roots: asked.roots, profileRoots: new Set(profileRoots) });
  }
  return [...closures.values()];
}

function closureKey(asked: AskedClosure): string {
  return `${asked.source}:${"name" in asked ? asked.name : asked.roots.toSorted().join(",")}`;
}
