import type { LyingCache } from "../lying-cache.ts";
import type { Scene } from "../scenes.ts";

/** One way for a cache to fail or to lie. */
export interface Lie {
  /** What it does, to follow "a cache that". */
  readonly name: string;
  readonly scene: Scene;
  /**
   * Teaches a cache what to say.
   * @param other another origin that the cache may lead to, itself honest.
   */
  tell(cache: LyingCache, other: LyingCache): void;
}
