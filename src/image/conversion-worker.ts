/**
 * Runs in worker threads: makes layers from NARs. Decompressing and hashing take all of a core; the registry and the
 * webhook answer meanwhile.
 */
import { type FileHandle, open as openFile } from "node:fs/promises";
import type { MessagePort } from "node:worker_threads";

import { type NixClosureError, toNixClosureError } from "../errors.ts";
import type { StorePath } from "../nix/store-path.ts";
import { systemClock } from "../resolver/clock.ts";
import { nameNar } from "../resolver/name-path.ts";
import {
  type ConversionMessage,
  type ConversionResult,
  type ConversionTask,
  fromErrorData,
  type GrowthRequest,
  toErrorData,
} from "./conversion-task.ts";
import { type DecodedNar, openDecodedNar } from "./decoded-nar.ts";
import { diskError } from "./disk-error.ts";
import { addNar, type LayerPart } from "./layer.ts";
import { type Layer, LayerWriter } from "./layer-writer.ts";
import { type NarAttempt, NarsAhead } from "./nars-ahead.ts";

/** Makes one layer. */
export async function convert(task: ConversionTask): Promise<ConversionResult> {
  const channel = new Channel(task.port, task.granted);
  const missing: StorePath[] = [];
  let file: FileHandle | undefined;
  try {
    file = await openNew(task.file);
    const writer = new LayerWriter(file, (size) => channel.allow(size));
    return { layer: await writeLayer(writer, task, channel.signal, missing) };
  } catch (error) {
    return { error: toErrorData(channel.signal.aborted ? channel.signal.reason : error), missing };
  } finally {
    await file?.close().catch(() => undefined);
    channel.close();
  }
}

async function openNew(file: string): Promise<FileHandle> {
  try {
    return await openFile(file, "wx");
  } catch (error) {
    throw diskError("make a file", error);
  }
}

async function writeLayer(
  writer: LayerWriter,
  task: ConversionTask,
  signal: AbortSignal,
  missing: StorePath[],
): Promise<Layer> {
  const { parts } = task;
  const ahead = new NarsAhead(parts, {
    open: async (location, until) => openDecodedNar(location, until, task),
    signal,
    clock: systemClock,
  });
  try {
    for (const part of parts) {
      signal.throwIfAborted();
      await addFromAnyCache(writer, part, { ahead, signal, missing });
    }
  } finally {
    ahead.close();
  }
  return writer.finish();
}

interface Conversion {
  readonly ahead: NarsAhead<DecodedNar>;
  readonly signal: AbortSignal;
  readonly missing: StorePath[];
}

/** Tries one location after the other; what a failed one has left is taken back. */
async function addFromAnyCache(writer: LayerWriter, part: LayerPart, conversion: Conversion): Promise<void> {
  const { ahead, signal, missing } = conversion;
  const start = writer.checkpoint();
  const errors: NixClosureError[] = [];
  for (const attempt of ahead.attempts(part)) {
    try {
      await addFrom(writer, part, attempt);
      return;
    } catch (cause) {
      const error = toNixClosureError(cause);
      // No other cache helps.
      if (signal.aborted || isOurs(error)) throw error;
      if (error.code === "NAR_MISSING") missing.push(part.storePath);
      errors.push(nameNar(error, attempt.location));
      await writer.rollBack(start);
    }
  }
  // With one that can pass, trying again makes sense; else the first cache's is the most telling.
  throw (
    errors.find((error) => error.temporary) ?? errors[0] ?? new Error(`${part.storePath} has no location`)
  );
}

async function addFrom(
  writer: LayerWriter,
  part: LayerPart,
  { location, open }: NarAttempt<DecodedNar>,
): Promise<void> {
  const nar = await open();
  try {
    const { contentAddress = [] } = location;
    const contentAddresses = [...new Set(part.contentAddresses.concat(contentAddress))];
    await addNar(writer, nar.chunks, location, { name: part.name, contentAddresses });
  } finally {
    nar.destroy();
  }
}

const ours: ReadonlySet<string> = new Set(["DISK_FAILED", "BLOB_BUDGET_EXHAUSTED", "INTERNAL"]);

function isOurs(error: NixClosureError): boolean {
  return ours.has(error.code);
}

/** The way to whoever ordered the conversion. */
class Channel {
  readonly #port: MessagePort;
  readonly #abort = new AbortController();
  #granted: number;
  #waiting: { readonly resolve: () => void; readonly reject: (error: Error) => void } | undefined;

  constructor(port: MessagePort, granted: number) {
    this.#port = port;
    this.#granted = granted;
    port.on("message", (message: ConversionMessage) => this.#onMessage(message));
  }

  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  /** Waits until the layer may have so many bytes. One call at a time. */
  async allow(size: number): Promise<void> {
    this.signal.throwIfAborted();
    if (size <= this.#granted) return;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#waiting = { resolve, reject };
    this.#port.postMessage({ size } satisfies GrowthRequest, []);
    await promise;
  }

  close(): void {
    this.#port.close();
  }

  #onMessage(message: ConversionMessage): void {
    switch (message.type) {
      case "granted":
        this.#granted = message.size;
        this.#waiting?.resolve();
        break;
      case "refused":
        this.#waiting?.reject(fromErrorData(message.error));
        break;
      case "abort": {
        const error = fromErrorData(message.error);
        this.#abort.abort(error);
        this.#waiting?.reject(error);
        break;
      }
    }
  }
}
