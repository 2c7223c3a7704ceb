import { resolve } from "node:path";
import type { FileHandle } from "node:fs/promises";
import type { Readable } from "node:stream";
import { cacheInvalidAnswer, cacheUnavailable, narMissing } from "../errors.ts";
import type { NarInfo } from "../nix/narinfo.ts";
import type { StoreHash } from "../nix/store-path.ts";
import { openBelow } from "./below-directory.ts";
import { checkCacheInfo, OnceChecked } from "./cache-info.ts";
import type { CacheAddress } from "./cache-url.ts";
import {
  maxListingSize,
  maxNarInfoSize,
  type Cache,
  type CacheSurroundings,
  type Patience,
} from "./cache.ts";
import { belowError, locateFile, openFileNar } from "./file-nar.ts";
import type { NarLocation, NarPlace } from "./nar-location.ts";
import { observed } from "./observer.ts";

/** A binary cache in a directory. Nothing is tried again: a disk does not get better by waiting. */
export class FileCache implements Cache {
  readonly name: string;
  readonly #directory: string;
  readonly #info: OnceChecked;
  readonly #with: CacheSurroundings;
  readonly #closing: AbortSignal;

  constructor(
    address: CacheAddress & { readonly kind: "file" },
    surroundings: CacheSurroundings,
    closing: AbortSignal,
  ) {
    this.name = address.name;
    this.#directory = resolve(address.directory);
    this.#info = new OnceChecked(() => this.#checkInfo());
    this.#with = surroundings;
    this.#closing = closing;
  }

  async readNarInfo(hash: StoreHash, label: string, patience: Patience): Promise<Uint8Array | undefined> {
    await this.#info.pass(patience);
    const what = `the narinfo of ${label}`;
    return observed(this.#with, this.name, "narinfo", () =>
      this.#read(`${hash}.narinfo`, what, maxNarInfoSize),
    );
  }

  async readListing(hash: StoreHash, label: string): Promise<Uint8Array | undefined> {
    const what = `the listing of ${label}`;
    return observed(this.#with, this.name, "listing", () => this.#read(`${hash}.ls`, what, maxListingSize));
  }

  async locate(info: NarInfo): Promise<NarPlace> {
    return locateFile(this.name, this.#directory, info.url);
  }

  async openNar(location: NarLocation): Promise<Readable> {
    const opened = await this.#with.slots.run(() =>
      observed(this.#with, this.name, "nar", () => openFileNar(location, this.#closing)),
    );
    if (opened === undefined) throw narMissing(location.storePath, this.name);
    return opened;
  }

  async close(): Promise<void> {
    // Files are closed by who reads them.
  }

  async #checkInfo(): Promise<void> {
    const bytes = await observed(this.#with, this.name, "info", () =>
      this.#read("nix-cache-info", "nix-cache-info", maxNarInfoSize),
    );
    if (bytes !== undefined) checkCacheInfo(this.name, bytes);
  }

  async #read(file: string, what: string, limit: number): Promise<Uint8Array | undefined> {
    return this.#with.slots.run(async () => {
      this.#closing.throwIfAborted();
      const opened = await openBelow(this.#directory, resolve(this.#directory, file));
      if ("kind" in opened) {
        if (opened.kind === "missing") return undefined;
        throw belowError(opened, this.name, what);
      }
      try {
        return await this.#readAll(opened, what, limit);
      } finally {
        await opened.close();
      }
    });
  }

  async #readAll(handle: FileHandle, what: string, limit: number): Promise<Uint8Array> {
    let bytes: Uint8Array;
    try {
      // One byte more than the limit tells that there is more.
      const { size } = await handle.stat();
      const buffer = Buffer.alloc(Math.min(size, limit + 1));
      const { bytesRead } = await handle.read(buffer, 0, buffer.length, 0);
      bytes = buffer.subarray(0, bytesRead);
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      throw cacheUnavailable(this.name, what, why).causedBy(error);
    }
    if (bytes.length > limit) {
      throw cacheInvalidAnswer(this.name, what, `it has more than ${limit} bytes, the limit`);
    }
    return bytes;
  }
}
