import { NixClosureError, pathMismatch, pathUnknown } from "../errors.ts";
import type { Closure, PathType } from "../nix/closure.ts";
import type { PathInfo } from "../nix/path-info.ts";
import { parsePublicKey } from "../nix/signature.ts";
import { storeHash, type StoreHash, type StorePath } from "../nix/store-path.ts";
import { parseCacheUrl } from "./cache-url.ts";
import type { Cache, CacheSurroundings } from "./cache.ts";
import { Credentials, type CredentialFiles } from "./credentials.ts";
import { FileCache } from "./file-cache.ts";
import { Flights } from "./flights.ts";
import { HttpCache } from "./http-cache.ts";
import type { KnownPath } from "./memory.ts";
import { namePath } from "./name-path.ts";
import type { NarLocation } from "./nar-location.ts";
import { OrderedCaches } from "./ordered-caches.ts";
import { findPathType } from "./path-type.ts";
import { Slots } from "./slots.ts";
import { type CacheSourceConfig, labelOf, type Source, type SourceSurroundings } from "./source.ts";

/** NARs of one source that are open at a time to tell a path's type; each can take 2 MiB and a decoder. */
const maxNars = 16;

/** A source of binary caches, through the memory. */
export class CacheSource implements Source {
  readonly name: string;
  readonly repository = undefined;
  readonly names = undefined;
  readonly #caches: OrderedCaches;
  readonly #with: SourceSurroundings;
  readonly #closing: AbortSignal;
  readonly #lookups = new Flights<KnownPath | undefined>();
  readonly #types = new Flights<PathType>();
  /** Its own: NARs that hang are not to hold up other sources. */
  readonly #narSlots = new Slots(maxNars);

  /** @throws cacheUrlInvalid, publicKeyInvalid */
  constructor(config: CacheSourceConfig, surroundings: SourceSurroundings, closing: AbortSignal) {
    this.name = config.name;
    this.#with = surroundings;
    this.#closing = closing;
    this.#caches = new OrderedCaches(
      config.caches.map((url) => makeCache(url, config, surroundings, closing)),
      config.publicKeys.map(parsePublicKey),
      surroundings.timeouts,
    );
  }

  known(roots: readonly StorePath[]): Closure | undefined {
    return this.#with.memory.peekClosure(this.name, roots);
  }

  async closure(roots: readonly StorePath[], signal: AbortSignal | undefined): Promise<Closure> {
    const { memory, walks, limits } = this.#with;
    const known = memory.closure(this.name, roots);
    if (known !== undefined) return known;
    const read = async (path: StorePath): Promise<KnownPath | undefined> => this.#findPath(path);
    const options = { roots, read, caches: this.#caches.names, limits };
    return walks.join(`${this.name} ${roots.join(" ")}`, options, this.#closing, signal, (walk, closure) => {
      memory.rememberClosure(this.name, closure, walk.known.values());
    });
  }

  async roots(hashes: readonly StoreHash[]): Promise<readonly StorePath[]> {
    const infos = await Promise.all(hashes.map(async (hash) => this.lookup(hash)));
    return infos.map(({ storePath }) => storePath);
  }

  async lookup(hash: StoreHash): Promise<PathInfo> {
    const label = labelOf(hash);
    try {
      return ((await this.#find(hash, label)) ?? this.#failUnknown(label)).info;
    } catch (error) {
      throw error instanceof NixClosureError ? namePath(error, label) : error;
    }
  }

  async type(path: StorePath): Promise<PathType> {
    const { memory } = this.#with;
    const known = memory.type(this.name, path);
    if (known !== undefined) return known;
    return this.#types.run(path, async () => {
      const found = await this.#expectPath(path);
      try {
        const type = await findPathType(found, this.#caches, this.#narSlots);
        memory.rememberType(this.name, path, type);
        return type;
      } catch (error) {
        throw error instanceof NixClosureError ? namePath(error, path) : error;
      }
    });
  }

  async locate(path: StorePath): Promise<readonly NarLocation[]> {
    const known = await this.#expectPath(path);
    try {
      return await this.#caches.locate(known);
    } catch (error) {
      throw error instanceof NixClosureError ? namePath(error, path) : error;
    }
  }

  async close(): Promise<void> {
    await this.#caches.close();
  }

  /**
   * One path, verified; `undefined` if no cache has it.
   *
   * @param label what it is, for messages.
   */
  #find(hash: StoreHash, label: string): Promise<KnownPath | undefined> {
    const { memory } = this.#with;
    const { known, stale } = memory.path(this.name, hash);
    if (known !== undefined) return Promise.resolve(known === "missing" ? undefined : known);
    return this.#lookups.run(hash, async () => {
      try {
        const found = await this.#caches.find(hash, label, stale !== undefined);
        if (found !== undefined) return memory.rememberPath(this.name, hash, found);
        memory.rememberMissing(this.name, hash);
        return undefined;
      } catch (error) {
        // Signatures do not expire: while no cache gives an answer, what is known is better than nothing.
        if (stale !== undefined) return stale;
        throw error;
      }
    });
  }

  /** One path under its whole name. */
  async #findPath(path: StorePath): Promise<KnownPath | undefined> {
    const known = await this.#find(storeHash(path), path);
    if (known === undefined || known.info.storePath === path) return known;
    throw pathMismatch(this.#caches.names[known.cache] ?? this.name, path, known.info.storePath);
  }

  /** @throws pathUnknown if no cache has it, and as {@link #findPath} */
  async #expectPath(path: StorePath): Promise<KnownPath> {
    return (await this.#findPath(path)) ?? this.#failUnknown(path);
  }

  /** @throws pathUnknown, always */
  #failUnknown(path: string): never {
    throw pathUnknown(path, "", this.#caches.names);
  }
}

function makeCache(
  url: string,
  files: CredentialFiles,
  surroundings: CacheSurroundings,
  closing: AbortSignal,
): Cache {
  const address = parseCacheUrl(url);
  if (address.kind === "file") return new FileCache(address, surroundings, closing);
  const credentials = new Credentials(files, address.login, surroundings.clock);
  return new HttpCache(address, credentials, surroundings, closing);
}
