/**
 * What a store path is: a directory, a file or a symlink.
 *
 * It is told from bytes that nobody has signed: a listing, or the start of a NAR whose hash is not checked. A wrong
 * type puts a path into the wrong image, whose conversion then fails, for it reads the whole NAR and checks its hash;
 * it can never make an image of other content.
 */
import type { Readable } from "node:stream";
import { cacheInvalidAnswer, compressionUnsupported, narInvalid, NixClosureError } from "../errors.ts";
import type { PathType } from "../nix/closure.ts";
import { isContentAddressed } from "../nix/content-address.ts";
import { parseListing } from "../nix/listing.ts";
import { sniffPathType } from "../nix/nar-reader.ts";
import type { NarInfo } from "../nix/narinfo.ts";
import type { KnownPath } from "./memory.ts";
import { canDecodePrefix, decodePrefix, prefixSize } from "./nar-prefix.ts";
import type { NarLocation } from "./nar-location.ts";
import type { OrderedCaches } from "./ordered-caches.ts";
import type { Slots } from "./slots.ts";

/**
 * Compressed bytes after which the start of the NAR must be there. A first block has up to 128 KiB with zstd and about
 * 0.9 MB with bzip2; the rest is for skippable frames. It is also what a request can hold in memory.
 */
const maxCompressed = 2 * 1024 * 1024;

/** Bytes after which decoding is first tried; then each time that there are four times as many. */
const firstTry = 4 * 1024;

/**
 * Finds out the type of a path: from its content address, from its listing, or from the first bytes of its NAR.
 *
 * @param narSlots bounds the NARs that are open at a time.
 * @throws compressionUnsupported, cacheInvalidAnswer, and the errors of the cache
 */
export async function findPathType(
  known: KnownPath,
  caches: OrderedCaches,
  narSlots: Slots,
): Promise<PathType> {
  const ofAddress = typeOfContentAddress(known.info);
  if (ofAddress !== undefined) return ofAddress;
  const listing = await readListing(known, caches);
  return listing ?? (await typeOfNar(known, caches, narSlots));
}

/** Nix hashes files alone with these methods. */
function typeOfContentAddress(info: NarInfo): PathType | undefined {
  const method = info.contentAddress?.method;
  return (method === "text" || method === "flat") && isContentAddressed(info) ? "regular" : undefined;
}

/** Listings are optional and of use only to us and to nix-index: whatever is wrong with one, there is the NAR. */
async function readListing(known: KnownPath, caches: OrderedCaches): Promise<PathType | undefined> {
  try {
    const bytes = await caches.readListing(known);
    return bytes === undefined ? undefined : parseListing(bytes).type;
  } catch (error) {
    if (error instanceof NixClosureError) return undefined;
    throw error;
  }
}

/** From the first cache whose NAR can be read. */
async function typeOfNar(known: KnownPath, caches: OrderedCaches, narSlots: Slots): Promise<PathType> {
  const { storePath } = known.info;
  let failure: NixClosureError | undefined;
  for (const location of await caches.locate(known)) {
    const { compression } = location;
    try {
      if (!canDecodePrefix(compression)) throw compressionUnsupported(storePath, compression);
      return await narSlots.run(async () => sniffNar(await caches.openNar(location), location));
    } catch (error) {
      if (!(error instanceof NixClosureError)) throw error;
      failure ??= error;
    }
  }
  throw failure ?? new Error("a path that is known is in no cache");
}

/** The type by the first bytes of a compressed NAR; the stream is destroyed. */
async function sniffNar(nar: Readable, location: NarLocation): Promise<PathType> {
  const { cache, storePath, compression } = location;
  const wrong = (why: string): NixClosureError => cacheInvalidAnswer(cache, `the NAR of ${storePath}`, why);
  try {
    const type = await sniffCompressed(nar, compression);
    if (type !== undefined) return type;
  } catch (error) {
    if (error instanceof NixClosureError && error.code === narInvalid.code) {
      throw wrong(error.message).causedBy(error);
    }
    throw error;
  }
  throw wrong(`its first bytes cannot be decompressed with ${compression}`);
}

/**
 * Reads so much of a compressed NAR that its type shows.
 *
 * @returns `undefined` if it cannot be decompressed.
 * @throws narInvalid, and what the stream fails with
 */
async function sniffCompressed(nar: Readable, compression: string): Promise<PathType | undefined> {
  let compressed: Uint8Array = new Uint8Array();
  let next = firstTry;
  for await (const chunk of nar as AsyncIterable<Uint8Array>) {
    compressed = Buffer.concat([compressed, chunk]);
    if (compressed.length < next) continue;
    const type = await sniffPrefix(compressed, compression);
    if (type !== undefined || compressed.length >= maxCompressed) return type;
    next = compressed.length * 4;
  }
  return sniffPrefix(compressed, compression);
}

async function sniffPrefix(compressed: Uint8Array, compression: string): Promise<PathType | undefined> {
  const prefix = await decodePrefix(compressed, compression);
  return prefix.length === 0 ? undefined : sniffPathType(prefix.subarray(0, prefixSize));
}
