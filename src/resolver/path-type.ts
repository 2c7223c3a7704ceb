/**
 * What a store path is: a directory, a file or a symlink.
 *
 * It is told from bytes that nobody has signed: a listing, or the start of a NAR whose hash is not checked. A wrong
 * type puts a path into the wrong image, whose conversion then fails, for it reads the whole NAR and checks its hash;
 * it can never make an image of other content.
 */
import type { Readable } from "node:stream";
import {
  cacheInvalidAnswer,
  cacheUnavailable,
  compressionUnsupported,
  narInvalid,
  NixClosureError,
} from "../errors.ts";
import type { PathType } from "../nix/closure.ts";
import { isContentAddressed } from "../nix/content-address.ts";
import { parseListing } from "../nix/listing.ts";
import { sniffPathType } from "../nix/nar-reader.ts";
import type { NarInfo } from "../nix/narinfo.ts";
import type { KnownPath } from "./memory.ts";
import { nameNar } from "./name-path.ts";
import { canDecodePrefix, decodePrefix, prefixSize } from "./nar-prefix.ts";
import type { NarLocation } from "./nar-location.ts";
import type { OrderedCaches } from "./ordered-caches.ts";
import type { Slots } from "./slots.ts";

/**
 * Compressed bytes after which the start of the NAR must be there. A first block has up to 128 KiB with zstd and about
 * 0.9 MB with bzip2; the rest is for skippable frames. It is also what a request can hold in memory.
 */
const maxCompressed = 2 * 1024 * 1024;

/**
 * Compressed bytes that a cache over HTTP is asked for: enough but for bzip2. What it sends beyond what is read lies in
 * buffers, some megabytes of a large NAR.
 */
const usualStart = 256 * 1024;

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
  const listed = await readListing(known, caches);
  return listed.type ?? (await typeOfNar(known, caches, narSlots, listed.troubled));
}

/** Nix hashes files alone with these methods. */
function typeOfContentAddress(info: NarInfo): PathType | undefined {
  const method = info.contentAddress?.method;
  return (method === "text" || method === "flat") && isContentAddressed(info) ? "regular" : undefined;
}

/**
 * Listings are optional and of use only to us and to nix-index: whatever is wrong with one, there is the NAR.
 *
 * @returns troubled: the cache could not give it now, so that others are better asked for more.
 */
async function readListing(
  known: KnownPath,
  caches: OrderedCaches,
): Promise<{ readonly type: PathType | undefined; readonly troubled: boolean }> {
  try {
    const bytes = await caches.readListing(known);
    return { type: bytes === undefined ? undefined : parseListing(bytes).type, troubled: false };
  } catch (error) {
    if (error instanceof NixClosureError) return { type: undefined, troubled: error.temporary };
    throw error;
  }
}

/** From the first cache whose NAR can be read; those that may do better with more time are tried again at the end. */
async function typeOfNar(
  known: KnownPath,
  caches: OrderedCaches,
  narSlots: Slots,
  troubled: boolean,
): Promise<PathType> {
  const failures: NixClosureError[] = [];
  const slow: NarLocation[] = [];
  const attempt = async (location: NarLocation, hurried: boolean): Promise<PathType | undefined> => {
    try {
      return await narSlots.run(async () => typeAt(location, caches, hurried));
    } catch (error) {
      if (!(error instanceof NixClosureError)) throw error;
      if (hurried && error.temporary) slow.push(location);
      else failures.push(nameNar(error, location));
      return undefined;
    }
  };
  for await (const location of locationsInTurn(known, caches, troubled)) {
    const type = location instanceof NixClosureError ? undefined : await attempt(location, caches.count > 1);
    if (type !== undefined) return type;
    if (location instanceof NixClosureError) failures.push(location);
  }
  for (const location of slow) {
    const type = await attempt(location, false);
    if (type !== undefined) return type;
  }
  const [first] = failures;
  throw failures.find(({ temporary }) => temporary) ?? first ?? new Error("a known path is in no cache");
}

/** First where the path was found, unless that cache has trouble; the others are asked only if need be. */
async function* locationsInTurn(
  known: KnownPath,
  caches: OrderedCaches,
  troubled: boolean,
): AsyncGenerator<NarLocation | NixClosureError, void, undefined> {
  if (troubled) yield* await caches.locateReserve(known);
  try {
    yield await caches.locateFirst(known);
  } catch (error) {
    if (!(error instanceof NixClosureError)) throw error;
    yield error;
  }
  if (!troubled) yield* await caches.locateReserve(known);
}

/** The type by the first bytes of a NAR. */
async function typeAt(location: NarLocation, caches: OrderedCaches, hurried: boolean): Promise<PathType> {
  const { cache, storePath, compression } = location;
  if (!canDecodePrefix(compression)) throw compressionUnsupported(storePath, compression);
  const wrong = (why: string): NixClosureError => cacheInvalidAnswer(cache, `the NAR of ${storePath}`, why);
  try {
    const start = await startAt(location, caches, hurried, usualStart);
    const ended = start.size === usualStart;
    const { type } = start.type === undefined && ended ? await startAt(location, caches, hurried) : start;
    if (type !== undefined) return type;
  } catch (error) {
    if (error instanceof NixClosureError && error.code === narInvalid.code) {
      throw wrong(error.message).causedBy(error);
    }
    throw error;
  }
  throw wrong(`its first bytes cannot be decompressed with ${compression}`);
}

async function startAt(
  location: NarLocation,
  caches: OrderedCaches,
  hurried: boolean,
  first?: number,
): Promise<NarStart> {
  const { cache, storePath, compression } = location;
  const nar = await caches.openNar(location, hurried, first);
  // One that drips would keep its slot for hours.
  const time = caches.startTime(hurried);
  const late = cacheUnavailable(
    cache,
    `the NAR of ${storePath}`,
    `not even its start came in ${time / 1000} s`,
  );
  const timer = setTimeout(() => nar.destroy(late), time);
  try {
    return await sniffCompressed(nar, compression);
  } finally {
    clearTimeout(timer);
  }
}

/** What the first bytes of a NAR tell. */
interface NarStart {
  /** Undefined: they cannot be decompressed. */
  readonly type: PathType | undefined;
  /** Compressed bytes that were read. */
  readonly size: number;
}

/**
 * Reads so much of a compressed NAR that its type shows; the stream is destroyed.
 *
 * @throws narInvalid, and what the stream fails with
 */
async function sniffCompressed(nar: Readable, compression: string): Promise<NarStart> {
  let compressed: Uint8Array = new Uint8Array();
  let next = firstTry;
  for await (const chunk of nar as AsyncIterable<Uint8Array>) {
    compressed = Buffer.concat([compressed, chunk]);
    if (compressed.length < next) continue;
    const type = await sniffPrefix(compressed, compression);
    if (type !== undefined || compressed.length >= maxCompressed) return { type, size: compressed.length };
    next = compressed.length * 4;
  }
  return { type: await sniffPrefix(compressed, compression), size: compressed.length };
}

async function sniffPrefix(compressed: Uint8Array, compression: string): Promise<PathType | undefined> {
  const prefix = await decodePrefix(compressed, compression);
  return prefix.length === 0 ? undefined : sniffPathType(prefix.subarray(0, prefixSize));
}
