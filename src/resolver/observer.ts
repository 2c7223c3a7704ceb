import type { Clock } from "./clock.ts";

/**
 * What a cache is asked for; `info` is its nix-cache-info, which comes before anything else. A registry with pushed
 * closures is asked for an `index`, then a closure `manifest`, then a closure `document`.
 */
export type CacheRequestKind = "info" | "narinfo" | "listing" | "nar" | "index" | "manifest" | "document";

/** What is told to the metrics. Calls must neither throw nor block. */
export interface ResolverObserver {
  /**
   * One request to a cache, each retry counted, or to a registry, with its retries and tokens. `missing`: it answered
   * that it does not have it.
   */
  cacheRequest(event: {
    /** The cache's URL without credentials, or the registry's `<host>/<repository>`. */
    readonly cache: string;
    readonly kind: CacheRequestKind;
    readonly outcome: "hit" | "missing" | "error";
    readonly seconds: number;
  }): void;
  /** One question to the memory: a path, a closure, or a path's type. */
  memory(event: { readonly outcome: "hit" | "miss" }): void;
}

/** Tells nobody. */
export const silentObserver: ResolverObserver = {
  cacheRequest: () => undefined,
  memory: () => undefined,
};

/** Does the work of one request, and tells how it ended: `undefined` is "missing". */
export async function observed<T>(
  to: { readonly observer: ResolverObserver; readonly clock: Clock },
  cache: string,
  kind: CacheRequestKind,
  work: () => Promise<T | undefined>,
): Promise<T | undefined> {
  const started = to.clock.now();
  const tell = (outcome: "hit" | "missing" | "error"): void => {
    to.observer.cacheRequest({ cache, kind, outcome, seconds: (to.clock.now() - started) / 1000 });
  };
  try {
    const result = await work();
    tell(result === undefined ? "missing" : "hit");
    return result;
  } catch (error) {
    tell("error");
    throw error;
  }
}
