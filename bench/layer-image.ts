import { createHash } from "node:crypto";
import { createWriteStream } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { mediaTypes } from "../src/oci/documents.ts";

interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
}

/** The name of the image in the layout. */
export const layoutName = "layers";

/**
 * Writes an OCI image layout with one image that has all layers of a pushed closure, each once.
 *
 * @param repository `http://<host>/v2/<name>` that the closure was pushed to, with layers that are not compressed
 * @returns bytes of the layers
 */
export async function writeLayerImage(directory: string, repository: string, tag: string): Promise<number> {
  const blobs = join(directory, "blobs/sha256");
  await mkdir(blobs, { recursive: true });
  const layers = await layersOf(repository, tag);
  for (const { digest } of layers) {
    const { body } = await get(`${repository}/blobs/${digest}`);
    if (body === null) throw new Error(`${digest} has no bytes`);
    await pipeline(Readable.fromWeb(body), createWriteStream(join(blobs, digest.slice("sha256:".length))));
  }
  const put = async (mediaType: string, document: object): Promise<Descriptor> => {
    const bytes = Buffer.from(JSON.stringify(document));
    const hex = createHash("sha256").update(bytes).digest("hex");
    await writeFile(join(blobs, hex), bytes);
    return { mediaType, digest: `sha256:${hex}`, size: bytes.length };
  };
  const config = await put(mediaTypes.config, {
    architecture: "amd64",
    os: "linux",
    rootfs: { type: "layers", diff_ids: layers.map(({ digest }) => digest) },
  });
  const manifest = await put(mediaTypes.manifest, {
    schemaVersion: 2,
    mediaType: mediaTypes.manifest,
    config,
    layers,
  });
  const annotations = { "org.opencontainers.image.ref.name": layoutName };
  const index = { schemaVersion: 2, manifests: [{ ...manifest, annotations }] };
  await writeFile(join(directory, "index.json"), JSON.stringify(index));
  await writeFile(join(directory, "oci-layout"), JSON.stringify({ imageLayoutVersion: "1.0.0" }));
  return layers.reduce((sum, { size }) => sum + size, 0);
}

/** Of all images that an index names, each once. */
async function layersOf(repository: string, tag: string): Promise<readonly Descriptor[]> {
  const index = (await json(`${repository}/manifests/${tag}`)) as {
    readonly manifests: readonly Descriptor[];
  };
  const found = new Map<string, Descriptor>();
  for (const { digest } of index.manifests) {
    const { layers } = (await json(`${repository}/manifests/${digest}`)) as {
      readonly layers: readonly Descriptor[];
    };
    for (const layer of layers) if (layer.mediaType === mediaTypes.layerTar) found.set(layer.digest, layer);
  }
  return [...found.values()];
}

async function json(url: string): Promise<unknown> {
  return (await get(url)).json();
}

async function get(url: string): Promise<Response> {
  const accept = [mediaTypes.index, mediaTypes.manifest].join(", ");
  const answer = await fetch(url, url.includes("/manifests/") ? { headers: { accept } } : {});
  if (!answer.ok) throw new Error(`${url} answered ${answer.status}: ${await answer.text()}`);
  return answer;
}
