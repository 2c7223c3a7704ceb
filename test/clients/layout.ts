import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { run } from "../programs/command.ts";

/** What the documents of an OCI layout have in common with each other. */
export interface LayoutDocument {
  readonly layers?: readonly LayoutDescriptor[];
  readonly manifests?: readonly LayoutDescriptor[];
}
interface LayoutDescriptor {
  readonly digest: string;
  readonly platform?: { readonly architecture: string };
}

/** The file name of the only layer of a manifest, its digest's hexadecimal digits. */
export function layerFile({ layers = [] }: LayoutDocument): string {
  const [layer] = layers;
  if (layer === undefined || layers.length > 1) throw new Error(`${layers.length} layers instead of one`);
  return layer.digest.replace("sha256:", "");
}

/**
 * The layer of the only image of an OCI layout, for amd64 where it has several.
 * https://github.com/opencontainers/image-spec/blob/v1.1.1/image-layout.md
 *
 * @returns a path
 */
export async function layoutLayer(layout: string): Promise<string> {
  const blob = (digest: string): string => join(layout, "blobs", "sha256", digest.replace("sha256:", ""));
  let document = await readDocument(join(layout, "index.json"));
  while (document.manifests !== undefined) {
    const { manifests } = document;
    const wanted = manifests.find(({ platform }) => platform?.architecture === "amd64") ?? manifests[0];
    if (wanted === undefined) throw new Error(`${layout} holds no image`);
    document = await readDocument(blob(wanted.digest));
  }
  return blob(`sha256:${layerFile(document)}`);
}

/** Unpacks a layer as whoever it says; returns the directory. */
export async function extract(layer: string, directory: string): Promise<string> {
  await mkdir(directory);
  await run("tar", ["-x", "-p", "--same-owner", "--numeric-owner", "-f", layer, "-C", directory]);
  return directory;
}

async function readDocument(file: string): Promise<LayoutDocument> {
  return JSON.parse(await readFile(file, "utf8")) as LayoutDocument;
}
