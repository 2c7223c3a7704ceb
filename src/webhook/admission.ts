import type { NamedImages } from "../closure-index/named-images.ts";
import { namespaceNotAllowed, type NixClosureError, sourceUnknown } from "../errors.ts";
import type { Closure } from "../nix/closure.ts";
import { injectPod, isInjected, type Injection } from "../patch/inject.ts";
import type { OurReferences } from "../patch/owned.ts";
import type { Pod } from "../patch/pod.ts";
import { podOperations } from "../patch/operations.ts";
import { countOtherImages } from "../patch/other-images.ts";
import {
  encodePatch,
  type EncodedPatch,
  type PreparedFrom,
  PreparedPatches,
  type PreparedPatch,
  shapeOf,
} from "../patch/prepared-patch.ts";
import { baseImagePlaceholder, readRequest, type PodRequest } from "../patch/request.ts";
import type { ResolvedClosure } from "../patch/volume-set.ts";
import { pullBudget, type KubeletLimits } from "../plan/budget.ts";
import type { PlanRules, Strategy } from "../plan/plan.ts";
import { warnOfLargePlans } from "../plan/pushed-plan-warning.ts";
import type { Resolver } from "../resolver/resolver.ts";
import { refuseAbsentImages } from "./absent-images.ts";
import { type ClosureSource, PodClosureResolver } from "./pod-closures.ts";
import { allowsNamespace } from "./policy.ts";
import { warnOfSlowStart } from "./slow-start-warning.ts";

/** A source, as far as injection needs to know it. */
export interface AdmissionSource extends ClosureSource {
  readonly name: string;
  readonly namespaces: readonly string[];
}

/** What injection needs of the configuration. */
export interface AdmissionSettings {
  readonly sources: readonly AdmissionSource[];
  readonly defaultSource: string;
  /** Host part of our registry's references. */
  readonly host: string;
  /** Whether nodes reach one of ours there. */
  readonly hasRegistry: boolean;
  /** What the base image's placeholder is replaced by; undefined: nothing, it is refused. */
  readonly baseImage: string | undefined;
  readonly strategy: Strategy;
  /** Images that a Pod's closures get at most with the strategies that choose a number. */
  readonly maxVolumes: number;
  readonly kubelet: KubeletLimits;
  /** Half of the registry's blob budget, in bytes. */
  readonly maxImageBytes: number;
  /** Whether a Pod that starts far slower than it could gets a warning. */
  readonly slowStartWarnings: boolean;
}

/** The one way of a Pod from its annotations to its injected form, behind the server and the command line. */
export interface Admission {
  /**
   * @param namespace undefined where it is not known (a manifest without one); then no source is refused for it.
   * @returns undefined if the Pod asks for nothing.
   * @throws NixClosureError for everything that a person can mend or wait for.
   */
  inject(pod: Pod, namespace: string | undefined, signal?: AbortSignal): Promise<Injection | undefined>;
  /** The same as a patch. */
  patch(pod: Pod, namespace: string | undefined, signal?: AbortSignal): Promise<EncodedPatch | undefined>;
  /**
   * The same patch without any wait, for a Pod like one before.
   *
   * @param podBytes an upper bound of the Pod's bytes as JSON.
   * @returns undefined for every other Pod, and for one that is refused: `patch` says why.
   */
  patchAtOnce(pod: Pod, namespace: string | undefined, podBytes: number): EncodedPatch | undefined;
}

/**
 * @param refusal why no Pod may be injected now, whatever it asks for; undefined: nothing stands against it.
 */
