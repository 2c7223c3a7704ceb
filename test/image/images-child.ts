/**
 * Images in a process of their own: what is to be killed, measured, or compared with another. Takes its work as JSON;
 * answers by messages to its parent.
 */
import { createHash } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";

import { createImages } from "../../src/image/create-images.ts";
import type { Images } from "../../src/image/images.ts";
import type { Digest } from "../../src/oci/digest.ts";
import { createResolver } from "../../src/resolver/resolver.ts";

export interface ChildWork {
  readonly cache: string;
  readonly publicKey: string;
  readonly directory: string;
  readonly maxBytes: number;
  /** Without programs, the libraries are used. */
  readonly useLibraries: boolean;
  readonly images: readonly (readonly [repository: string, tag: string])[];
  /** `once`: all images one after the other; `forever`: in any order, several at a time, until killed. */
  readonly mode: "once" | "forever";
}

/** The answer after `once`. */
export interface ChildAnswer {
  /** Of the indexes, in the order of the images. */
  readonly digests: readonly string[];
  /** Of the bytes of each image's layers as they were served, one after the other. */
  readonly layers: readonly string[];
  /** How much larger the process was at most than before the first image, in bytes. */
  readonly growth: number;
  readonly seconds: number;
}

const work = JSON.parse(process.argv[2] ?? "") as ChildWork;
const resolver = createResolver({
  sources: [{ name: "main", caches: [work.cache], publicKeys: [work.publicKey] }],
  limits: { maxPaths: 10_000, maxBytes: Number.MAX_SAFE_INTEGER },
});
const images = await createImages({
  resolver,
  directory: work.directory,
  maxBytes: work.maxBytes,
  readAhead: false,
  ...(work.useLibraries && { programs: {} }),
});
if (work.mode === "once") {
  process.send?.("started");
  const answer = await once();
  await images.close();
  await resolver.close();
  process.send?.(answer);
  process.disconnect();
} else {
  process.send?.("started");
  await Promise.all([forever(), forever(), forever()]);
}

async function once(): Promise<ChildAnswer> {
  const before = process.memoryUsage.rss();
  const started = performance.now();
  const digests: string[] = [];
  const layers: string[] = [];
  for (const [repository, tag] of work.images) {
    const { digest, layer } = await pullOnce(images, repository, tag);
    digests.push(digest);
    layers.push(layer);
  }
  const seconds = (performance.now() - started) / 1000;
  return { digests, layers, growth: process.resourceUsage().maxRSS * 1024 - before, seconds };
}

async function forever(): Promise<never> {
  for (;;) {
    const [repository, tag] = work.images[Math.floor(Math.random() * work.images.length)] ?? ["", ""];
    // What it fails with, in a store too small for all, is for other tests.
    await pullOnce(images, repository, tag).catch(() => undefined);
    await delay(0);
  }
}

/** Pulls an image and forgets its bytes. */
async function pullOnce(
  from: Images,
  repository: string,
  tag: string,
): Promise<{ readonly digest: string; readonly layer: string }> {
  const index = await from.resolveTag(repository, tag);
  const { manifests } = parse(index.bytes) as { manifests: [{ digest: Digest }] };
  const manifest = await from.document(repository, manifests[0].digest);
  if (manifest === undefined) throw new Error("no manifest");
  const { layers } = parse(manifest.bytes) as { layers: { digest: Digest }[] };
  const hash = createHash("sha256");
  for (const layer of layers) {
    const blob = await from.blob(repository, layer.digest);
    if (blob === undefined) throw new Error("no layer");
    try {
      for await (const chunk of blob.read() as AsyncIterable<Uint8Array>) hash.update(chunk);
    } finally {
      await blob.close();
    }
  }
  return { digest: index.digest, layer: `sha256:${hash.digest("hex")}` };
}

function parse(bytes: Uint8Array): unknown {
  return JSON.parse(Buffer.from(bytes).toString());
}
