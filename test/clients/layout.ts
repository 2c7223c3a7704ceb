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

/** The file names of a manifest's layers, the lowest first: their digests' hexadecimal digits. */
export function layerFiles({ layers = [] }: LayoutDocument): readonly string[] {
  if (layers.length === 0) throw new Error("no layers");
  return layers.map(({ digest }) => digest.replace("sha256:", ""));
}

/**
 * The layers of the only image of an OCI layout, for amd64 where it has several, the lowest first.
 * https://github.com/opencontainers/image-spec/blob/v1.1.1/image-layout.md
 *
 * @returns paths
 */
export async function layoutLayers(layout: string): Promise<readonly string[]> {
  const blob = (digest: string): string => join(layout, "blobs", "sha256", digest.replace("sha256:", ""));
  let document = await readDocument(join(layout, "index.json"));
  while (document.manifests !== undefined) {
    const { manifests } = document;
    const wanted = manifests.find(({ platform }) => platform?.architecture === "amd64") ?? manifests[0];
    if (wanted === undefined) throw new Error(`${layout} holds no image`);
    document = await readDocument(blob(wanted.digest));
  }
  return layerFiles(document).map(blob);
}

/** Unpacks layers, the lowest first, as whoever they say; returns the directory. */
export async function extract(layers: readonly string[], directory: string): Promise<string> {
  await mkdir(directory);
  for (const layer of layers)
    await run("tar", ["-x", "-p", "--same-owner", "--numeric-owner", "-f", layer, "-C", directory]);
  return directory;
}

async function readDocument(file: string): Promise<LayoutDocument> {
  return JSON.parse(await readFile(file, "utf8")) as LayoutDocument;
}
