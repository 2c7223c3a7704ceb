import { Readable } from "node:stream";

import type { Digest } from "../oci/digest.ts";
import type { Document } from "../oci/documents.ts";
import type { BlobSource, Repository } from "../registry-client/repository.ts";
import { Slots } from "../resolver/slots.ts";
import type { Tally } from "./tally.ts";

/** Small requests at a time: as many as the client has connections. */
const maxQuestions = 16;
/** Blobs that are sent at a time; small ones are waits more than bytes. */
const maxUploads = 6;
/** A repository that has had none of so many blobs is asked for no more. */
const maxRefusedMounts = 8;

/** A blob's name and size. */
export interface BlobName {
  readonly digest: Digest;
  /** Bytes. */
  readonly size: number;
}

export interface BlobsOptions {
  readonly repository: Repository;
  /** Host of the repository, and its name there. */
  readonly host: string;
  readonly name: string;
  /** Other repositories of the same host that may have blobs, without the host. */
  readonly mountFrom: readonly string[];
  /** Sends nothing, and counts what would be sent. */
  readonly dryRun: boolean;
  readonly tally: Tally;
  readonly signal: AbortSignal;
}

/** The blobs and manifests of a repository, as far as a push has looked at them or sent them. Each is sent once. */
export class Blobs {
  readonly #options: BlobsOptions;
  readonly #questions = new Slots(maxQuestions);
  readonly #uploads = new Slots(maxUploads);
  /** Whether the repository has a blob. */
  readonly #found = new Map<Digest, Promise<boolean>>();
  readonly #sent = new Map<Digest, Promise<void>>();
  readonly #manifests = new Map<Digest, Promise<void>>();
  readonly #refusedMounts = new Map<string, number>();

  constructor(options: BlobsOptions) {
    this.#options = options;
  }

  /** The repository with its host. */
  get place(): string {
    return `${this.#options.host}/${this.#options.name}`;
  }

  /**
   * Whether the repository has a blob, taken over from another repository if need be.
   *
   * @param places repositories with their host that have had it.
   */
  async find(blob: BlobName, places: readonly string[] = []): Promise<boolean> {
    let found = this.#found.get(blob.digest);
    if (found === undefined) {
      found = this.#questions.run(async () => this.#look(blob, places));
      this.#found.set(blob.digest, found);
    }
    return found;
  }

  /** Sends a blob that the repository does not have. */
  async send(blob: BlobSource, onProgress?: (bytes: number) => void): Promise<void> {
    let sent = this.#sent.get(blob.digest);
    if (sent === undefined) {
      sent = this.#uploads.run(async () => this.#put(blob, onProgress));
      this.#sent.set(blob.digest, sent);
    }
    return sent;
  }

  /** Sees to it that the repository has a small blob. */
  async ensure({ digest, bytes }: Pick<Document, "digest" | "bytes">): Promise<void> {
    if (await this.find({ digest, size: bytes.length })) return;
    await this.send({ digest, size: bytes.length, read: (start) => Readable.from([bytes.subarray(start)]) });
  }

  /** Sees to it that the repository has a manifest, all of whose blobs it has. */
  async ensureManifest(document: Document): Promise<void> {
    let ensured = this.#manifests.get(document.digest);
    if (ensured === undefined) {
      ensured = this.#questions.run(async () => this.#putManifest(document));
      this.#manifests.set(document.digest, ensured);
    }
    return ensured;
  }

  /** Writes a manifest under a tag, whatever is there. */
  async tag(name: string, document: Document): Promise<void> {
    const { repository, dryRun, tally, signal } = this.#options;
    if (!dryRun) await repository.putManifest(name, document, signal);
    tally.manifest();
  }

  async #look({ digest, size }: BlobName, places: readonly string[]): Promise<boolean> {
    const { repository, tally, signal } = this.#options;
    const there = await repository.headBlob(digest, signal);
    // One of another size is damaged, or none at all; a registry that says none is believed.
    if (there !== undefined && (there.size ?? size) === size) {
      tally.blob("present", size);
      return true;
    }
    if (!(await this.#mount(digest, places))) return false;
    tally.blob("mounted", size);
    return true;
  }

  async #mount(digest: Digest, places: readonly string[]): Promise<boolean> {
    const { repository, host, name, mountFrom, dryRun, signal } = this.#options;
    if (dryRun) return false;
    const prefix = `${host}/`;
    const known = places
      .filter((place) => place.startsWith(prefix))
      .map((place) => place.slice(prefix.length));
    for (const from of new Set([...known.toReversed(), ...mountFrom])) {
      const refused = this.#refusedMounts.get(from) ?? 0;
      if (from === name || refused >= maxRefusedMounts) continue;
      if (await repository.mountBlob(digest, from, signal)) {
        this.#refusedMounts.set(from, -Infinity);
        return true;
      }
      this.#refusedMounts.set(from, refused + 1);
    }
    return false;
  }

  async #put(blob: BlobSource, onProgress: ((bytes: number) => void) | undefined): Promise<void> {
    const { repository, dryRun, tally, signal } = this.#options;
    if (!dryRun) await repository.putBlob(blob, onProgress, signal);
    tally.blob("sent", blob.size);
  }

  async #putManifest(document: Document): Promise<void> {
    const { repository, dryRun, tally, signal } = this.#options;
    if ((await repository.headManifest(document.digest, signal)) !== undefined) return;
    if (!dryRun) await repository.putManifest(document.digest, document, signal);
    tally.manifest();
  }
}
