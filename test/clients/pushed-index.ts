const accept = [
  "application/vnd.oci.image.index.v1+json",
  "application/vnd.oci.image.manifest.v1+json",
].join();

interface Document {
  readonly config?: Descriptor;
  readonly layers?: readonly Descriptor[];
  readonly manifests?: readonly Descriptor[];
}
interface Descriptor {
  readonly digest: string;
  readonly size: number;
}

/** What a tag or digest of a repository leads to. */
export interface Reachable {
  /** Digests of its manifests, its own not included. */
  readonly manifests: ReadonlySet<string>;
  /** Digests of blobs, with their sizes. */
  readonly blobs: ReadonlyMap<string, number>;
  /** What of it is not there, or has another size. */
  readonly missing: readonly string[];
}

/**
 * Asks a registry for an index and everything that it names.
 *
 * @param repository `http://<host>/v2/<repository>`
 */
export async function reachableFrom(repository: string, reference: string): Promise<Reachable> {
  const manifests = new Set<string>();
  const blobs = new Map<string, number>();
  const missing: string[] = [];
  const index = await readDocument(repository, reference);
  if (index === undefined) return { manifests, blobs, missing: [reference] };
  for (const { digest } of index.manifests ?? []) {
    manifests.add(digest);
    const manifest = await readDocument(repository, digest);
    if (manifest === undefined) missing.push(digest);
    const named = [...(manifest?.config === undefined ? [] : [manifest.config]), ...(manifest?.layers ?? [])];
    for (const blob of named) blobs.set(blob.digest, blob.size);
  }
  for (const [digest, size] of blobs) {
    const { status, headers } = await fetch(`${repository}/blobs/${digest}`, { method: "HEAD" });
    if (status !== 200 || Number(headers.get("content-length")) !== size) missing.push(digest);
  }
  return { manifests, blobs, missing };
}

/** The tags of a repository. */
export async function tagsOf(repository: string): Promise<readonly string[]> {
  const answer = await fetch(`${repository}/tags/list`);
  if (answer.status === 404) return [];
  return ((await answer.json()) as { tags: string[] | null }).tags ?? [];
}

/** Deletes a manifest or an index; throws unless the registry says that it did. */
export async function deleteManifest(repository: string, digest: string): Promise<void> {
  const { status } = await fetch(`${repository}/manifests/${digest}`, { method: "DELETE" });
  if (status !== 202) throw new Error(`DELETE of ${digest}: HTTP ${status}`);
}

async function readDocument(repository: string, reference: string): Promise<Document | undefined> {
  const answer = await fetch(`${repository}/manifests/${reference}`, { headers: { accept } });
  const text = await answer.text();
  return answer.status === 200 ? (JSON.parse(text) as Document) : undefined;
}
