import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { copyFile, mkdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { stringify } from "yaml";
import { inNode } from "../../test/cluster/suite/node.ts";
import { cachedDirectory, cacheRoot } from "../../test/programs/cache.ts";
import { distributionEnvironment } from "../../test/programs/distribution.ts";
import { buildDistribution, distributionConfig, startDistribution } from "../registry-servers.ts";
import type { ServerProcess } from "../server-process.ts";
import { cachedClosure } from "./bench-cache.ts";
import { type BenchClosure, firstApp, mainClosures, secondApp } from "./closures.ts";
import { mediaTypes, writeClosureImage, writeProgramImage } from "./plain-image.ts";

/** Where a node has {@link makePlainImages}, and its registry listens: on its own loopback, as ours. */
export const plainMount = "/nix-closure/plain";
const host = "localhost:5001";

/** A foreign image: distribution's, which serves nothing. */
export const sidecarImage = `${host}/bench/distribution:1`;

/** The reference of the plain image with a closure's content. */
export function plainReference({ name }: Pick<BenchClosure, "name">): string {
  return `${host}/${repositoryOf(name)}:1`;
}

function repositoryOf(name: string): string {
  return `bench/${name.replaceAll(/[^a-z0-9]+/g, "-")}`;
}

/**
 * Makes the plain images of all closures once: a directory with the program of distribution, its configuration for a
 * node, and its storage with the images.
 *
 * @param cache directory of the binary cache
 */
export async function makePlainImages(cache: string): Promise<string> {
  const program = await buildDistribution();
  const key = createHash("sha256").update(`2 ${cache} ${program}`).digest("hex").slice(0, 12);
  return cachedDirectory(join(cacheRoot, "bench", `pod-start-plain-${key}`), async (directory) => {
    await copyFile(program, join(directory, "registry"));
    const served = distributionConfig(`${plainMount}/storage`, `127.0.0.1:${host.split(":")[1]}`);
    await writeFile(join(directory, "node.yaml"), stringify(readOnly(served)));
    {
      await using registry = await startDistribution(directory);
      for (const closure of [...mainClosures, firstApp, secondApp(1)]) {
        console.error(`pod-start: plain image of ${closure.name}`);
        const paths = await cachedClosure(cache, closure.roots);
        const write = (image: string): Promise<void> => writeClosureImage(image, cache, paths);
        await publish(registry, directory, repositoryOf(closure.name), write);
      }
      await publish(registry, directory, "bench/distribution", (image) =>
        writeProgramImage(
          image,
          { name: "registry", file: program, arguments: ["serve", "/config.yaml"] },
          { "config.yaml": stringify(inMemory) },
        ),
      );
    }
    await rename(join(directory, "distribution"), join(directory, "storage"));
  });
}

/** What the sidecar runs. */
const inMemory = { version: 0.1, storage: { inmemory: {} }, http: { addr: ":5050" } };

function readOnly(config: object): object {
  const { storage } = config as { readonly storage: object };
  return { ...config, storage: { ...storage, maintenance: { readonly: { enabled: true } } } };
}

async function publish(
  registry: ServerProcess,
  directory: string,
  repository: string,
  write: (image: string) => Promise<void>,
): Promise<void> {
  const image = join(directory, "image");
  await mkdir(image);
  await write(image);
  const manifest = await readFile(join(image, "manifest.json"));
  const { config, layers } = JSON.parse(manifest.toString()) as {
    readonly config: { readonly digest: string };
    readonly layers: readonly { readonly digest: string }[];
  };
  const url = `http://127.0.0.1:${registry.port}/v2/${repository}`;
  await upload(url, config.digest, join(image, "config.json"));
  await upload(url, layers[0]?.digest ?? "", join(image, "layer"));
  const answer = await fetch(`${url}/manifests/1`, {
    method: "PUT",
    body: manifest,
    headers: { "content-type": mediaTypes.manifest },
  });
  assert.equal(answer.status, 201, await answer.text());
  await rm(image, { recursive: true });
}

async function upload(repository: string, digest: string, file: string): Promise<void> {
  const session = await fetch(`${repository}/blobs/uploads/`, { method: "POST" });
  const location = new URL(session.headers.get("location") ?? "", repository);
  location.searchParams.set("digest", digest);
  const { size } = await stat(file);
  const headers = { "content-type": "application/octet-stream", "content-length": String(size) };
  const body = createReadStream(file);
  const answer = await fetch(location, { method: "PUT", body, headers, duplex: "half" });
  assert.equal(answer.status, 201, await answer.text());
}

/** Starts the registry of the plain images on a node, and waits until it serves. */
export async function servePlainImages(node: string): Promise<void> {
  const environment = Object.entries(distributionEnvironment).map(([name, value]) => `${name}=${value}`);
  const command = [`${plainMount}/registry`, "serve", `${plainMount}/node.yaml`];
  const script = `${environment.join(" ")} setsid ${command.join(" ")} < /dev/null > /var/log/plain-registry.log 2>&1 &
    for ((try = 0; try < 100; try++)); do
      curl --silent --fail --output /dev/null http://${host}/v2/ && exit 0
      sleep 0.1
    done
    cat /var/log/plain-registry.log >&2; exit 1`;
  await inNode(node, "bash", "-c", script);
}