export function createAdmission(
  resolver: Resolver,
  settings: AdmissionSettings,
  refusal: () => NixClosureError | undefined = () => undefined,
): Admission {
  const known = {
    sources: settings.sources.map((source) => source.name),
    defaultSource: settings.defaultSource,
  };
  const sources = new Map(settings.sources.map((source) => [source.name, source]));
  const ours: OurReferences = {
    host: settings.host,
    baseImage: settings.baseImage ?? baseImagePlaceholder,
    repositories: [...new Set(settings.sources.flatMap(({ repository }) => repository ?? []))],
  };
  const pullSecrets = [...new Set(settings.sources.flatMap(({ pullSecret }) => pullSecret ?? []))];
  const podClosures = new PodClosureResolver(resolver, sources);
  const prepared = new PreparedPatches();
  const versions = new WeakMap<Closure | NamedImages, number>();
  let lastVersion = 0;

  function rulesFor(pod: Pod, { annotations }: PodRequest): PlanRules {
    const { host, maxImageBytes, kubelet, maxVolumes } = settings;
    const maxImages = Math.min(pullBudget(kubelet, countOtherImages(pod, ours)), maxVolumes);
    return { strategy: annotations.strategy ?? settings.strategy, maxImages, host, maxImageBytes };
  }

  function read(pod: Pod, namespace: string | undefined): PodRequest | undefined {
    const request = readRequest(pod, known);
    if (request === undefined) return undefined;
    const refused = refusal();
    if (refused !== undefined) throw refused;
    for (const { source } of request.closures) checkNamespace(settings, source, namespace);
    refuseAbsentImages(settings, pod, request);
    return request;
  }

  /** @param resolved gets the closures that the Pod asks for. */
  async function inject(
    pod: Pod,
    namespace: string | undefined,
    signal: AbortSignal | undefined,
    resolved: Map<string, ResolvedClosure> = new Map(),
  ): Promise<Injection | undefined> {
    const request = read(pod, namespace);
    if (request === undefined) return undefined;
    const injected = isInjected(pod, ours);
    const closures = await podClosures.resolve(request.closures, rulesFor(pod, request), injected, signal);
    for (const [key, closure] of closures.byKey) resolved.set(key, closure);
    const injection = injectPod(pod, request, resolved, ours);
    // A Pod that was injected before keeps its volumes whatever is said of them.
    if (injection.pod === pod) return injection;
    const { roots, rules } = closures;
    const warnings = [...injection.warnings, ...warnOfLargePlans(roots, rules)];
    if (settings.slowStartWarnings)
      warnings.push(...warnOfSlowStart(injection.volumes, closures, settings.kubelet, rules.maxImages));
    return { ...injection, warnings };
  }

  /** Tells closures apart, so that a patch needs not keep its own in memory. */
  function versionOf(closure: Closure | NamedImages): number {
    let version = versions.get(closure);
    if (version === undefined) versions.set(closure, (version = ++lastVersion));
    return version;
  }

  function madeFrom(resolved: ResolvedClosure): PreparedFrom {
    if ("named" in resolved) {
      const { source, named } = resolved;
      return { source, name: named.document.name, version: versionOf(named) };
    }
    const { source, closure } = resolved.plan;
    return { source, roots: closure.roots, version: versionOf(closure) };
  }

  /** Whether the closures of a patch are still what the resolver knows, and the namespace may use their sources. */
  function isCurrent({ closures }: PreparedPatch, namespace: string | undefined): boolean {
    for (const { source, version, ...asked } of closures) {
      const namespaces = sources.get(source)?.namespaces;
      const known =
        "name" in asked ? resolver.knownName(source, asked.name) : resolver.known(source, asked.roots);
      if (known === undefined || versions.get(known) !== version || namespaces === undefined) return false;
      if (namespace !== undefined && !allowsNamespace(namespaces, namespace)) return false;
    }
    return true;
  }

  return {
    inject: async (pod, namespace, signal) => inject(pod, namespace, signal),
    async patch(pod, namespace, signal) {
      const resolved = new Map<string, ResolvedClosure>();
      const injection = await inject(pod, namespace, signal, resolved);
      if (injection === undefined) return undefined;
      const { warnings, volumes } = injection;
      const encoded = encodePatch(podOperations(pod, injection.pod));
      const shape = encoded === undefined ? undefined : shapeOf(pod, ours, pullSecrets);
      if (encoded !== undefined && shape !== undefined) {
        const closures = [...resolved.values()].map(madeFrom);
        prepared.remember({ shape, encoded, warnings, volumes, closures });
      }
      return { encoded, warnings, volumes };
    },
    patchAtOnce(pod, namespace, podBytes) {
      const shape = shapeOf(pod, ours, pullSecrets);
      const patch = shape === undefined ? undefined : prepared.find(shape, podBytes);
      if (patch === undefined || refusal() !== undefined) return undefined;
      return isCurrent(patch, namespace) ? patch : undefined;
    },
  };
}

function checkNamespace(settings: AdmissionSettings, name: string, namespace: string | undefined): void {
  const source = settings.sources.find((candidate) => candidate.name === name);
  if (source === undefined)
    throw sourceUnknown(
      name,
      settings.sources.map((candidate) => candidate.name),
    );
  if (namespace !== undefined && !allowsNamespace(source.namespaces, namespace)) {
    throw namespaceNotAllowed(name, namespace, source.namespaces);
  }
}
