/**
 * Pulls a path image, so that its layer is made by a thread that runs already, and prints what it took as JSON.
 *
 * Arguments: directory of the binary cache, its public key, directory for blobs, store path.
 */
import { pathToFileURL } from "node:url";
import { createImages } from "../src/image/create-images.ts";
import { parseStorePath, storeHash, type StorePath } from "../src/nix/store-path.ts";
import { createResolver } from "../src/resolver/resolver.ts";
import { smallPath } from "./conversion-input.ts";
import { descendantsOf, residentBytes } from "./proc.ts";

/** What a conversion took. */
export interface ConversionSample {
  readonly seconds: number;
  /** Resident memory of this process and its children: before the pull, and the most while it ran. */
  readonly idleBytes: number;
  readonly peakBytes: number;
}

const sampleIntervalMs = 20;

const [cache = "", publicKey = "", blobs = "", path = ""] = process.argv.slice(2);
const resolver = createResolver({
  sources: [{ name: "main", caches: [pathToFileURL(cache).href], publicKeys: [publicKey] }],
  limits: { maxPaths: 10, maxBytes: 1e12 },
});
const images = await createImages({ resolver, directory: blobs, maxBytes: 1e11, workers: 1 });
const pull = (storePath: StorePath): Promise<unknown> =>
  images.resolveTag(`main/path/${storeHash(storePath)}`, "1");
try {
  const idleBytes = allBytes();
  await pull(smallPath);
  let peakBytes = idleBytes;
  const timer = setInterval(() => (peakBytes = Math.max(peakBytes, allBytes())), sampleIntervalMs);
  const started = performance.now();
  await pull(parseStorePath(path));
  const seconds = (performance.now() - started) / 1000;
  clearInterval(timer);
  console.log(JSON.stringify({ seconds, idleBytes, peakBytes } satisfies ConversionSample));
} finally {
  await images.close();
  await resolver.close();
}

/** Resident bytes of this process and of the decompressors that its threads have started. */
function allBytes(): number {
  return ["self", ...descendantsOf("self")].reduce((sum, id) => sum + residentBytes(id), 0);
}
