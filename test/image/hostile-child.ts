/**
 * Asks for images that are not to be had, in a process of its own whose memory is measured. Takes its work as JSON;
 * answers by a message to its parent.
 */
import { createImages } from "../../src/image/create-images.ts";
import { toNixClosureError } from "../../src/errors.ts";
import { createResolver } from "../../src/resolver/resolver.ts";

export interface HostileWork {
  readonly cache: string;
  readonly publicKey: string;
  readonly directory: string;
  readonly maxBytes: number;
  /** Without programs, the libraries are used. */
  readonly useLibraries: boolean;
  readonly images: readonly (readonly [repository: string, tag: string])[];
}

/** What came of each image, and of the process. */
export interface HostileAnswer {
  /** Error codes in the order of the images, "made" for one that was made. */
  readonly outcomes: readonly string[];
  readonly messages: readonly string[];
  /** Milliseconds for each. */
  readonly times: readonly number[];
  /** How much larger the process was at most than before the first image, in bytes. */
  readonly growth: number;
}

const work = JSON.parse(process.argv[2] ?? "") as HostileWork;
const resolver = createResolver({
  sources: [{ name: "main", caches: [work.cache], publicKeys: [work.publicKey] }],
  limits: { maxPaths: 100, maxBytes: Number.MAX_SAFE_INTEGER },
});
const images = await createImages({
  resolver,
  directory: work.directory,
  maxBytes: work.maxBytes,
  readAhead: false,
  workers: 1,
  ...(work.useLibraries && { programs: {} }),
});
const before = process.memoryUsage.rss();
const outcomes: string[] = [];
const messages: string[] = [];
const times: number[] = [];
for (const [repository, tag] of work.images) {
  const started = performance.now();
  try {
    await images.resolveTag(repository, tag);
    outcomes.push("made");
    messages.push("");
  } catch (thrown) {
    const error = toNixClosureError(thrown);
    outcomes.push(error.code);
    messages.push(error.message);
  }
  times.push(performance.now() - started);
}
const growth = process.resourceUsage().maxRSS * 1024 - before;
await images.close();
await resolver.close();
process.send?.({ outcomes, messages, times, growth } satisfies HostileAnswer);
process.disconnect();
