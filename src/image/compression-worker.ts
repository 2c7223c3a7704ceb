/**
 * Runs in worker threads: makes compressed layers from NARs, to be pushed.
 */
import { type FileHandle, open as openFile } from "node:fs/promises";
import type { MessagePort } from "node:worker_threads";

import { fileUnwritable } from "../errors.ts";
import type { StorePath } from "../nix/store-path.ts";
import { CompressedLayerMaker } from "./compressed-layer-maker.ts";
import type { CompressionAbort, CompressionResult, CompressionTask } from "./compression-task.ts";
import { fromErrorData, toErrorData } from "./conversion-task.ts";

/** Makes one layer. */
export async function compress(task: CompressionTask): Promise<CompressionResult> {
  const missing = new Set<StorePath>();
  const signal = abortOf(task.port);
  let handle: FileHandle | undefined;
  try {
    handle = await openNew(task.file);
    const maker = new CompressedLayerMaker(task, handle, { signal, missing });
    return { layer: await maker.make() };
  } catch (error) {
    return { error: toErrorData(signal.aborted ? signal.reason : error), missing: [...missing] };
  } finally {
    await handle?.close().catch(() => undefined);
    task.port.close();
  }
}

function abortOf(port: MessagePort): AbortSignal {
  const abort = new AbortController();
  port.on("message", ({ error }: CompressionAbort) => abort.abort(fromErrorData(error)));
  return abort.signal;
}

async function openNew(file: string): Promise<FileHandle> {
  try {
    return await openFile(file, "wx");
  } catch (error) {
    throw fileUnwritable(file, error instanceof Error ? error.message : String(error)).causedBy(error);
  }
}
