import assert from "node:assert/strict";
import { createHash, randomFillSync } from "node:crypto";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { stringify } from "yaml";
import { freePort } from "../demo/configuration.ts";
import { storeHash } from "../src/nix/store-path.ts";
import { cacheRoot } from "../test/programs/cache.ts";
import { distribution, distributionEnvironment } from "../test/programs/distribution.ts";
import { buildGoModule, goModuleDirectory } from "../test/programs/go-module.ts";
import { writeNar } from "../test/nix/nar-writer.ts";
import { narInfoOf, signer } from "../test/resolver/fake-store.ts";
import { ServerProcess } from "./server-process.ts";
import { syntheticStorePath } from "./synthetic-paths.ts";

const tools = join(cacheRoot, "tools");
/** Where distribution is built. */
export const distributionDirectory = goModuleDirectory(distribution, tools);

/** A layer of ours, and where it is got from. */
export interface ServedBlob {
  readonly url: string;
  readonly digest: string;
}

/** Writes a binary cache with store paths of one file each, and returns the hash parts of their store paths. */
export async function writeCache(directory: string, sizes: readonly number[]): Promise<readonly string[]> {
  await mkdir(join(directory, "nar"), { recursive: true });
  await writeFile(join(directory, "nix-cache-info"), "StoreDir: /nix/store\n");
  const hashes: string[] = [];
  for (const [index, size] of sizes.entries()) {
    const contents = randomFillSync(Buffer.allocUnsafe(size));
    const nar = writeNar({
      type: "directory",
      entries: [[Buffer.from("data"), { type: "regular", contents }]],
    });
    const path = syntheticStorePath(`blob-${index}-of-${size}`);
    await writeFile(join(directory, `nar/${storeHash(path)}.nar`), nar);
    await writeFile(join(directory, `${storeHash(path)}.narinfo`), narInfoOf(path, { nar }));
    hashes.push(storeHash(path));
  }
  return hashes;
}

/** Our registry over that cache. */
export async function startOurs(directory: string, cache: string): Promise<ServerProcess> {
  const port = await freePort();
  const config = {
    sources: { main: { caches: [pathToFileURL(cache).href], publicKeys: [signer.publicKey] } },
    registry: {
      listen: `127.0.0.1:${port}`,
      reference: `localhost:${port}`,
      blobs: { directory: join(directory, "blobs"), maxBytes: "4Gi" },
    },
    // Pulls of many images at once are what is measured, not how they are paced.
    kubelet: { registryPullQPS: 0 },
    admin: { listen: "127.0.0.1:0" },
  };
  const file = join(directory, "nix-closure.yaml");
  await writeFile(file, stringify(config));
  const program = fileURLToPath(new URL("../bin/nix-closure.js", import.meta.url));
  const words = [process.execPath, program, "serve", "--role", "registry", "--config", file];
  return ServerProcess.start(words, port);
}

/** The configuration of a distribution with its storage in a directory: its own image's, but for the log of each access. */
export function distributionConfig(storage: string, address: string): object {
  return {
    version: 0.1,
    log: { level: "error", accesslog: { disabled: true } },
    storage: { cache: { blobdescriptor: "inmemory" }, filesystem: { rootdirectory: storage } },
    http: { addr: address },
  };
}

/** Builds distribution once. @returns its program, which needs no library */
export async function buildDistribution(): Promise<string> {
  return join(await buildGoModule(distribution, tools), "registry");
}

/**
 * distribution with its storage in a directory.
 *
 * @param core as `ServerProcess.start` has it
 */
export async function startDistribution(directory: string, core?: number | "any"): Promise<ServerProcess> {
  const port = await freePort();
  const config = distributionConfig(join(directory, "distribution"), `127.0.0.1:${port}`);
  const file = join(directory, "distribution.yaml");
  await writeFile(file, stringify(config));
  const program = await buildDistribution();
  return ServerProcess.start([program, "serve", file], port, {
    env: distributionEnvironment,
    ...(core !== undefined && { core }),
  });
}

/** Has our registry make the layers of store paths, as the first pull of a node does. */
export async function pullLayers(
  { port }: ServerProcess,
  hashes: readonly string[],
): Promise<readonly ServedBlob[]> {
  const blobs: ServedBlob[] = [];
  for (const hash of hashes) {
    const repository = `http://127.0.0.1:${port}/v2/main/path/${hash}`;
    const index = await json<{ readonly manifests: readonly { readonly digest: string }[] }>(
      `${repository}/manifests/1`,
    );
    const manifest = await json<{ readonly layers: readonly { readonly digest: string }[] }>(
      `${repository}/manifests/${index.manifests[0]?.digest}`,
    );
    const digest = manifest.layers[0]?.digest ?? "";
    blobs.push({ digest, url: `${repository}/blobs/${digest}` });
  }
  return blobs;
}

/** Puts the same bytes into distribution, and looks whether both give them. */
export async function copyBlob({ port }: ServerProcess, { url, digest }: ServedBlob): Promise<ServedBlob> {
  const bytes = await download(url, digest);
  const repository = `http://127.0.0.1:${port}/v2/bench`;
  const session = await fetch(`${repository}/blobs/uploads/`, { method: "POST" });
  const location = new URL(session.headers.get("location") ?? "", repository);
  location.searchParams.set("digest", digest);
  const headers = { "content-type": "application/octet-stream" };
  const answer = await fetch(location, { method: "PUT", body: bytes, headers });
  assert.equal(answer.status, 201, await answer.text());
  const copy = { digest, url: `${repository}/blobs/${digest}` };
  await download(copy.url, digest);
  return copy;
}

async function download(url: string, digest: string): Promise<Buffer> {
  const answer = await fetch(url);
  assert.equal(answer.status, 200, url);
  const bytes = Buffer.from(await answer.arrayBuffer());
  assert.equal(`sha256:${createHash("sha256").update(bytes).digest("hex")}`, digest);
  return bytes;
}

async function json<T>(url: string): Promise<T> {
  const answer = await fetch(url, { headers: { accept: "application/vnd.oci.image.index.v1+json" } });
  if (!answer.ok) throw new Error(`${url} answered ${answer.status}: ${await answer.text()}`);
  return (await answer.json()) as T;
}
