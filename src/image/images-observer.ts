/** What images and their blob store tell about their work. */
export interface ImagesObserver {
  conversion(event: {
    readonly kind: "path" | "store" | "base";
    readonly outcome: "ok" | "error";
    readonly seconds: number;
    /** Of the layer; 0 after an error. */
    readonly bytes: number;
  }): void;
  /** The size of the store now, without layers being made. */
  blobStore(size: { readonly bytes: number; readonly blobs: number }): void;
  /** A blob had to give way; its size in bytes. */
  eviction(bytes: number): void;
  /** So many requests for tags wait for their image now. */
  waiting(requests: number): void;
  /** What came of so many images of a plan that nobody had asked for yet. */
  readAhead(outcome: ReadAheadOutcome, images: number): void;
}

/** `known`: it was there already; `dropped`: nobody asked for the plan's images any more before it was begun. */
export type ReadAheadOutcome = "converted" | "known" | "failed" | "dropped";

/** Hears all and does nothing. */
export const silentImagesObserver: ImagesObserver = {
  conversion: () => undefined,
  blobStore: () => undefined,
  eviction: () => undefined,
  waiting: () => undefined,
  readAhead: () => undefined,
};

/** Where a line goes now and then; pino's Logger is one. */
export interface ImagesLog {
  debug(details: object, message: string): void;
  info(details: object, message: string): void;
  warn(details: object, message: string): void;
}

/** Writes nothing. */
export const silentImagesLog: ImagesLog = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
};
