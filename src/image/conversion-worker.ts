/**
 * Runs in worker threads: makes layers from NARs. Decompressing and hashing take all of a core; the registry and the
 * webhook answer meanwhile.
 */
import { type FileHandle, open as openFile } from "node:fs/promises";

import { type NixClosureError, toNixClosureError } from "../errors.ts";
import type { StorePath } from "../nix/store-path.ts";
import { systemClock } from "../resolver/clock.ts";
import { nameNar } from "../resolver/name-path.ts";
import { ConversionChannel } from "./conversion-channel.ts";
import { type ConversionResult, type ConversionTask, toErrorData } from "./conversion-task.ts";
import { type DecodedNar, openDecodedNar } from "./decoded-nar.ts";
import { diskError } from "./disk-error.ts";
import type { LayerPart } from "./layer.ts";
import { type Layer, LayerWriter } from "./layer-writer.ts";
import { addNarFrom, isOurs, mostTelling } from "./nar-input.ts";
import { NarsAhead } from "./nars-ahead.ts";

/** Makes one layer. */
export async function convert(task: ConversionTask): Promise<ConversionResult> {
  const channel = new ConversionChannel(task.port, task.granted);
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
      await addNarFrom(writer, part, attempt);
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
  throw mostTelling(errors, part);
}
