import { createHash } from "node:crypto";

const mediaTypes = {
  index: "application/vnd.oci.image.index.v1+json",
  manifest: "application/vnd.oci.image.manifest.v1+json",
} as const;

/** Whatever a document holds. */
export type Json = ReturnType<typeof JSON.parse>;

/** A descriptor of what was written. */
export interface Written {
  readonly digest: string;
  readonly size: number;
}

/** A repository of a registry, for whoever may write to it and has no key. */
export class RepositoryWriter {
  readonly #url: string;

  /** @param url `http://<host>/v2/<repository>` */
  constructor(url: string) {
    this.#url = url;
  }

  async readDocument(reference: string): Promise<Json> {
    const headers = { accept: Object.values(mediaTypes).join() };
    const answer = await fetch(`${this.#url}/manifests/${reference}`, { headers });
    if (!answer.ok) throw new Error(`${reference}: HTTP ${answer.status}`);
    return answer.json();
  }

  async readBlob(digest: string): Promise<Buffer> {
    const answer = await fetch(`${this.#url}/blobs/${digest}`);
    if (!answer.ok) throw new Error(`${digest}: HTTP ${answer.status}`);
    return Buffer.from(await answer.arrayBuffer());
  }

  /** Writes an index or a manifest, under a tag if there is one. */
  async writeDocument(json: Json, tag?: string): Promise<Written> {
    const body = Buffer.from(JSON.stringify(json));
    const digest = digestOf(body);
    const mediaType = json["manifests"] === undefined ? mediaTypes.manifest : mediaTypes.index;
    const answer = await fetch(`${this.#url}/manifests/${tag ?? digest}`, {
      method: "PUT",
      headers: { "content-type": mediaType },
      body,
    });
    if (answer.status !== 201) throw new Error(`HTTP ${answer.status}: ${await answer.text()}`);
    return { digest, size: body.length };
  }

  async writeBlob(bytes: Uint8Array<ArrayBuffer>): Promise<Written> {
    const session = await fetch(`${this.#url}/blobs/uploads/`, { method: "POST" });
    const location = new URL(session.headers.get("location") ?? "", this.#url);
    const digest = digestOf(bytes);
    location.searchParams.set("digest", digest);
    const headers = { "content-type": "application/octet-stream" };
    const answer = await fetch(location, { method: "PUT", headers, body: bytes });
    if (answer.status !== 201) throw new Error(`HTTP ${answer.status}: ${await answer.text()}`);
    return { digest, size: bytes.length };
  }
}

function digestOf(bytes: Uint8Array): string {
  return `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
}
