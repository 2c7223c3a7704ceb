import { namespaceNotAllowed, type NixClosureError, sourceUnknown } from "../errors.ts";
import { injectPod, neededTypes, type Injection } from "../patch/inject.ts";
import type { Pod } from "../patch/pod.ts";
import { readRequest, type ClosureRequest, type PodRequest } from "../patch/request.ts";
import type { ResolvedClosure } from "../patch/volume-set.ts";
import { planClosure, type Strategy } from "../plan/plan.ts";
import type { Resolver } from "../resolver/resolver.ts";
import { allowsNamespace } from "./policy.ts";

/** What injection needs of the configuration. */
export interface AdmissionSettings {
  readonly sources: readonly { readonly name: string; readonly namespaces: readonly string[] }[];
  readonly defaultSource: string;
  /** Host part of our registry's references. */
  readonly host: string;
  readonly strategy: Strategy;
  /** Half of the registry's blob budget, in bytes. */
  readonly maxImageBytes: number;
}

/** The one way of a Pod from its annotations to its injected form, behind the server and the command line. */
export interface Admission {
  /**
   * @param namespace undefined where it is not known (a manifest without one); then no source is refused for it.
   * @returns undefined if the Pod asks for nothing.
   * @throws NixClosureError for everything that a person can mend or wait for.
   */
  inject(pod: Pod, namespace: string | undefined, signal?: AbortSignal): Promise<Injection | undefined>;
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

  async function resolve(
    pod: Pod,
    request: PodRequest,
    { source, roots, profileRoots }: ClosureRequest,
    signal: AbortSignal | undefined,
  ): Promise<ResolvedClosure> {
    const strategy = request.annotations.strategy ?? settings.strategy;
    const closure = await resolver.resolve(source, roots, signal);
    const types = await resolver.pathTypes(
      source,
      neededTypes(pod, settings.host, closure, strategy),
      signal,
    );
    const { host, maxImageBytes } = settings;
    const plan = planClosure({ source, closure, types, strategy, profileRoots, host, maxImageBytes });
    return { plan, types, profileRoots };
  }

  return {
    async inject(pod, namespace, signal) {
      const request = readRequest(pod, known);
      if (request === undefined) return undefined;
      const refused = refusal();
      if (refused !== undefined) throw refused;
      for (const { source } of request.closures) checkNamespace(settings, source, namespace);
      const resolved = await Promise.all(
        request.closures.map(
          async (closure) => [closure.key, await resolve(pod, request, closure, signal)] as const,
        ),
      );
      return injectPod(pod, request, new Map(resolved), settings.host);
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
