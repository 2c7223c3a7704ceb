import type { PushedPath } from "../closure-index/closure-document.ts";
import { closureTag, closureTagOfHashes, maxTagRoots } from "../closure-index/closure-tag.ts";
import {
  closureIndexInvalid,
  closureNotPushed,
  closureRootsDiffer,
  closureTooLarge,
  closureTooManyPaths,
  formatBytes,
  type NixClosureError,
  sourceWithoutNars,
  toNixClosureError,
  tooManyTogether,
} from "../errors.ts";
import type { Closure, PathType } from "../nix/closure.ts";
import type { PathInfo } from "../nix/path-info.ts";
import { parsePublicKey, type PublicKey } from "../nix/signature.ts";
import { storeHash, type StoreHash, type StorePath } from "../nix/store-path.ts";
import { parseReference } from "../oci/reference.ts";
import { noCredentials, openCredentialStore } from "../registry-client/credentials.ts";
import { Repository } from "../registry-client/repository.ts";
import { requestClosure } from "./closure-request.ts";
import { Flights } from "./flights.ts";
import { freshFor } from "./memory.ts";
import { namePath } from "./name-path.ts";
import { Outage } from "./outage.ts";
import { Refusals } from "./refusals.ts";
import { RegistryNames } from "./registry-names.ts";
import { labelOf, type RegistrySourceConfig, type Source, type SourceSurroundings } from "./source.ts";
import { staleFor, unlessLate } from "./stale.ts";
import type { TrustedClosure } from "./trusted-closure.ts";
import { waitFor } from "./waiting.ts";

/** So many of several roots are asked for by themselves, to find one whose closure has the others. */
const maxAsked = 8;

/** As Nix has it for binary caches. */
const maxAttempts = 5;

/** A source of closures that were pushed to a repository of an ordinary registry, through the memory. */
export class RegistrySource implements Source {
  readonly name: string;
  readonly repository: string;
  readonly names: RegistryNames;
  readonly #repository: Repository;
  readonly #keys: readonly PublicKey[];
  readonly #with: SourceSurroundings;
  readonly #closing: AbortSignal;
  readonly #requests = new Flights<TrustedClosure>();
  readonly #outage: Outage;
  /** By roots. */
  readonly #refusals: Refusals;

