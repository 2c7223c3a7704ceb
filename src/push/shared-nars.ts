import { rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

import type { LayerPart } from "../image/layer.ts";
import type { PlannedLayer } from "../image/layer-converter.ts";
import type { StorePath } from "../nix/store-path.ts";

export interface SharedNarsOptions {
  /** Where copies lie. */
  readonly directory: string;
  /** Bytes of all copies together. NARs for which there is no room are read anew for each layer. */
  readonly maxBytes: number;
  /** Whether NARs may be in caches over HTTP; else nothing is copied, and nobody waits. */
  readonly remote: boolean;
}

/** What a layer has of the NARs that it shares with others. */
export interface NarShare {
  /** Says where a NAR is to be read, and whether it is to be copied. */
  readonly place: (part: LayerPart) => LayerPart;
  /** The layer is made, or is not: those that wait for its copies go on. */
  end(): Promise<void>;
}

/** A NAR that is copied, or is to be. */
interface Copy {
  readonly file: string;
  /** Bytes that are set aside for it. */
  bytes: number;
  /** Resolves when the layer that makes it has ended. */
  readonly made: Promise<void>;
  exists: boolean;
}

/**
 * Has each NAR of a cache over HTTP read once: most are in two layers, that of their path image and that of a store image.
 * The layer that comes first copies what it reads, those that come later wait for its end and read the copies. Files on this
 * machine need no copy.
 */
export class SharedNars {
  readonly #options: SharedNarsOptions;
  /** By path: keys of the layers that are not done yet. */
  readonly #users = new Map<StorePath, Set<string>>();
  readonly #copies = new Map<StorePath, Copy>();
  #bytes = 0;
  #files = 0;

  constructor(options: SharedNarsOptions) {
    this.#options = options;
  }

  /** Tells of layers that are to be in the repository, made or not; before any of them is. */
  expect({ key, paths }: PlannedLayer): void {
    for (const { info } of paths) {
      const users = this.#users.get(info.storePath) ?? new Set();
      this.#users.set(info.storePath, users.add(key));
    }
  }

  /** A layer is about to be made. Resolves when nobody reads any more what it can have a copy of. */
  async share({ paths }: PlannedLayer): Promise<NarShare> {
    const { remote, maxBytes } = this.#options;
    const { promise: made, resolve: end } = Promise.withResolvers<void>();
    const own = new Map<StorePath, Copy>();
    const others: Copy[] = [];
    // All at once, so that who comes earlier waits for nobody who comes later.
    for (const { info } of remote ? paths : []) {
      if ((this.#users.get(info.storePath)?.size ?? 0) < 2) continue;
      const copy = this.#copies.get(info.storePath);
      if (copy !== undefined) others.push(copy);
      else if (this.#bytes + info.narSize <= maxBytes) {
        own.set(info.storePath, this.#begin(info.storePath, info.narSize, made));
      }
    }
    await Promise.all(others.map(async (copy) => copy.made));
    return {
      place: (part) => this.#place(part, own.get(part.storePath)),
      end: async () => {
        for (const [path, copy] of own) await this.#settle(path, copy);
        end();
      },
    };
  }

  /** A layer is done, made or not: copies that nobody else needs are removed. */
  async done({ key, paths }: PlannedLayer): Promise<void> {
    for (const { info } of paths) {
      const users = this.#users.get(info.storePath);
      if (users?.delete(key) !== true || users.size > 0) continue;
      this.#users.delete(info.storePath);
      const copy = this.#copies.get(info.storePath);
      if (copy !== undefined) await this.#remove(info.storePath, copy);
    }
  }

  #begin(path: StorePath, bytes: number, made: Promise<void>): Copy {
    const file = join(this.#options.directory, `nar-${this.#files++}`);
    const copy = { file, bytes, made, exists: false };
    this.#copies.set(path, copy);
    this.#bytes += bytes;
    return copy;
  }

  #place(part: LayerPart, own: Copy | undefined): LayerPart {
    const [first] = part.locations;
    if (first?.origin === undefined) return part;
    if (own !== undefined) return { ...part, keep: own.file };
    const copy = this.#copies.get(part.storePath);
    if (copy?.exists !== true) return part;
    const { origin: _origin, authorization: _authorization, ...same } = first;
    const url = pathToFileURL(copy.file).href;
    return { ...part, locations: [{ ...same, url, directory: this.#options.directory }, ...part.locations] };
  }

  /** Finds out what became of a copy. */
  async #settle(path: StorePath, copy: Copy): Promise<void> {
    const found = await stat(copy.file).catch(() => undefined);
    // Who shares it may have ended before it was there.
    if (found === undefined || this.#copies.get(path) !== copy) return this.#remove(path, copy);
    this.#bytes += found.size - copy.bytes;
    copy.bytes = found.size;
    copy.exists = true;
  }

  async #remove(path: StorePath, copy: Copy): Promise<void> {
    if (this.#copies.get(path) === copy) {
      this.#copies.delete(path);
      this.#bytes -= copy.bytes;
    }
    copy.exists = false;
    await rm(copy.file, { force: true }).catch(() => undefined);
  }
}
