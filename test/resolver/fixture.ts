import { cp, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { onTestFinished } from "vitest";
import { NixClosureError } from "../../src/errors.ts";
import { storeHash } from "../../src/nix/store-path.ts";
import { createResolver, type Resolver, type ResolverOptions } from "../../src/resolver/resolver.ts";
import type { CacheSourceConfig, SourceConfig } from "../../src/resolver/source.ts";
import { pathOf, signer } from "./fake-store.ts";

export const demoDirectory = fileURLToPath(new URL("../../demo/cache", import.meta.url));

export const noLimits = { maxPaths: 100_000, maxBytes: Number.MAX_SAFE_INTEGER };

type TestOptions = Partial<Omit<ResolverOptions, "sources">> &
  Partial<Omit<CacheSourceConfig, "name" | "caches">>;

/** A resolver with one source of caches, `main`, that is closed after the test. */
export function resolverOf(caches: string | readonly string[], options: TestOptions = {}): Resolver {
  const { publicKeys = [signer.publicKey], netrcFile, bearerTokenFile, ...rest } = options;
  const source = {
    name: "main",
    caches: [caches].flat(),
    publicKeys,
    ...(netrcFile === undefined ? {} : { netrcFile }),
    ...(bearerTokenFile === undefined ? {} : { bearerTokenFile }),
  };
  return resolverWith([source], rest);
}

/** A resolver that is closed after the test. */
export function resolverWith(
  sources: readonly SourceConfig[],
  options: Partial<Omit<ResolverOptions, "sources">> = {},
): Resolver {
  const resolver = createResolver({ sources, limits: noLimits, ...options });
  onTestFinished(() => resolver.close());
  return resolver;
}

/** A directory that is gone after the test. */
export async function temporaryDirectory(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), "nix-closure-resolver-"));
  onTestFinished(() => rm(directory, { recursive: true }));
  return directory;
}

/** A copy of the demo's cache without its listings. */
export async function demoWithoutListings(): Promise<string> {
  const directory = join(await temporaryDirectory(), "cache");
  await cp(demoDirectory, directory, {
    recursive: true,
    filter: (source) => !basename(source).endsWith(".ls"),
  });
  return directory;
}

/** The error that a promise must reject with. */
export async function failureOf(promise: Promise<unknown>): Promise<NixClosureError> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof NixClosureError) return error;
    throw error;
  }
  throw new Error("it did not fail");
}

/** Resolves when the condition holds; looks again after each turn of the event loop. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise<void>((resolve) => setImmediate(resolve));
}

/** Asks a source's cache for so many paths, which it does not have, that it then gets as many requests at a time as any. */
export async function warmUp(resolver: Resolver, source = "main"): Promise<void> {
  for (let round = 0; round < 5; round++) {
    const unknown = Array.from({ length: 64 }, (_, index) => storeHash(pathOf(`warm-${round}-${index}`)));
    await Promise.all(unknown.map(async (hash) => failureOf(resolver.lookup(source, hash))));
  }
}
