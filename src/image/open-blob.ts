import type { FileHandle } from "node:fs/promises";

import { type BlobRange, BlobStream, DigestCheck, FileCheck } from "./blob-stream.ts";
import type { OpenBlob } from "./images.ts";
import { reuseBuffer } from "./read-buffers.ts";
import type { StoredBlob } from "./stored-blob.ts";

/**
 * A blob and its open file, for a reader.
 *
 * @param on `damaged`: what was read is not what it should be, of which the reader hears as well; `closed`: it is, once,
 *   and whether all of it went out before.
 */
export function openBlob(
  blob: StoredBlob,
  file: FileHandle,
  mediaType: string,
  on: { readonly damaged: () => void; readonly closed: (wasSent: boolean) => void },
): OpenBlob {
  const { digest, size } = blob;
  const whole = { start: 0, end: size - 1 };
  let isOpen = true;
  let wasSent = false;
  return {
    size,
    mediaType,
    read(range: BlobRange = whole) {
      const isWhole = range.start === whole.start && range.end === whole.end;
      const check =
        isWhole && blob.isDue
          ? new DigestCheck(digest, { match: () => blob.wasHashed(), mismatch: on.damaged })
          : new FileCheck(digest, () => blob.isGood(file), on.damaged);
      const stream = new BlobStream(file, range, check);
      if (!isWhole) return stream;
      stream.once("end", () => {
        wasSent = true;
      });
      return stream;
    },
    reuse: reuseBuffer,
    async close() {
      if (!isOpen) return;
      isOpen = false;
      on.closed(wasSent);
      await file.close();
    },
  };
}
