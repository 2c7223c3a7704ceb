import { join, resolve } from "node:path";
import type { FileHandle } from "node:fs/promises";
import type { Readable } from "node:stream";
import { fileURLToPath, pathToFileURL } from "node:url";
import { cacheLeadsAway, cacheUnavailable } from "../errors.ts";
import { isBelow, openBelow, type BelowFailure } from "./below-directory.ts";
import { withoutSecrets } from "./cache-url.ts";
import { readableFrom } from "./content-encoding.ts";
import type { NarLocation, NarPlace } from "./nar-location.ts";

/** Bytes that are read at a time: what is read ahead of a NAR that is only looked at, or waits for its turn, is memory. */
const chunkSize = 64 * 1024;

const scheme = /^[a-z][a-z0-9+.-]*:/i;

/**
 * Where the NAR is to which a narinfo of a file cache leads: a file name below the directory, taken as it is written
 * (as Nix does, LocalBinaryCacheStore::getFile), or a `file:` URL of one.
 *
 * @throws cacheLeadsAway
 */
export function locateFile(cache: string, directory: string, url: string): NarPlace {
  const refuse = (why: string): Error => cacheLeadsAway(cache, withoutSecrets(url), why);
  let file: string;
  if (/^file:/i.test(url)) {
    try {
      file = fileURLToPath(url);
    } catch {
      throw refuse("it is not a file");
    }
  } else if (scheme.test(url)) {
    throw refuse("a file cache may lead to files only");
  } else {
    file = join(directory, url);
  }
  if (url.includes("\0")) throw refuse("no file has such a name");
  if (url.split("/").includes("..")) throw refuse("it goes up with ..");
  if (!isBelow(resolve(directory), resolve(file))) throw refuse("it is outside of the cache's directory");
  return { url: pathToFileURL(resolve(file)).href, directory };
}

/**
 * Opens a NAR that is a file; `undefined` if it is not there.
 *
 * @throws cacheUnavailable, cacheLeadsAway, the signal's reason
 */
export async function openFileNar(location: NarLocation, signal: AbortSignal): Promise<Readable | undefined> {
  const { cache, storePath, directory = "" } = location;
  signal.throwIfAborted();
  const opened = await openBelow(directory, fileURLToPath(location.url));
  if ("kind" in opened) {
    if (opened.kind === "missing") return undefined;
    throw belowError(opened, cache, `the NAR of ${storePath}`);
  }
  const source = opened.createReadStream({ highWaterMark: chunkSize });
  return readableFrom(fileBytes(source, location, signal), source);
}

/** A failure other than a missing file as an error of the cache. */
export function belowError(
  failure: Exclude<BelowFailure, { kind: "missing" }>,
  cache: string,
  what: string,
): Error {
  return failure.kind === "outside"
    ? cacheLeadsAway(cache, failure.target, "a symbolic link leads out of the cache's directory")
    : cacheUnavailable(cache, what, failure.why).causedBy(failure.cause);
}

type FileStream = ReturnType<FileHandle["createReadStream"]>;

async function* fileBytes(
  source: FileStream,
  { cache, storePath }: NarLocation,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, void, undefined> {
  try {
    for await (const chunk of source as AsyncIterable<Uint8Array>) {
      signal.throwIfAborted();
      yield chunk;
    }
  } catch (error) {
    signal.throwIfAborted();
    const why = error instanceof Error ? error.message : String(error);
    throw cacheUnavailable(cache, `the NAR of ${storePath}`, why).causedBy(error);
  }
}
