import { isSystem, type System, systems } from "../closure-index/system.ts";
import {
  annotationInvalid,
  annotationUnknown,
  maxListed,
  nearest,
  NixClosureError,
  quote,
} from "../errors.ts";
import { strategies, type Strategy } from "../plan/plan.ts";
import { type AskedClosure, type KnownSources, parseAskedClosure } from "./asked-closure.ts";

/** The annotations of docs/annotations.md. */
export const annotationKeys = {
  closure: "nix.closure",
  container: "container.nix.closure/",
  containers: "nix.closure/containers",
  strategy: "nix.closure/strategy",
  profile: "nix.closure/profile",
  path: "nix.closure/path",
  system: "nix.closure/system",
  status: "nix.closure/status",
} as const;

/** The keys that concern the whole Pod. */
const podKeys = Object.values(annotationKeys).filter((key) => key !== annotationKeys.container);

/** A Pod's annotations, parsed. */
export interface Annotations {
  readonly closure?: AskedClosure;
  /** By container name. */
  readonly containerClosures: ReadonlyMap<string, AskedClosure>;
  readonly containers?: readonly string[];
  readonly strategy?: Strategy;
  /** Where the first root is mounted a second time; undefined for nowhere. */
  readonly profile: string | undefined;
  /** undefined: the default, true for containers with the base image. */
  readonly path?: boolean;
  readonly system?: System;
}

/** Where the first root is mounted a second time if nothing else is said. */
export const defaultProfile = "/nix/var/nix/profiles/default";

/**
 * Parses a Pod's annotations.
 * @param errors gets one error for each thing that is wrong: annotationUnknown, annotationInvalid, storePathInvalid,
 *   sourceUnknown, rootsMissing, closureNameInvalid.
 * @returns undefined if the Pod asks for no closure; what is wrong is left out.
 */
export function parseAnnotations(
  annotations: Readonly<Record<string, string>>,
  known: KnownSources,
  errors: NixClosureError[],
): Annotations | undefined {
  /** Runs one validator; its error joins the others. */
  function take<T>(key: string, validate: (value: string) => T): T | undefined {
    const value = annotations[key];
    if (value === undefined) return undefined;
    try {
      return validate(value.trim());
    } catch (error) {
      if (!(error instanceof NixClosureError)) throw error;
      errors.push(error);
      return undefined;
    }
  }

  const ours = Object.keys(annotations).filter(isOurs);
  const containerKeys = ours.filter((key) => containerOf(key) !== undefined);
  const knownKeys: ReadonlySet<string> = new Set([...podKeys, ...containerKeys]);
  for (const key of ours) {
    if (errors.length > maxListed) break;
    if (!knownKeys.has(key)) errors.push(annotationUnknown(key, nearestKey(key)));
  }

  const closure = take(annotationKeys.closure, (value) =>
    parseAskedClosure(`annotation ${annotationKeys.closure}`, value, known, errors),
  );
  const containerClosures = new Map<string, AskedClosure>();
  for (const key of containerKeys) {
    if (errors.length > maxListed) break;
    const asked = take(key, (value) => parseAskedClosure(`annotation ${key}`, value, known, errors));
    if (asked !== undefined) containerClosures.set(containerOf(key) ?? "", asked);
  }
  const containers = take(annotationKeys.containers, parseContainers);
  const strategy = take(annotationKeys.strategy, parseStrategy);
  const profile = take(annotationKeys.profile, parseProfile);
  const path = take(annotationKeys.path, parsePath);
  const system = take(annotationKeys.system, parseSystem);

  const asks = annotationKeys.closure in annotations;
  const options = ours.filter((key) => key !== annotationKeys.status && key !== annotationKeys.closure);
  if (!asks && containers !== undefined) {
    errors.push(
      annotationInvalid(annotationKeys.containers, `it has no effect without ${annotationKeys.closure}`),
    );
  }
  if (!asks && containerKeys.length === 0 && options.length > 0 && errors.length === 0) {
    errors.push(annotationInvalid(options.join(", "), `no effect without ${annotationKeys.closure}; add it`));
  }
  if (path === true && profile === null) {
    errors.push(
      annotationInvalid(annotationKeys.path, `"true" needs a profile, ${annotationKeys.profile} is "none"`),
    );
  }
  if (!asks && containerKeys.length === 0) return undefined;
  return {
    ...(closure === undefined ? {} : { closure }),
    containerClosures,
    ...(containers === undefined ? {} : { containers }),
    ...(strategy === undefined ? {} : { strategy }),
    profile: profile === null ? undefined : (profile ?? defaultProfile),
    ...(path === undefined ? {} : { path }),
    ...(system === undefined ? {} : { system }),
  };
}

/** The container that an annotation key names; undefined if it is not one of those. */
export function containerOf(key: string): string | undefined {
  const name = key.startsWith(annotationKeys.container) ? key.slice(annotationKeys.container.length) : "";
  return name === "" ? undefined : name;
}

/** Whether an annotation key lies in our domain, rightly or wrongly spelt. */
export function isOurs(key: string): boolean {
  if (!key.includes("nix.closure")) return false;
  const [domain = ""] = key.split("/", 1);
  return domain === "nix.closure" || domain.endsWith(".nix.closure");
}

function nearestKey(key: string): string {
  const containerKey = `${annotationKeys.container}<container>`;
  if (key.includes("container.nix.closure")) return containerKey;
  return nearest(key, [...podKeys, containerKey]) ?? annotationKeys.closure;
}

function parseContainers(value: string): readonly string[] {
  const names = value.split(/[\s,]+/).filter((name) => name !== "");
  if (names.length === 0)
    throw annotationInvalid(annotationKeys.containers, "it names no container; remove it for all");
  return [...new Set(names)];
}

function parseStrategy(value: string): Strategy {
  const strategy = strategies.find((known) => known === value);
  if (strategy === undefined) throw oneOf(annotationKeys.strategy, value, strategies);
  return strategy;
}

/** null for `none`. Kubernetes wants mount paths without ":". */
function parseProfile(value: string): string | null {
  if (value === "none") return null;
  const problem = !value.startsWith("/")
    ? 'it must be an absolute path, or "none"'
    : value === "/" || value === "/nix" || /^\/nix\/store(\/|$)/.test(value)
      ? "a profile cannot be there; the default is " + defaultProfile
      : value
            .slice(1)
            .split("/")
            .some((part) => part === "" || part === "." || part === "..") || value.includes(":")
        ? 'it must be a plain path, without ":", "." or ".." and without a slash at its end'
        : undefined;
  if (problem !== undefined) throw annotationInvalid(annotationKeys.profile, `${quote(value)}: ${problem}`);
  return value;
}

function parsePath(value: string): boolean {
  if (value !== "true" && value !== "false") throw oneOf(annotationKeys.path, value, ["true", "false"]);
  return value === "true";
}

function parseSystem(value: string): System {
  if (!isSystem(value)) throw oneOf(annotationKeys.system, value, systems);
  return value;
}

function oneOf(key: string, value: string, known: readonly string[]): NixClosureError {
  return annotationInvalid(key, `${quote(value)} is not one of: ${known.join(", ")}`);
}
