import {
  closureTooLarge,
  closureTooManyPaths,
  formatBytes,
  pathUnknown,
  toNixClosureError,
} from "../errors.ts";
import type { Closure } from "../nix/closure.ts";
import type { StorePath } from "../nix/store-path.ts";
import type { KnownPath } from "./memory.ts";
import { namePath } from "./name-path.ts";

/** Limits of one closure; a walk stops as soon as one is exceeded. */
export interface ResolverLimits {
  readonly maxPaths: number;
  /** Sum of NarSize, in bytes. */
  readonly maxBytes: number;
}

/** Paths of one walk that are asked for at a time: as many as there are connections to a cache. */
const concurrency = 64;

/** Paths of a chain that a message names, besides the root: the nearest, since they say what pulls the path in. */
const namedInChain = 3;

export interface WalkOptions {
  readonly roots: readonly StorePath[];
  /** Reads one path; `undefined` if no cache has it. */
  readonly read: (path: StorePath) => Promise<KnownPath | undefined>;
  /** The caches that were asked, for messages. */
  readonly caches: readonly string[];
  readonly limits: ResolverLimits;
  /** Stops the walk, which then rejects with its reason. */
  readonly signal: AbortSignal;
}

/** Follows references breadth first. Neither depth nor cycles matter: each path is visited once, from a queue. */
export class Walk {
  readonly #options: WalkOptions;
  /** Paths in the order that they were found, each with the path that needs it. */
  readonly #neededBy = new Map<StorePath, StorePath | undefined>();
  readonly #queue: StorePath[] = [];
  readonly #known = new Map<StorePath, KnownPath>();
  readonly #outcome = Promise.withResolvers<void>();
  #next = 0;
  #active = 0;
  #narSize = 0;
  #stopped = false;

  constructor(options: WalkOptions) {
    this.#options = options;
  }

  /** The paths that are known so far. */
  get known(): ReadonlyMap<StorePath, KnownPath> {
    return this.#known;
  }

  /**
   * Walks, once.
   *
   * @throws pathUnknown, closureTooManyPaths, closureTooLarge, the signal's reason, and what `read` throws, with the
   * path that needs the one it is about.
   */
  async run(): Promise<Closure> {
    const { signal, roots } = this.#options;
    signal.throwIfAborted();
    const stop = (): void => this.#fail(signal.reason);
    signal.addEventListener("abort", stop, { once: true });
    try {
      for (const root of roots) this.#find(root, undefined);
      this.#advance();
      await this.#outcome.promise;
    } finally {
      signal.removeEventListener("abort", stop);
    }
    return this.#closure();
  }

  #find(path: StorePath, neededBy: StorePath | undefined): void {
    if (this.#neededBy.has(path)) return;
    this.#neededBy.set(path, neededBy);
    const { maxPaths } = this.#options.limits;
    if (this.#neededBy.size > maxPaths) this.#fail(closureTooManyPaths(this.#roots(), maxPaths));
    else this.#queue.push(path);
  }

  #advance(): void {
    while (!this.#stopped && this.#active < concurrency) {
      const path = this.#queue[this.#next];
      if (path === undefined) break;
      this.#next++;
      this.#active++;
      this.#visit(path).then(
        () => {
          this.#active--;
          this.#advance();
        },
        (error: unknown) => this.#fail(error),
      );
    }
    if (this.#active === 0 && this.#next === this.#queue.length) this.#outcome.resolve();
  }

  async #visit(path: StorePath): Promise<void> {
    const known = await this.#read(path);
    if (this.#stopped) return;
    this.#known.set(path, known);
    this.#narSize += known.info.narSize;
    const { maxBytes } = this.#options.limits;
    if (this.#narSize > maxBytes) {
      const size = `${formatBytes(this.#narSize)} or more in ${this.#known.size} paths`;
      throw closureTooLarge(this.#roots(), size, formatBytes(maxBytes));
    }
    for (const reference of known.info.references) this.#find(reference, path);
  }

  async #read(path: StorePath): Promise<KnownPath> {
    let known: KnownPath | undefined;
    try {
      known = await this.#options.read(path);
    } catch (error) {
      throw namePath(toNixClosureError(error), path, this.#chain(path));
    }
    if (known === undefined) throw pathUnknown(path, this.#chain(path), this.#options.caches);
    return known;
  }

  /** Who needs a path, up to the root; empty for a root. */
  #chain(path: StorePath): string {
    const chain: StorePath[] = [];
    for (let by = this.#neededBy.get(path); by !== undefined; by = this.#neededBy.get(by)) chain.push(by);
    const left = chain.length - namedInChain - 1;
    if (left > 0) chain.splice(namedInChain, left);
    return chain
      .map((by, index) => `${left > 0 && index === namedInChain ? `… ${left} more … ` : ""}needed by ${by}`)
      .join(", ");
  }

  #fail(error: unknown): void {
    this.#stopped = true;
    this.#outcome.reject(toNixClosureError(error));
  }

  #roots(): string {
    return this.#options.roots.join(" ");
  }

  #closure(): Closure {
    // Store paths differ after the same prefix, in ASCII, so this is the order of their base names' bytes.
    const paths = [...this.#known.values()]
      .map(({ info }) => info)
      .sort((a, b) => (a.storePath < b.storePath ? -1 : 1));
    const byPath = new Map(paths.map((info) => [info.storePath, info]));
    return { roots: this.#options.roots, paths, byPath, narSize: this.#narSize };
  }
}
