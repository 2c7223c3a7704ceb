import type { Readable } from "node:stream";
import { cacheInvalidAnswer, narMissing } from "../errors.ts";
import type { NarInfo } from "../nix/narinfo.ts";
import type { StoreHash } from "../nix/store-path.ts";
import { checkCacheInfo, OnceChecked } from "./cache-info.ts";
import { AttemptTime } from "./attempt-time.ts";
import type { CacheAddress } from "./cache-url.ts";
import {
  maxListingSize,
  maxNarInfoSize,
  type Cache,
  type CacheSurroundings,
  type Patience,
} from "./cache.ts";
import { acceptedEncodings, decodeContent, readWhole } from "./content-encoding.ts";
import type { Credentials } from "./credentials.ts";
import { asTransient, HttpClient } from "./http-client.ts";
import { httpGet, type HttpFound } from "./http-get.ts";
import { openHttpNar } from "./http-nar.ts";
import { followLead, type LeadRules } from "./leads.ts";
import type { NarLocation, NarPlace } from "./nar-location.ts";
import { type CacheRequestKind, observed } from "./observer.ts";
import { Retries } from "./retries.ts";

/** What a cache has besides NARs. */
interface SmallFile {
  readonly file: string;
  readonly what: string;
  readonly kind: CacheRequestKind;
  readonly limit: number;
}

/** A binary cache behind HTTP. */
export class HttpCache implements Cache {
  readonly name: string;
  readonly #base: URL;
  readonly #rules: LeadRules;
  readonly #client: HttpClient;
  readonly #credentials: Credentials;
  readonly #retries: Retries;
  readonly #info: OnceChecked;
  readonly #with: CacheSurroundings;
  /** Aborts with the reason why nothing more is asked. */
  readonly #closing: AbortSignal;

  constructor(
    address: CacheAddress & { readonly kind: "http" },
    credentials: Credentials,
    surroundings: CacheSurroundings,
    closing: AbortSignal,
  ) {
    this.name = address.name;
    this.#base = address.base;
    this.#rules = { cache: address.name, origin: address.base.origin };
    this.#credentials = credentials;
    this.#retries = new Retries(address.name, surroundings.clock);
    this.#client = new HttpClient(
      this.#rules,
      surroundings.timeouts,
      surroundings.lookup,
      this.#retries.window,
    );
    this.#info = new OnceChecked(async (patience) => this.#checkInfo(patience));
    this.#with = surroundings;
    this.#closing = closing;
  }

  async readNarInfo(hash: StoreHash, label: string, patience: Patience): Promise<Uint8Array | undefined> {
    await this.#info.pass(patience);
    const what = `the narinfo of ${label}`;
    return this.#read({ file: `${hash}.narinfo`, what, kind: "narinfo", limit: maxNarInfoSize }, patience);
  }

  async readListing(hash: StoreHash, label: string, patience: Patience): Promise<Uint8Array | undefined> {
    const what = `the listing of ${label}`;
    const file = { file: `${hash}.ls`, what, kind: "listing", limit: maxListingSize } as const;
    return this.#read(file, patience);
  }

  async locate(info: NarInfo): Promise<NarPlace> {
    const url = followLead(this.#rules, this.#base, info.url);
    const { origin } = this.#rules;
    const authorization =
      url.origin === origin ? await this.#credentials.authorization(url.hostname) : undefined;
    return { url: url.href, origin, ...(authorization === undefined ? {} : { authorization }) };
  }

  async openNar(location: NarLocation, patience: Patience, first?: number): Promise<Readable> {
    const opened = await openHttpNar(location, {
      client: this.#client,
      retries: this.#retries,
      patience,
      first,
      signal: this.#closing,
      attempt: (work) => this.#with.slots.run(() => observed(this.#with, this.name, "nar", work)),
    });
    if (opened === undefined) throw narMissing(location.storePath, this.name);
    return opened;
  }

  async close(): Promise<void> {
    await this.#client.close();
  }

  async #checkInfo(patience: Patience): Promise<void> {
    const file = {
      file: "nix-cache-info",
      what: "nix-cache-info",
      kind: "info",
      limit: maxNarInfoSize,
    } as const;
    // A cache that anybody's web server has made of a directory may have none.
    const bytes = await this.#read(file, patience);
    if (bytes !== undefined) checkCacheInfo(this.name, bytes);
  }

  async #read(file: SmallFile, patience: Patience): Promise<Uint8Array | undefined> {
    return this.#retries.run(file.what, patience, this.#closing, () =>
      this.#with.slots.run(() =>
        observed(this.#with, this.name, file.kind, () => this.#attempt(file, patience)),
      ),
    );
  }

  async #attempt(file: SmallFile, { attempt, hurried }: Patience): Promise<Uint8Array | undefined> {
    const url = new URL(file.file, this.#base);
    const authorization = await this.#credentials.authorization(url.hostname);
    using time = new AttemptTime(attempt, hurried, this.#closing);
    const { signal } = time;
    const found = await httpGet({
      client: this.#client,
      rules: this.#rules,
      url,
      what: file.what,
      acceptEncoding: acceptedEncodings,
      authorization,
      signal,
    });
    return found === undefined ? undefined : await this.#body(found, file, signal);
  }

  async #body(found: HttpFound, file: SmallFile, signal: AbortSignal): Promise<Uint8Array> {
    let broken: unknown;
    found.body.once("error", (error) => {
      broken = error;
    });
    try {
      return await readWhole(decodeContent(found.body, found.encodings), file.limit);
    } catch (error) {
      found.body.destroy();
      // A failure of the body comes out of the decoders as it is; any other is of what the body says.
      if (signal.aborted || error === broken) throw asTransient(error, signal);
      const why = error instanceof Error ? error.message : String(error);
      throw cacheInvalidAnswer(this.name, file.what, why).causedBy(error);
    }
  }
}
