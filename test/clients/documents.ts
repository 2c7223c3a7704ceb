import { createHash } from "node:crypto";
import { suite } from "./fixture.ts";

/** An index or a manifest, as JSON that a client has shown. */
export interface Manifest {
  readonly mediaType: string;
  readonly config?: Descriptor;
  readonly layers?: readonly Descriptor[];
  readonly manifests?: readonly Descriptor[];
}

/** What a document says of another one. */
export interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
  readonly platform?: { readonly os: string; readonly architecture: string };
}

/** The digest of bytes, sha256. */
export function digestOf(bytes: string | Uint8Array): string {
  return `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
}

/** A reference without its tag. */
export function repositoryOf(reference: string): string {
  return reference.replace(/:[^:/]*$/, "");
}

/** The tag of a reference. */
export function tagOf(reference: string): string {
  return reference.slice(repositoryOf(reference).length + 1);
}

/** Where the registry has a document or blob of an image's repository. */
export function urlOf(reference: string, noun: "manifests" | "blobs", name: string): string {
  const repository = repositoryOf(reference).slice(suite.host.length + 1);
  return `http://${suite.host}/v2/${repository}/${noun}/${name}`;
}

/** The documents of an image by plain HTTP: its index, its manifests, and their digests in `digests`. */
export async function fetchDocuments(reference: string): Promise<{
  readonly index: Manifest;
  readonly indexDigest: string;
  /** Of amd64. */
  readonly manifest: Manifest & {
    readonly config: Descriptor;
    readonly layers: readonly [Descriptor, ...Descriptor[]];
  };
  readonly manifestDigest: string;
}> {
  const indexText = await (await fetch(urlOf(reference, "manifests", tagOf(reference)))).text();
  const index = JSON.parse(indexText) as Manifest;
  const manifestDigest =
    index.manifests?.find(({ platform }) => platform?.architecture === "amd64")?.digest ?? "";
  const manifestText = await (await fetch(urlOf(reference, "manifests", manifestDigest))).text();
  const manifest = JSON.parse(manifestText);
  return { index, indexDigest: digestOf(indexText), manifest, manifestDigest };
}
