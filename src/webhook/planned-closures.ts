import { LRUCache } from "lru-cache";
import type { Closure } from "../nix/closure.ts";
import type { ResolvedClosure } from "../patch/volume-set.ts";

/** What is planned is kept for so many volumes and paths in all; each takes about a KiB. */
const maxKept = 20_000;

/** Plans of closures that were resolved before, as long as the resolver answers with the very same closure. */
export class PlannedClosures {
  readonly #plans = new LRUCache<string, ResolvedClosure>({ maxSize: maxKept });

  /** @param key everything that the plan depends on but the closure: source, roots, strategy, profiles. */
  find(key: string, closure: Closure): ResolvedClosure | undefined {
    const planned = this.#plans.get(key);
    return planned?.plan.closure === closure ? planned : undefined;
  }

  remember(key: string, planned: ResolvedClosure): void {
    const { volumes, closure } = planned.plan;
    this.#plans.set(key, planned, { size: volumes.length + closure.paths.length });
  }
}
