import { LRUCache } from "lru-cache";
import type { ClosureName } from "../closure-index/closure-name.ts";
import type { NamedClosure } from "../closure-index/name-document.ts";
import type { NamedImages } from "../closure-index/named-images.ts";
import {
  closureIndexInvalid,
  closureTooLarge,
  closureTooManyPaths,
  formatBytes,
  nameNotPushed,
  type NixClosureError,
  toNixClosureError,
} from "../errors.ts";
import type { PublicKey } from "../nix/signature.ts";
import type { Repository } from "../registry-client/repository.ts";
import { Flights } from "./flights.ts";
import { namePath } from "./name-path.ts";
import {
  type NameRequest,
  type ReadClosure,
  requestName,
  requestNamedClosure,
  type TrustedName,
} from "./name-request.ts";
import type { Outage } from "./outage.ts";
import { Refusals } from "./refusals.ts";
import type { SourceSurroundings } from "./source.ts";
import { staleFor, unlessLate } from "./stale.ts";

/**
 * How long a name is believed (milliseconds). Unlike a closure it can be pushed again, which is to be seen soon; so many
 * Pods of a Deployment ask once.
 */
export const nameFreshFor = 60_000;

/** Each takes a KiB or two. */
const maxNames = 5_000;

interface KnownName {
  readonly trusted: TrustedName;
  readonly until: number;
}

export interface RegistryNamesOptions {
  readonly repository: Repository;
  readonly keys: readonly PublicKey[];
  readonly surroundings: SourceSurroundings;
  readonly outage: Outage;
  readonly closing: AbortSignal;
}

/** The names of a source in an ordinary registry, each believed for a minute. */
export class RegistryNames {
  readonly #options: RegistryNamesOptions;
  readonly #known = new LRUCache<string, KnownName>({ max: maxNames });
  readonly #requests = new Flights<TrustedName>();
  readonly #refusals: Refusals;

  constructor(options: RegistryNamesOptions) {
    this.#options = options;
    this.#refusals = new Refusals(options.surroundings.clock);
  }

  /** What a name stands for if it is at hand. */
  peek(name: ClosureName): NamedImages | undefined {
    const { clock, observer } = this.#options.surroundings;
    const known = this.#known.get(name);
    if (known === undefined || clock.now() >= known.until) return undefined;
    observer.memory({ outcome: "hit" });
    return known.trusted.images;
  }

  /**
   * What a name stands for: from memory, else from the registry.
   *
   * @throws nameNotPushed, closureTooManyPaths, closureTooLarge, and what requestName does
   */
  async find(name: ClosureName): Promise<NamedImages> {
    const { clock, observer } = this.#options.surroundings;
    const known = this.peek(name);
    if (known !== undefined) return known;
    observer.memory({ outcome: "miss" });
    this.#refusals.check(name);
    const stale = this.#known.get(name)?.trusted;
    const request = this.#requests.run(name, async () => this.#request(name, stale));
    if (stale === undefined) return (await request).images;
    return (await unlessLate(request, clock, () => this.#keep(name, stale, staleFor))).images;
  }

  /** The closure that a name stands for on one system; it is not kept. */
  async closure(name: ClosureName, closure: NamedClosure): Promise<ReadClosure> {
    try {
      return await this.#options.outage.unless(`asking for the closure of ${name}`, () =>
        requestNamedClosure(this.#signedRequest(name), closure),
      );
    } catch (cause) {
      throw this.#inWords(toNixClosureError(cause), name);
    }
  }

  async #request(name: ClosureName, stale: TrustedName | undefined): Promise<TrustedName> {
    const { outage } = this.#options;
    try {
      const trusted = await outage.unless(`asking for the name ${name}`, () => this.#ask(name, stale));
      return this.#keep(name, trusted, nameFreshFor);
    } catch (cause) {
      const error = this.#inWords(toNixClosureError(cause), name);
      // While nobody can be asked, what the name stood for is better than nothing. What was found instead of it is not
      // passed over: a Pod would go on with what the name does not stand for any more.
      if (stale !== undefined && isSilence(error)) {
        return this.#keep(name, stale, staleFor);
      }
      this.#known.delete(name);
      this.#refusals.note(name, error);
      throw error;
    }
  }

  async #ask(name: ClosureName, known: TrustedName | undefined): Promise<TrustedName> {
    const { repository, surroundings } = this.#options;
    const trusted = await requestName({ ...this.#signedRequest(name), name, known });
    if (trusted === undefined) throw nameNotPushed(name, repository.name);
    const { maxPaths, maxBytes } = surroundings.limits;
    for (const { root, paths, narSize } of trusted.images.document.closures) {
      if (paths > maxPaths) throw closureTooManyPaths(root, maxPaths);
      if (narSize > maxBytes) throw closureTooLarge(root, formatBytes(narSize), formatBytes(maxBytes));
    }
    return trusted;
  }

  #signedRequest(label: string): Omit<NameRequest, "name" | "known"> {
    const { repository, keys, surroundings, closing } = this.#options;
    const { observer, clock } = surroundings;
    return { repository, keys, label, signal: closing, observer, clock };
  }

  #keep(name: ClosureName, trusted: TrustedName, believedFor: number): TrustedName {
    this.#known.set(name, { trusted, until: this.#options.surroundings.clock.now() + believedFor });
    return trusted;
  }

  #inWords(error: NixClosureError, name: ClosureName): NixClosureError {
    if (error.code === closureIndexInvalid.code)
      return error.within(`${this.#options.repository.name}, the name ${name}`);
    return namePath(error, name);
  }
}

/** Whether an error says that the registry could not be asked, and nothing of what it has. */
function isSilence({ code, temporary }: NixClosureError): boolean {
  return temporary || code.startsWith("REGISTRY_");
}
