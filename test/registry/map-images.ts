import { Readable } from "node:stream";

import { imageNameInvalid } from "../../src/errors.ts";
import type { Images, OpenBlob } from "../../src/image/images.ts";
import { type Digest, sha256Digest } from "../../src/oci/digest.ts";
import { type Document, imageConfig, imageIndex, imageManifest } from "../../src/oci/documents.ts";

/** What a test does instead of one of the methods. */
export type Overrides = { -readonly [Method in keyof Images]?: Images[Method] };

/** Images out of maps, which counts what is opened, read and closed. */
export class MapImages implements Images {
  readonly #tags = new Map<string, Map<string, Document>>();
  readonly #documents = new Map<string, Document>();
  readonly #blobs = new Map<string, Uint8Array>();
  readonly overrides: Overrides = {};
  opened = 0;
  read = 0;
  closed = 0;

  addTag(repository: string, tag: string, document: Document): void {
    const tags = this.#tags.get(repository) ?? new Map<string, Document>();
    this.#tags.set(repository, tags.set(tag, document));
    this.addDocument(repository, document);
  }

  addDocument(repository: string, document: Document): void {
    this.#documents.set(`${repository}@${document.digest}`, document);
  }

  addBlob(repository: string, bytes: Uint8Array): Digest {
    const digest = sha256Digest(bytes);
    this.#blobs.set(`${repository}@${digest}`, bytes);
    return digest;
  }

  async resolveTag(repository: string, tag: string, signal?: AbortSignal): Promise<Document> {
    if (this.overrides.resolveTag !== undefined) return this.overrides.resolveTag(repository, tag, signal);
    const document = this.#tags.get(repository)?.get(tag);
    if (document === undefined)
      throw imageNameInvalid(`${repository}:${tag}`, "the test has none of this name");
    return document;
  }

  async document(repository: string, digest: Digest): Promise<Document | undefined> {
    if (this.overrides.document !== undefined) return this.overrides.document(repository, digest);
    return this.#documents.get(`${repository}@${digest}`);
  }

  async blob(repository: string, digest: Digest): Promise<OpenBlob | undefined> {
    if (this.overrides.blob !== undefined) return this.overrides.blob(repository, digest);
    const bytes = this.#blobs.get(`${repository}@${digest}`);
    return (
      bytes && this.open(bytes.length, (start, end) => Readable.from(chunks(bytes.subarray(start, end + 1))))
    );
  }

  /** A blob with any content, whose opening and closing count. */
  open(size: number, content: (start: number, end: number) => Readable): OpenBlob {
    this.opened++;
    return {
      size,
      read: ({ start, end } = { start: 0, end: size - 1 }) => {
        this.read++;
        return content(start, end);
      },
      close: async () => {
        this.closed++;
      },
    };
  }

  async tags(repository: string): Promise<readonly string[] | undefined> {
    if (this.overrides.tags !== undefined) return this.overrides.tags(repository);
    const tags = this.#tags.get(repository);
    return tags && [...tags.keys()];
  }
}

function* chunks(bytes: Uint8Array): Generator<Buffer> {
  for (let at = 0; at < bytes.length; at += 4096) yield Buffer.from(bytes.subarray(at, at + 4096));
}

/** One image in `repository`, with the tags "1", "b" and "a". */
export function imageFixture(repository: string) {
  const images = new MapImages();
  const layerBytes = Buffer.alloc(10_000);
  layerBytes.forEach((_, at) => (layerBytes[at] = at % 251));
  const layer = { digest: images.addBlob(repository, layerBytes), size: layerBytes.length };
  const config = imageConfig({ architecture: "amd64", layers: [{ ...layer, createdBy: "test" }] });
  images.addBlob(repository, config.bytes);
  const manifest = imageManifest({ config, layers: [layer] });
  images.addDocument(repository, manifest);
  const index = imageIndex({ manifests: [{ document: manifest, architecture: "amd64" }] });
  for (const tag of ["1", "b", "a"]) images.addTag(repository, tag, index);
  return { images, layer, layerBytes, config, manifest, index };
}
