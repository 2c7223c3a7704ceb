import type { PushedImages } from "../closure-index/pushed-images.ts";
import { internal } from "../errors.ts";
import type { Closure } from "../nix/closure.ts";
import { neededTypes } from "../patch/inject.ts";
import type { ClosureRequest, NameRequest, RootsRequest } from "../patch/request.ts";
import type { ResolvedClosure, ResolvedName, ResolvedRoots } from "../patch/volume-set.ts";
import { makeNamedVolumes } from "../plan/named-volumes.ts";
import { planClosures, type PlanRules } from "../plan/plan.ts";
import type { Resolver } from "../resolver/resolver.ts";
import { PlannedClosures } from "./planned-closures.ts";

/** A source, as far as closures of Pods need to know it. */
export interface ClosureSource {
  /** `<host>/<repository>` that its closures were pushed to; undefined: it has caches. */
  readonly repository?: string | undefined;
  /** The Secret of the Pod's namespace that nodes pull from there with. */
  readonly pullSecret?: string | undefined;
}

/** The closures of one Pod, resolved and planned together. */
export interface PodClosures {
  readonly roots: readonly ResolvedRoots[];
  readonly names: readonly ResolvedName[];
  /** All of them by the keys of their requests. */
  readonly byKey: ReadonlyMap<string, ResolvedClosure>;
  /** What the closures of roots were planned with: names have taken their images from it. */
  readonly rules: PlanRules;
}

/** Resolves and plans the closures of Pods. */
export class PodClosureResolver {
  readonly #resolver: Resolver;
  readonly #sources: ReadonlyMap<string, ClosureSource>;
  readonly #planned = new PlannedClosures();

  /** @param sources by name. */
  constructor(resolver: Resolver, sources: ReadonlyMap<string, ClosureSource>) {
    this.#resolver = resolver;
    this.#sources = sources;
  }

  /**
   * Resolves what a Pod asks for, in the order in which it does.
   *
   * @param injected whether the Pod came with volumes of ours.
   */
  async resolve(
    requests: readonly ClosureRequest[],
    rules: PlanRules,
    injected: boolean,
    signal: AbortSignal | undefined,
  ): Promise<PodClosures> {
    const byName = requests.filter((request) => "name" in request);
    const byRoots = requests.filter((request) => "roots" in request);
    const names = await Promise.all(byName.map(async (request) => this.#named(request, signal)));
    // There is nothing to choose for a name: whatever it has, the others have the rest.
    const taken = new Set(names.flatMap(({ volumes }) => volumes.map(({ reference }) => reference)));
    const left = { ...rules, maxImages: Math.max(0, rules.maxImages - taken.size) };
    const roots = await this.#plan(byRoots, left, injected, signal);
    const resolved = new Map<string, ResolvedClosure>();
    for (const [at, { key }] of byName.entries()) resolved.set(key, names[at] as ResolvedName);
    for (const [at, { key }] of byRoots.entries()) resolved.set(key, roots[at] as ResolvedRoots);
    const byKey = new Map(
      requests.flatMap(({ key }) => {
        const closure = resolved.get(key);
        return closure === undefined ? [] : [[key, closure] as const];
      }),
    );
    return { roots, names, byKey, rules: left };
  }

  async #named(
    { source, name, profile }: NameRequest,
    signal: AbortSignal | undefined,
  ): Promise<ResolvedName> {
    const named = await this.#resolver.named(source, name, signal);
    const { pullSecret } = this.#sources.get(source) ?? {};
    return { source, named, volumes: makeNamedVolumes(named, profile), pullSecret };
  }

  async #plan(
    requests: readonly RootsRequest[],
    rules: PlanRules,
    injected: boolean,
    signal: AbortSignal | undefined,
  ): Promise<readonly ResolvedRoots[]> {
    const closures = await Promise.all(
      requests.map(async ({ source, roots, profileRoots }) => {
        const closure = await this.#resolver.resolve(source, roots, signal);
        return { source, profileRoots, closure, pushed: this.#pushedImages(source, closure) };
      }),
    );
    const key = [
      `${rules.strategy} ${rules.maxImages} ${injected}`,
      ...requests.map(
        ({ source, roots, profileRoots }) => `${source}:${roots.join()} ${[...profileRoots].join()}`,
      ),
    ].join("\n");
    const known = this.#planned.find(
      key,
      closures.map(({ closure }) => closure),
    );
    if (known !== undefined) return known;
    const needed = neededTypes(closures, rules, injected);
    const typed = await Promise.all(
      closures.map(async (closure, at) => {
        const types = await this.#resolver.pathTypes(closure.source, needed[at] ?? [], signal);
        return { ...closure, types };
      }),
    );
    const plans = planClosures(typed, rules);
    const resolved = typed.flatMap(({ source, types, profileRoots, pushed }, at) => {
      const plan = plans[at];
      const { pullSecret } = this.#sources.get(source) ?? {};
      return plan === undefined ? [] : [{ plan, types, profileRoots, pushed, pullSecret }];
    });
    this.#planned.remember(key, resolved);
    return resolved;
  }

  /** @returns undefined for a source of caches. */
  #pushedImages(source: string, closure: Closure): PushedImages | undefined {
    if (this.#sources.get(source)?.repository === undefined) return undefined;
    const pushed = this.#resolver.pushedImages(source, closure);
    if (pushed === undefined) throw internal(`the images of a closure of source ${source} are not known`);
    return pushed;
  }
}
