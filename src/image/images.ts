import type { Readable } from "node:stream";

import type { Digest } from "../oci/digest.ts";
import type { Document } from "../oci/documents.ts";

/** What the registry serves: images, made when they are asked for. */
export interface Images {
  /**
   * The index a tag answers with. Converts what is missing; two calls for one image share one conversion. A signal
   * ends a caller's waiting, not the conversion.
   *
   * @throws imageNameInvalid, closureCheckMismatch, conversionSlow, registryBusy, blobBudgetExhausted, diskFailed, the errors of
   * the resolver and of the conversion, the signal's reason
   */
  resolveTag(repository: string, tag: string, signal?: AbortSignal): Promise<Document>;
  /** A manifest or index that a tag of this repository answered with before; undefined = not known. */
  document(repository: string, digest: Digest): Promise<Document | undefined>;
  /** Config or layer bytes. undefined = not here. */
  blob(repository: string, digest: Digest): Promise<OpenBlob | undefined>;
  /** Tags that may be listed; undefined = no such repository. */
  tags(repository: string): Promise<readonly string[] | undefined>;
}

/** A blob that stays on the disk until it is closed. */
export interface OpenBlob {
  /** Bytes. */
  readonly size: number;
  readonly mediaType?: string;
  /** The bytes from `start` to `end`, both included; all of them without a range. */
  read(range?: { readonly start: number; readonly end: number }): Readable;
  /** Takes back a chunk of `read` that nobody looks at any more: its memory gets other bytes. It need not be called. */
  readonly reuse?: (chunk: Uint8Array) => void;
  close(): Promise<void>;
}
