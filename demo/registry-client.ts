import { createHash } from "node:crypto";
import { createWriteStream } from "node:fs";
import { join } from "node:path";
import { Readable, Transform } from "node:stream";
import { pipeline } from "node:stream/promises";

/**
 * A client of the read side of OCI distribution-spec 1.1, on its own: it shares no code with the registry, so that a
 * mistake of one is not repeated by the other.
 */

/** An image that was pulled and checked. */
export interface PulledImage {
  readonly reference: string;
  /** The lowest first. */
  readonly layers: readonly PulledLayer[];
  /** Bytes of all its documents and layers. */
  readonly totalSize: number;
  /** `User` of the image's config. */
  readonly user: string | undefined;
  /** `Env` of the image's config, `NAME=value` each. */
  readonly env: readonly string[];
}

/** A layer of an image that was pulled. */
export interface PulledLayer {
  /** Its tar file, not compressed. */
  readonly file: string;
  readonly digest: string;
  /** Bytes. */
  readonly size: number;
}

export interface PullOptions {
  /** Where layers are put. */
  readonly directory: string;
  /** In Go's words: `amd64`, `arm64`. */
  readonly architecture: string;
  readonly signal: AbortSignal;
}

const mediaTypes = {
  index: "application/vnd.oci.image.index.v1+json",
  manifest: "application/vnd.oci.image.manifest.v1+json",
  config: "application/vnd.oci.image.config.v1+json",
  layer: "application/vnd.oci.image.layer.v1.tar",
} as const;

interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
  readonly platform?: { readonly architecture: string; readonly os: string };
}
interface Index {
  readonly mediaType: string;
  readonly manifests: readonly Descriptor[];
}
interface Manifest {
  readonly mediaType: string;
  readonly config: Descriptor;
  readonly layers: readonly Descriptor[];
}
interface Config {
  readonly architecture: string;
  readonly os: string;
  readonly config?: { readonly User?: string; readonly Env?: readonly string[] };
  readonly rootfs: { readonly type: string; readonly diff_ids: readonly string[] };
}

/**
 * Pulls an image by tag over plain HTTP, as containerd does from localhost, and checks each digest, size and media type
 * on the way, and that the config says this architecture and the layers' digests.
 *
 * @throws Error naming the reference and what is wrong
 */
export async function pullImage(reference: string, options: PullOptions): Promise<PulledImage> {
  try {
    return await pull(reference, options);
  } catch (error) {
    options.signal.throwIfAborted();
    throw new Error(`pulling ${reference}: ${error instanceof Error ? describe(error) : String(error)}`, {
      cause: error,
    });
  }
}

async function pull(
  reference: string,
  { directory, architecture, signal }: PullOptions,
): Promise<PulledImage> {
  const { base, tag, name } = parseReference(reference);
  const url = `${base}/manifests/${tag}`;

  const head = await request("HEAD", url, mediaTypes.index, signal);
  const indexDescriptor = {
    mediaType: mediaTypes.index,
    digest: head.headers.get("docker-content-digest") ?? "",
    size: Number(head.headers.get("content-length")),
  };
  const index = (await getJson(url, indexDescriptor, signal)) as Index;
  const found = index.manifests.find(({ platform }) => platformName(platform) === `linux/${architecture}`);
  if (found === undefined) {
    const others = index.manifests.map(({ platform }) => platformName(platform));
    throw new Error(`no linux/${architecture} among ${others.join(", ")}`);
  }
  expect("media type in the index", found.mediaType, mediaTypes.manifest);

  const manifest = (await getJson(`${base}/manifests/${found.digest}`, found, signal)) as Manifest;
  if (manifest.layers.length === 0) throw new Error("no layers");
  expect("the config's media type", manifest.config.mediaType, mediaTypes.config);
  for (const { mediaType } of manifest.layers) expect("the layer's media type", mediaType, mediaTypes.layer);

  const config = (await getJson(
    `${base}/blobs/${manifest.config.digest}`,
    manifest.config,
    signal,
  )) as Config;
  expect("the config's platform", `${config.os}/${config.architecture}`, `linux/${architecture}`);
  expect("diffIDs", config.rootfs.diff_ids.join(), manifest.layers.map(({ digest }) => digest).join());

  const layers: PulledLayer[] = [];
  for (const [number, layer] of manifest.layers.entries()) {
    const { digest, size } = layer;
    const file = join(directory, `${name.replaceAll(/[^0-9a-z]/g, "-")}-${number}.tar`);
    await getFile(`${base}/blobs/${digest}`, layer, file, signal);
    layers.push({ file, digest, size });
  }
  const documents = [indexDescriptor, found, manifest.config];
  return {
    reference,
    layers,
    totalSize: [...documents, ...layers].reduce((total, { size }) => total + size, 0),
    user: config.config?.User,
    env: config.config?.Env ?? [],
  };
}

