import { namespaceNotAllowed, type NixClosureError, sourceUnknown } from "../errors.ts";
import type { Closure } from "../nix/closure.ts";
import { injectPod, isInjected, neededTypes, type Injection } from "../patch/inject.ts";
import type { Pod } from "../patch/pod.ts";
import { podOperations } from "../patch/operations.ts";
import { countOtherImages } from "../patch/other-images.ts";
import {
  encodePatch,
  type EncodedPatch,
  PreparedPatches,
  type PreparedPatch,
  shapeOf,
} from "../patch/prepared-patch.ts";
import { readRequest, type PodRequest } from "../patch/request.ts";
import type { ResolvedClosure } from "../patch/volume-set.ts";
import { pullBudget, type KubeletLimits } from "../plan/budget.ts";
import { planClosures, type Strategy } from "../plan/plan.ts";
import type { Resolver } from "../resolver/resolver.ts";
import { PlannedClosures } from "./planned-closures.ts";
import { allowsNamespace } from "./policy.ts";
import { warnOfSlowStart } from "./slow-start-warning.ts";

/** What injection needs of the configuration. */
export interface AdmissionSettings {
  readonly sources: readonly { readonly name: string; readonly namespaces: readonly string[] }[];
  readonly defaultSource: string;
  /** Host part of our registry's references. */
  readonly host: string;
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
  const planned = new PlannedClosures();
  const prepared = new PreparedPatches();
  const versions = new WeakMap<Closure, number>();
  let lastVersion = 0;

  function maxImagesOf(pod: Pod): number {
    return Math.min(pullBudget(settings.kubelet, countOtherImages(pod, settings.host)), settings.maxVolumes);
  }

  /** Resolves the closures of a Pod, in their order, and plans them together. */
  async function resolve(
    pod: Pod,
    request: PodRequest,
    signal: AbortSignal | undefined,
  ): Promise<readonly ResolvedClosure[]> {
    const { host, maxImageBytes } = settings;
    const closures = await Promise.all(
      request.closures.map(async ({ source, roots, profileRoots }) => {
        return { source, profileRoots, closure: await resolver.resolve(source, roots, signal) };
      }),
    );
    const injected = isInjected(pod, host);
    const maxImages = maxImagesOf(pod);
    const rules = {
      strategy: request.annotations.strategy ?? settings.strategy,
      maxImages,
      host,
      maxImageBytes,
    };
    const key = [
      `${rules.strategy} ${maxImages} ${injected}`,
      ...request.closures.map(
        ({ source, roots, profileRoots }) => `${source}:${roots.join()} ${[...profileRoots].join()}`,
      ),
    ].join("\n");
    const known = planned.find(
      key,
      closures.map(({ closure }) => closure),
    );
    if (known !== undefined) return known;
    const needed = neededTypes(closures, rules, injected);
    const typed = await Promise.all(
      closures.map(async (closure, at) => {
        const types = await resolver.pathTypes(closure.source, needed[at] ?? [], signal);
        return { ...closure, types };
      }),
    );
    const plans = planClosures(typed, rules);
    const resolved = typed.flatMap(({ types, profileRoots }, at) => {
      const plan = plans[at];
      return plan === undefined ? [] : [{ plan, types, profileRoots }];
    });
    planned.remember(key, resolved);
    return resolved;
  }

  function read(pod: Pod, namespace: string | undefined): PodRequest | undefined {
    const request = readRequest(pod, known);
    if (request === undefined) return undefined;
    const refused = refusal();
    if (refused !== undefined) throw refused;
    for (const { source } of request.closures) checkNamespace(settings, source, namespace);
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
    const closures = await resolve(pod, request, signal);
    for (const [at, { key }] of request.closures.entries()) {
      const closure = closures[at];
      if (closure !== undefined) resolved.set(key, closure);
    }
    const injection = injectPod(pod, request, resolved, settings.host);
    if (!settings.slowStartWarnings) return injection;
    const plans = closures.map(({ plan }) => plan);
    return warnOfSlowStart(injection, pod, plans, settings.kubelet, maxImagesOf(pod));
  }

  /** Tells closures apart, so that a patch needs not keep its own in memory. */
  function versionOf(closure: Closure): number {
    let version = versions.get(closure);
    if (version === undefined) versions.set(closure, (version = ++lastVersion));
    return version;
  }

  /** Whether the closures of a patch are still what the resolver knows, and the namespace may use their sources. */
  function isCurrent({ closures }: PreparedPatch, namespace: string | undefined): boolean {
    for (const { source, roots, version } of closures) {
      const namespaces = sources.get(source)?.namespaces;
      const known = resolver.known(source, roots);
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
      const shape = encoded === undefined ? undefined : shapeOf(pod, settings.host);
      if (encoded !== undefined && shape !== undefined) {
        const closures = [...resolved.values()].map(({ plan: { source, closure } }) => {
          return { source, roots: closure.roots, version: versionOf(closure) };
        });
        prepared.remember({ shape, encoded, warnings, volumes, closures });
      }
      return { encoded, warnings, volumes };
    },
    patchAtOnce(pod, namespace, podBytes) {
      const shape = shapeOf(pod, settings.host);
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
