import type { Resolver } from "../resolver/resolver.ts";

/** A resolver that can be replaced while others use it: what a new configuration of sources does. */
export interface CurrentResolver extends Resolver {
  /** Uses another resolver from the next call on; the old one is closed when its calls under way have ended. */
  replace(next: Resolver): void;
}

export function createCurrentResolver(first: Resolver): CurrentResolver {
  let current = { resolver: first, calls: 0, retired: false };
  type Held = typeof current;

  async function use<T>(call: (resolver: Resolver) => Promise<T>): Promise<T> {
    const held = current;
    held.calls++;
    try {
      return await call(held.resolver);
    } finally {
      held.calls--;
      closeIfDone(held);
    }
  }
  function closeIfDone(held: Held): void {
    if (held.retired && held.calls === 0) void held.resolver.close();
  }

  return {
    get sources() {
      return current.resolver.sources;
    },
    resolve: (...args) => use((resolver) => resolver.resolve(...args)),
    known: (...args) => current.resolver.known(...args),
    resolveHashes: (...args) => use((resolver) => resolver.resolveHashes(...args)),
    named: (...args) => use((resolver) => resolver.named(...args)),
    knownName: (...args) => current.resolver.knownName(...args),
    namedClosure: (...args) => use((resolver) => resolver.namedClosure(...args)),
    lookup: (...args) => use((resolver) => resolver.lookup(...args)),
    pathTypes: (...args) => use((resolver) => resolver.pathTypes(...args)),
    narLocations: (...args) => use((resolver) => resolver.narLocations(...args)),
    repositoryOf: (...args) => current.resolver.repositoryOf(...args),
    pushedImages: (...args) => current.resolver.pushedImages(...args),
    forget: (...args) => current.resolver.forget(...args),
    replace(next) {
      const held = current;
      held.retired = true;
      current = { resolver: next, calls: 0, retired: false };
      closeIfDone(held);
    },
    close: () => current.resolver.close(),
  };
}
