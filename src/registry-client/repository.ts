import type { LookupFunction } from "node:net";
import type { Digest } from "../oci/digest.ts";
import type { Document } from "../oci/documents.ts";
import { type BlobSource, BlobUpload, type UploadHabits } from "./blob-upload.ts";
import { getBlob, headBlob, mountBlob } from "./blobs.ts";
import { type Clock, systemClock } from "../clock.ts";
import type { CredentialStore } from "./credentials.ts";
import { type FoundManifest, getManifest, headManifest, putManifest } from "./manifests.ts";
import type { RequestObserver } from "./observer.ts";
import { type RepositoryAddress, repositoryEndpoint } from "./registry-address.ts";
import { RegistryApi } from "./registry-api.ts";
import { type RetryLimits, retryLimits } from "./retries.ts";
import { type RegistryTimeouts, registryTimeouts } from "./timeouts.ts";
import type { UploadSession } from "./upload-session.ts";

export type { BlobSource, FoundManifest, RegistryTimeouts, RepositoryAddress, RetryLimits };

export interface RepositoryOptions extends RepositoryAddress {
  readonly credentials: CredentialStore;
  /** Authorities in PEM that are trusted beside those of Node; read again when it changes. */
  readonly caFile?: string;
  /** Default: for a loopback host without `caFile`. */
  readonly plainHttp?: boolean;
  /** What tokens are asked for; what writes asks for `push` in any case. Default: `pull`. */
  readonly access?: "pull" | "push";
  /** At most so many to each host. Default: 16. */
  readonly connections?: number;
  readonly timeouts?: Partial<RegistryTimeouts>;
  readonly retries?: Partial<RetryLimits>;
  readonly userAgent?: string;
  /** Ends everything. */
  readonly signal?: AbortSignal;
  readonly onRequest?: RequestObserver;
  readonly clock?: Clock;
  readonly lookup?: LookupFunction;
}

/** At most so many connections to each host where nothing else is said. */
const defaultConnections = 16;

/**
 * A repository of an ordinary registry (OCI distribution-spec 1.1).
 *
 * All methods throw registryUnavailable (temporary) when the registry gave no answer in all attempts,
 * registryAccessDenied, registryRefused for what it does not do, registryInvalidAnswer, repositoryUnknown (writing),
 * what the credential store throws, and the signal's reason.
 */
export class Repository {
  readonly #api: RegistryApi;
  readonly #habits: UploadHabits = { maxPiece: Infinity, pieces: true };
  /** Sessions that the registry has begun instead of mounting a blob. */
  readonly #begun = new Map<Digest, UploadSession>();

  /** @throws referenceInvalid */
  constructor(options: RepositoryOptions) {
    const endpoint = repositoryEndpoint(options, options);
    this.#api = new RegistryApi(endpoint, {
      credentials: options.credentials,
      access: options.access ?? "pull",
      caFile: options.caFile,
      connections: options.connections ?? defaultConnections,
      timeouts: { ...registryTimeouts, ...options.timeouts },
      retries: { ...retryLimits, ...options.retries },
      userAgent: options.userAgent ?? "nix-closure",
      signal: options.signal,
      onRequest: options.onRequest,
      clock: options.clock ?? systemClock,
      lookup: options.lookup,
    });
  }

  /** `<host>/<repository>`, as in references. */
  get name(): string {
    return this.#api.endpoint.name;
  }

  /**
   * A manifest or index.
   *
   * @param reference a tag or a digest; with a digest, the bytes have it.
   * @param options.maxBytes default: 4 MiB, as other clients have it.
   * @returns `undefined` if the registry does not have it.
   */
  async getManifest(
    reference: string,
    options: { readonly maxBytes?: number; readonly signal?: AbortSignal } = {},
  ): Promise<FoundManifest | undefined> {
    return getManifest(this.#api, reference, options);
  }

  /** Digest and size (bytes) of a manifest or index, `undefined` if the registry does not have it. */
  async headManifest(
    reference: string,
    signal?: AbortSignal,
  ): Promise<{ readonly digest: Digest; readonly size: number } | undefined> {
    return headManifest(this.#api, reference, signal);
  }

  /** Whether the registry has a blob, and its size in bytes if the registry says it. */
  async headBlob(
    digest: Digest,
    signal?: AbortSignal,
  ): Promise<{ readonly size: number | undefined } | undefined> {
    return headBlob(this.#api, digest, signal);
  }

  /** A small blob, `undefined` if the registry does not have it; the bytes have that digest. */
  async getBlob(
    digest: Digest,
    options: { readonly maxBytes: number; readonly signal?: AbortSignal },
  ): Promise<Uint8Array | undefined> {
    return getBlob(this.#api, digest, options);
  }

  /**
   * Makes a blob of another repository of the same registry one of this repository.
   *
   * @param from the other repository, without host.
   * @returns false if the registry does not do it, for whatever reason: the blob has to be sent.
   */
  async mountBlob(digest: Digest, from: string, signal?: AbortSignal): Promise<boolean> {
    const outcome = await mountBlob(this.#api, digest, from, signal);
    if (outcome === true) return true;
    if (outcome !== undefined) this.#begun.set(digest, outcome);
    return false;
  }

  /**
   * Sends a blob; goes on after a broken connection where the registry can.
   *
   * @param onProgress is told how many bytes of the blob are sent; fewer than before when it has to begin anew.
   * @throws also what `read` of the blob fails with.
   */
  async putBlob(
    blob: BlobSource,
    onProgress: (bytes: number) => void = () => undefined,
    signal?: AbortSignal,
  ): Promise<void> {
    const begun = this.#begun.get(blob.digest);
    this.#begun.delete(blob.digest);
    await new BlobUpload(this.#api, blob, this.#habits, onProgress, begun).run(signal);
  }

  /** Writes a manifest or index under a tag or its own digest. */
  async putManifest(reference: string, document: Document, signal?: AbortSignal): Promise<void> {
    await putManifest(this.#api, reference, document, signal);
  }

  /** Ends all requests and connections. */
  async close(): Promise<void> {
    await this.#api.close();
  }
}
