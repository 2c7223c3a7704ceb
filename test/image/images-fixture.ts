import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";

import { onTestFinished } from "vitest";

import { createImages, type ImagesOptions } from "../../src/image/create-images.ts";
import type { Images } from "../../src/image/images.ts";
import type { Closure, PathType } from "../../src/nix/closure.ts";
import { storeHash, type StorePath } from "../../src/nix/store-path.ts";
import { type Digest, parseDigest } from "../../src/oci/digest.ts";
import type { Document } from "../../src/oci/documents.ts";
import { closureCheck } from "../../src/plan/decision.ts";
import { conversionVersion, formatImageName } from "../../src/plan/image-name.ts";
import { createResolver, type Resolver } from "../../src/resolver/resolver.ts";
import type { SourceConfig } from "../../src/resolver/source.ts";
import "../compile-cache.ts";
import { signer } from "../resolver/fake-store.ts";
import { noLimits, temporaryDirectory } from "../resolver/fixture.ts";
import { readAll, RecordingObserver } from "./store-fixture.ts";

export interface TestImages {
  readonly images: Images & { close(): Promise<void> };
  readonly resolver: Resolver;
  readonly observer: RecordingObserver;
  readonly directory: string;
}

/** A resolver for sources of these caches; all trust the fake store's key. It is closed with the test. */
export function resolverFor(
  sources: Readonly<Record<string, readonly string[] | Partial<SourceConfig>>>,
): Resolver {
  const resolver = createResolver({
    sources: Object.entries(sources).map(([name, source]) => ({
      name,
      publicKeys: [signer.publicKey],
      caches: [],
      ...(Array.isArray(source)
        ? { caches: source as readonly string[] }
        : (source as Partial<SourceConfig>)),
    })),
    limits: noLimits,
  });
  onTestFinished(() => resolver.close());
  return resolver;
}

/** Images of a resolver in a new directory, or in the one given, without read-ahead; closed with the test. */
export async function imagesOf(
  resolver: Resolver,
  options: Partial<ImagesOptions> = {},
): Promise<TestImages> {
  const directory = options.directory ?? join(await temporaryDirectory(), "store");
  const observer = new RecordingObserver();
  const images = await createImages({
    maxBytes: 2 ** 30,
    readAhead: false,
    observer,
    ...options,
    resolver,
    directory,
  });
  onTestFinished(() => images.close());
  return { images, resolver, observer, directory };
}

/** A file cache that holds these files. */
export async function cacheDirectory(files: ReadonlyMap<string, Uint8Array>): Promise<string> {
  const directory = await temporaryDirectory();
  for (const [name, bytes] of files) {
    const file = join(directory, name);
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, bytes);
  }
  return pathToFileURL(directory).href;
}

/** Repository and tag of a path image. */
export function pathImage(path: StorePath, source = "main"): readonly [repository: string, tag: string] {
  const { repository, tag } = formatImageName({
    kind: "path",
    source,
    hash: storeHash(path),
    version: conversionVersion,
  });
  return [repository, tag];
}

/** Repository and tag of a store image. */
export function storeImage(
  closure: Closure,
  decision: string,
  options: { readonly source?: string; readonly version?: number } = {},
): readonly [repository: string, tag: string] {
  const { source = "main", version = conversionVersion } = options;
  const { repository, tag } = formatImageName({
    kind: "store",
    source,
    roots: closure.roots.map(storeHash).toSorted(),
    version,
    decision,
    check: closureCheck(version, closure, decision),
  });
  return [repository, tag];
}

/** An image as a client pulls it. */
export interface Pulled {
  readonly index: Document;
  /** The lowest first. */
  readonly layers: readonly { readonly digest: Digest; readonly bytes: Buffer }[];
  /** The lowest one, the only one of most images. */
  readonly layer: Buffer;
  readonly layerDigest: Digest;
  /** Of amd64. */
  readonly config: {
    readonly config: { readonly Labels: Readonly<Record<string, string>>; readonly User?: string };
    readonly rootfs: { readonly diff_ids: readonly Digest[] };
    readonly history: readonly { readonly created_by: string }[];
  };
}

/** Pulls an image, by tag and then by digests, as a registry's client does. */
export async function pull(images: Images, [repository, tag]: readonly [string, string]): Promise<Pulled> {
  const index = await images.resolveTag(repository, tag);
  const manifest = parse(await images.document(repository, digestIn(parse(index), "manifests")));
  const config = await read(images, repository, digestIn(manifest, "config"));
  const layers: Pulled["layers"][number][] = [];
  for (const { digest } of manifest["layers"] as readonly { readonly digest: Digest }[])
    layers.push({ digest, bytes: await read(images, repository, digest) });
  const [lowest] = layers;
  if (lowest === undefined) throw new Error("no layer");
  return {
    index,
    layers,
    layer: lowest.bytes,
    layerDigest: lowest.digest,
    config: JSON.parse(config.toString()) as Pulled["config"],
  };
}

/** The bytes of a blob. */
export async function read(images: Images, repository: string, digest: Digest): Promise<Buffer> {
  const blob = await images.blob(repository, digest);
  if (blob === undefined) throw new Error(`no blob ${digest}`);
  try {
    return await readAll(blob);
  } finally {
    await blob.close();
  }
}

/** A JSON document's content. */
export function parse(document: Pick<Document, "bytes"> | undefined): Record<string, unknown> {
  if (document === undefined) throw new Error("no document");
  return JSON.parse(Buffer.from(document.bytes).toString()) as Record<string, unknown>;
}

function digestIn(document: Record<string, unknown>, key: string): Digest {
  const value = document[key];
  const first = (Array.isArray(value) ? value[0] : value) as { digest: string };
  return parseDigest(first.digest);
}

/** The positions of paths in a closure, as decisions list them. */
export function listOf(closure: Closure, chosen: (path: StorePath) => boolean): string {
  const digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
  return closure.paths
    .flatMap(({ storePath }, position) => (chosen(storePath) ? [position] : []))
    .map((position) => digits.charAt(Math.floor(position / 62)) + digits.charAt(position % 62))
    .join("");
}

export type Types = ReadonlyMap<StorePath, PathType>;
