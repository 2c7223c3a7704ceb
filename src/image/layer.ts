import { parseContentAddress } from "../nix/content-address.ts";
import { NarReader, type NarVisitor } from "../nix/nar-reader.ts";
import type { StorePath } from "../nix/store-path.ts";
import type { NarLocation } from "../resolver/nar-location.ts";
import { NarCheck } from "./nar-check.ts";
import { NarToTar } from "./nar-to-tar.ts";

/** A NAR of those that a layer is made of. Plain data, so that it can be posted to a worker thread. */
export interface LayerPart {
  /** Of its root in the layer; empty: the root is the layer's. */
  readonly name: string;
  readonly storePath: StorePath;
  /** Where it is, in the order to be tried. */
  readonly locations: readonly NarLocation[];
  /** Where what is read from the first location is copied, as it is there: another layer needs it too. */
  readonly keep?: string;
  /** The content addresses that the path is trusted for; its content must have all of them, from wherever it comes. */
  readonly contentAddresses: readonly string[];
}

/** Where the tar of a layer goes. */
export interface LayerSink {
  /** Takes bytes, which are copied. */
  put(bytes: Uint8Array): void;
  /** Passes on what there is enough of; is called after each chunk of a NAR. */
  drain(): Promise<void>;
}

/**
 * Adds a NAR to a layer. Memory stays flat, whatever its size.
 *
 * When this throws, a part of it may have been added.
 *
 * @param nar uncompressed.
 * @param location what the NAR must be like.
 * @throws narInvalid, narSizeMismatch, narHashMismatch, contentAddressMismatch, whiteoutName, notADirectory, diskFailed
 */
export async function addNar(
  sink: LayerSink,
  nar: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  location: NarLocation,
  options: {
    readonly name: string;
    readonly contentAddresses: readonly string[];
    /** Hears what the NAR holds, and passes it on. */
    readonly visit?: (next: NarVisitor) => NarVisitor;
  },
): Promise<void> {
  const tar = new NarToTar(location.storePath, Buffer.from(options.name), (bytes) => sink.put(bytes));
  const next = options.visit?.(tar) ?? tar;
  const check = new NarCheck(location, options.contentAddresses.map(parseContentAddress), next);
  const reader = new NarReader(check);
  for await (const chunk of nar) {
    check.update(chunk);
    reader.write(chunk);
    await sink.drain();
  }
  reader.end();
  check.finish();
}
