import { namespaceNotAllowed, type NixClosureError, sourceUnknown } from "../errors.ts";
import type { Closure } from "../nix/closure.ts";
import { injectPod, isInjected, neededTypes, type Injection } from "../patch/inject.ts";
import type { Pod } from "../patch/pod.ts";
import { podOperations } from "../patch/operations.ts";
import {
  encodePatch,
  type EncodedPatch,
  PreparedPatches,
  type PreparedPatch,
  shapeOf,
} from "../patch/prepared-patch.ts";
import { readRequest, type ClosureRequest, type PodRequest } from "../patch/request.ts";
import type { ResolvedClosure } from "../patch/volume-set.ts";
import { pullBudget, type KubeletLimits } from "../plan/budget.ts";
import { planClosure, type Strategy } from "../plan/plan.ts";
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
  /** Half of the registry's blob budget, in bytes. */
  readonly maxImageBytes: number;
  /** The nodes' kubelets, for which a Pod that starts far slower than it could gets a warning; undefined: none does. */
  readonly slowStartWarnings?: KubeletLimits | undefined;
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

  async function resolve(
    pod: Pod,
    request: PodRequest,
    closureRequest: ClosureRequest,
    signal: AbortSignal | undefined,
  ): Promise<ResolvedClosure> {
    const { source, roots, profileRoots } = closureRequest;
    const { host, maxImageBytes } = settings;
    const strategy = request.annotations.strategy ?? settings.strategy;
    const closure = await resolver.resolve(source, roots, signal);
    const injected = isInjected(pod, host);
    const key = `${strategy} ${injected} ${source}:${roots.join()} ${[...profileRoots].join()}`;
    const known = planned.find(key, closure);
    if (known !== undefined) return known;
    const types = await resolver.pathTypes(source, neededTypes(closure, strategy, injected), signal);
    const plan = planClosure({ source, closure, types, strategy, profileRoots, host, maxImageBytes });
    const resolved = { plan, types, profileRoots };
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
    const closures = request.closures.map(
      async (closure) => [closure.key, await resolve(pod, request, closure, signal)] as const,
    );
    for (const [key, closure] of await Promise.all(closures)) resolved.set(key, closure);
    const injection = injectPod(pod, request, resolved, settings.host);
    const kubelet = settings.slowStartWarnings;
    if (kubelet === undefined) return injection;
    const plans = [...resolved.values()].map(({ plan }) => plan);
    // Most Pods have one image of their own; as prepared patches do, the warning leaves the others out of account.
    return warnOfSlowStart(injection, pod, plans, kubelet, pullBudget(kubelet, 1));
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