function platformName(platform: Descriptor["platform"]): string {
  return platform === undefined ? "none" : `${platform.os}/${platform.architecture}`;
}

function parseReference(reference: string): {
  readonly base: string;
  readonly name: string;
  readonly tag: string;
} {
  const [, host, name, tag] = /^([^/]+)\/([^:@]+):([\w.-]+)$/.exec(reference) ?? [];
  if (host === undefined || name === undefined || tag === undefined)
    throw new Error("not <host>/<name>:<tag>");
  return { base: `http://${host}/v2/${name}`, name, tag };
}

async function request(method: string, url: string, accept: string, signal: AbortSignal): Promise<Response> {
  const response = await fetch(url, { method, headers: { accept }, signal });
  if (response.status !== 200) {
    // The answer to HEAD has no body; the one to GET says why.
    if (method === "HEAD") await request("GET", url, accept, signal);
    const body = await response.text();
    throw new Error(`${method} ${new URL(url).pathname} answered ${response.status} ${body}`.trim());
  }
  return response;
}

async function getJson(url: string, descriptor: Descriptor, signal: AbortSignal): Promise<unknown> {
  const response = await request("GET", url, descriptor.mediaType, signal);
  const bytes = Buffer.from(await response.arrayBuffer());
  expect("size", bytes.length, descriptor.size);
  expect("digest", `sha256:${createHash("sha256").update(bytes).digest("hex")}`, descriptor.digest);
  const document = JSON.parse(bytes.toString("utf8")) as { readonly mediaType?: string };
  // A config has no media type inside, and comes as a blob, whose type is anything.
  if (descriptor.mediaType !== mediaTypes.config) {
    expect("Content-Type", response.headers.get("content-type"), descriptor.mediaType);
    expect("mediaType", document.mediaType, descriptor.mediaType);
  }
  return document;
}

async function getFile(
  url: string,
  descriptor: Descriptor,
  file: string,
  signal: AbortSignal,
): Promise<void> {
  const response = await request("GET", url, "*/*", signal);
  if (response.body === null) throw new Error("the layer's answer has no body");
  const hash = createHash("sha256");
  let size = 0;
  const check = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      hash.update(chunk);
      size += chunk.length;
      done(size > descriptor.size ? new Error("the layer is longer than announced") : null, chunk);
    },
  });
  await pipeline(Readable.fromWeb(response.body), check, createWriteStream(file), { signal });
  expect("the layer's size", size, descriptor.size);
  expect("the layer's digest", `sha256:${hash.digest("hex")}`, descriptor.digest);
}

function expect(what: string, found: unknown, wanted: unknown): void {
  if (found !== wanted) throw new Error(`${what}: ${String(found)}, not ${String(wanted)}`);
}

/** fetch says only "fetch failed"; its cause says why. */
function describe(error: Error): string {
  return error.cause instanceof Error ? `${error.message}: ${error.cause.message}` : error.message;
}
