import { LRUCache } from "lru-cache";
import type { Closure } from "../nix/closure.ts";
import type { ResolvedRoots } from "../patch/volume-set.ts";

/** What is planned is kept for so many volumes and paths in all; each takes about a KiB. */
const maxKept = 20_000;

/** Plans of Pods' closures that were resolved before, as long as the resolver answers with the very same closures. */
export class PlannedClosures {
  readonly #plans = new LRUCache<string, readonly ResolvedRoots[]>({ maxSize: maxKept });

  /**
   * @param key everything that the plans depend on but the closures' content: sources, roots, profiles, strategy,
   *   number of images.
   * @param closures in their order.
   */
  find(key: string, closures: readonly Closure[]): readonly ResolvedRoots[] | undefined {
    const planned = this.#plans.get(key);
    return planned?.every(({ plan }, at) => plan.closure === closures[at]) ? planned : undefined;
  }

  remember(key: string, planned: readonly ResolvedRoots[]): void {
    // A Pod may have no container that gets one.
    const size = planned.reduce((sum, { plan }) => sum + plan.volumes.length + plan.closure.paths.length, 1);
    this.#plans.set(key, planned, { size });
  }
}