  /** @throws publicKeyInvalid, referenceInvalid */
  constructor(config: RegistrySourceConfig, surroundings: SourceSurroundings, closing: AbortSignal) {
    const { dockerConfigFile, caFile, plainHTTP } = config;
    const { clock, lookup, timeouts } = surroundings;
    const { host, repository } = parseReference(config.registry);
    this.name = config.name;
    this.#keys = config.publicKeys.map(parsePublicKey);
    this.#with = surroundings;
    this.#closing = closing;
    this.#repository = new Repository({
      host,
      repository,
      credentials:
        dockerConfigFile === undefined
          ? noCredentials
          : openCredentialStore({ env: {}, file: dockerConfigFile }),
      ...(caFile !== undefined && { caFile }),
      ...(plainHTTP !== undefined && { plainHttp: plainHTTP }),
      ...(lookup !== undefined && { lookup }),
      timeouts,
      retries: { attempts: maxAttempts, patience: timeouts.patience },
      signal: closing,
      clock,
    });
    this.repository = this.#repository.name;
    this.#outage = new Outage(this.repository, clock);
    this.#refusals = new Refusals(clock);
    this.names = new RegistryNames({
      repository: this.#repository,
      keys: this.#keys,
      surroundings,
      outage: this.#outage,
      closing,
    });
  }

  known(roots: readonly StorePath[]): Closure | undefined {
    for (const tag of tagsWith(roots)) {
      const closure = this.#with.memory.peekPushed(this.name, tag)?.closure(roots);
      if (closure !== undefined) return closure;
    }
    return undefined;
  }

  async closure(roots: readonly StorePath[], signal: AbortSignal | undefined): Promise<Closure> {
    const label = roots.join(" ");
    const found = this.#findWith(roots, label);
    const what = `the closure of ${label}`;
    const trusted = await waitFor(found, { clock: this.#with.clock, signal, what, known: { size: 0 } });
    const closure = trusted.closure(roots);
    if (closure !== undefined) return closure;
    throw closureRootsDiffer(this.repository, label, trusted.roots.join(" "));
  }

  async roots(hashes: readonly StoreHash[]): Promise<readonly StorePath[]> {
    const { roots } = await this.#find(closureTagOfHashes(hashes), hashes.map(labelOf).join(" "));
    return hashes.flatMap((hash) => roots.find((root) => storeHash(root) === hash) ?? []);
  }

  async lookup(hash: StoreHash): Promise<PathInfo> {
    const trusted = await this.#find(hash, labelOf(hash));
    return expectPath(trusted, trusted.roots[0]);
  }

  async type(path: StorePath): Promise<PathType> {
    const known = this.#with.memory.pushedWith(this.name, path);
    if (known !== undefined) return expectPath(known, path).type;
    const trusted = await this.#find(storeHash(path), path);
    const info = trusted.path(path);
    if (info === undefined) throw closureRootsDiffer(this.repository, path, trusted.roots.join(" "));
    return info.type;
  }

  async locate(): Promise<never> {
    throw sourceWithoutNars(this.name, this.repository);
  }

  async close(): Promise<void> {
    await this.#repository.close();
  }

  /**
   * The closure of some roots: the one that was pushed with all of them together, else that of one of them, if it has all
   * others. Then there is nothing that would have to be pushed once more.
   */
  async #findWith(roots: readonly StorePath[], label: string): Promise<TrustedClosure> {
    if (roots.length === 1) return this.#find(closureTag(roots), label);
    for (const tag of tagsWith(roots)) {
      const { known } = this.#with.memory.pushed(this.name, tag);
      if (known?.closure(roots) !== undefined) return known;
    }
    try {
      return await this.#find(closureTag(roots), label);
    } catch (error) {
      if (!isNotPushed(error)) throw error;
      for (const root of roots.slice(0, maxAsked)) {
        const one = await this.#findUnlessMissing(root);
        if (one?.closure(roots) !== undefined) return one;
      }
      throw error;
    }
  }

  async #findUnlessMissing(root: StorePath): Promise<TrustedClosure | undefined> {
    try {
      return await this.#find(storeHash(root), root);
    } catch (error) {
      if (isNotPushed(error)) return undefined;
      throw error;
    }
  }

  /**
   * The closure under a tag: from memory, else from the registry.
   *
   * @param label its roots, for messages.
   */
  async #find(tag: string, label: string): Promise<TrustedClosure> {
    const { memory, clock } = this.#with;
    const { known, stale } = memory.pushed(this.name, tag);
    if (known !== undefined) return known;
    this.#refusals.check(label);
    const request = this.#requests.run(label, async () => this.#request(tag, label, stale));
    return stale === undefined ? request : unlessLate(request, clock, () => this.#keep(tag, stale));
  }

  async #request(tag: string, label: string, stale: TrustedClosure | undefined): Promise<TrustedClosure> {
    const { memory } = this.#with;
    try {
      const trusted = await this.#outage.unless(`asking for the closure of ${label}`, () =>
        this.#ask(tag, label, stale),
      );
      memory.rememberPushed(this.name, tag, trusted, freshFor);
      return trusted;
    } catch (cause) {
      const error = this.#inWords(toNixClosureError(cause), label);
      const isGone = error.code === closureNotPushed.code;
      if (isGone) memory.forgetPushed(this.name, tag);
      // Signatures do not expire: while there is no answer to be believed, what is known is better than nothing.
      else if (stale !== undefined) return this.#keep(tag, stale);
      this.#refusals.note(label, error);
      throw error;
    }
  }

  async #ask(tag: string, label: string, known: TrustedClosure | undefined): Promise<TrustedClosure> {
    const { clock, observer, limits } = this.#with;
    const trusted = await requestClosure({
      repository: this.#repository,
      keys: this.#keys,
      tag,
      label,
      known,
      signal: this.#closing,
      observer,
      clock,
    });
    if (trusted === undefined) throw closureNotPushed(label, this.repository, tag.includes("_"));
    const { narSize, paths } = trusted;
    if (paths.length > limits.maxPaths) throw closureTooManyPaths(label, limits.maxPaths);
    if (narSize <= limits.maxBytes) return trusted;
    throw closureTooLarge(label, formatBytes(narSize), formatBytes(limits.maxBytes));
  }

  /** Believes an old answer for some time more. */
  #keep(tag: string, stale: TrustedClosure): TrustedClosure {
    this.#with.memory.rememberPushed(this.name, tag, stale, staleFor);
    return stale;
  }

  #inWords(error: NixClosureError, label: string): NixClosureError {
    if (error.code === closureIndexInvalid.code)
      return error.within(`${this.repository}, the closure of ${label}`);
    return namePath(error, label);
  }
}

/** The tags under which a closure may be that has all of some roots, that of their own first. */
function tagsWith(roots: readonly StorePath[]): readonly string[] {
  const together = roots.length <= maxTagRoots ? [closureTag(roots)] : [];
  return roots.length === 1 ? together : [...together, ...roots.slice(0, maxAsked).map(storeHash)];
}

/** Whether nothing was pushed under a tag, or nothing could be, for so many roots. */
function isNotPushed(error: unknown): boolean {
  const { code } = toNixClosureError(error);
  return code === closureNotPushed.code || code === tooManyTogether.code;
}

function expectPath(trusted: TrustedClosure, path: StorePath | undefined): PushedPath {
  const info = path === undefined ? undefined : trusted.path(path);
  if (info === undefined) throw new Error(`a pushed closure without ${path ?? "a root"}`);
  return info;
}
