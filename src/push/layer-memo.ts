import { createHash, createHmac, randomUUID, timingSafeEqual } from "node:crypto";
import { mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";

import { type ElfMachine, elfMachines } from "../image/elf-machines.ts";
import { type LayerCompression, layerCompressions } from "../image/layer-compression.ts";
import type { PushedLayer } from "../image/layer-converter.ts";
import { parseDigest } from "../oci/digest.ts";

/** What is kept of a layer that was made once, so that it need not be made again where a registry has it. */
export type KnownLayer = Pick<PushedLayer, "compression" | "digest" | "size" | "diffID" | "machine">;

/** Places that a blob is told of at most; the last ones count. */
const maxPlaces = 8;
const formatVersion = 1;

/** A layer with the repositories that have had it, the last one last. */
export type RememberedLayer = KnownLayer & { readonly places: readonly string[] };

/**
 * Remembers layers by what they are made of, in files of a directory, one a layer; each is written under another name
 * first, so that it is there as a whole or not at all. A file that cannot be read, or was written by another version or
 * under another secret, is as good as none.
 *
 * An entry decides which bytes are signed as the content of a store path. So entries carry a code that only the holder
 * of the signing key can make: a directory that is shared between jobs of different trust does no harm.
 */
export class LayerMemo {
  readonly #directory: string;
  readonly #secret: Uint8Array;
  /** Why the last entry was not kept. */
  #failure: unknown;

  /** @param secret of the holder of the signing key; empty for none, which believes only what was written without one. */
  constructor(directory: string, secret: Uint8Array) {
    this.#directory = directory;
    this.#secret = secret;
  }

  /** Why an entry could not be kept, the last time that one could not; undefined: all were. */
  get failure(): unknown {
    return this.#failure;
  }

  /**
   * @param key what the layer's bytes follow from.
   * @returns `places`: repositories with their host that have had the blob.
   */
  async find(key: string): Promise<RememberedLayer | undefined> {
    try {
      return this.#decode(await readFile(this.#file(key), "utf8"), key);
    } catch {
      // Whatever is wrong with it, the layer is made again.
      return undefined;
    }
  }

  /** Keeps a layer; it is no failure if that cannot be. */
  async remember(key: string, layer: KnownLayer): Promise<void> {
    const known = await this.find(key);
    await this.#write(key, { ...layer, places: known?.digest === layer.digest ? known.places : [] });
  }

  /** Keeps that a repository has the blob of a layer that is known. */
  async addPlace(key: string, place: string): Promise<void> {
    const known = await this.find(key);
    if (known === undefined || known.places.at(-1) === place) return;
    const places = [...known.places.filter((other) => other !== place), place].slice(-maxPlaces);
    await this.#write(key, { ...known, places });
  }

  async #write(key: string, layer: RememberedLayer): Promise<void> {
    const { compression, digest, size, diffID, machine, places } = layer;
    const file = this.#file(key);
    const temporary = `${file}.${randomUUID()}`;
    const fields = { version: formatVersion, key, compression, digest, size, diffID, machine, places };
    const body = JSON.stringify(fields);
    try {
      await mkdir(this.#directory, { recursive: true });
      await writeFile(temporary, `${this.#code(body)}\n${body}\n`);
      await rename(temporary, file);
    } catch (error) {
      this.#failure = error;
      await rm(temporary, { force: true }).catch(() => undefined);
    }
  }

  #decode(text: string, key: string): RememberedLayer | undefined {
    const [code = "", body = "", end] = text.split("\n");
    const right = Buffer.from(this.#code(body));
    const found = Buffer.from(code);
    if (end !== "" || found.length !== right.length || !timingSafeEqual(found, right)) return undefined;
    const entry = JSON.parse(body) as Readonly<Record<string, unknown>>;
    if (entry["version"] !== formatVersion || entry["key"] !== key) return undefined;
    return {
      compression: oneOf<LayerCompression>(layerCompressions, entry["compression"]),
      digest: parseDigest(textOf(entry["digest"])),
      size: sizeOf(entry["size"]),
      diffID: parseDigest(textOf(entry["diffID"])),
      machine: oneOf<ElfMachine>(elfMachines, entry["machine"]),
      places: textsOf(entry["places"]),
    };
  }

  #code(body: string): string {
    return createHmac("sha256", this.#secret).update(body).digest("hex");
  }

  #file(key: string): string {
    // Those of another secret lie beside it, so that two users of one directory do not overwrite each other's.
    const name = createHash("sha256").update(this.#code("name")).update(`\n${key}`).digest("hex");
    return join(this.#directory, `${name}.layer`);
  }
}

function textOf(value: unknown): string {
  if (typeof value !== "string") throw new TypeError("not a text");
  return value;
}

function textsOf(value: unknown): readonly string[] {
  if (!Array.isArray(value)) throw new TypeError("not a list");
  return value.map(textOf);
}

function oneOf<Text extends string>(known: readonly Text[], value: unknown): Text {
  const found = known.find((text) => text === value);
  if (found === undefined) throw new TypeError("not one of those that there are");
  return found;
}

function sizeOf(value: unknown): number {
  if (typeof value !== "number" || !Number.isSafeInteger(value) || value < 0)
    throw new TypeError("not a size");
  return value;
}
