import { open, rename, rm } from "node:fs/promises";
import type { Readable } from "node:stream";

import { readableFrom } from "../resolver/content-encoding.ts";

let copies = 0;

/**
 * A NAR that is copied into a file while it is read. The file is there when all of it was read, and only then: a copy that
 * fails, for want of room or whatever it is, is given up, and reading goes on.
 *
 * @param source as the cache has it, compressed.
 */
export function copyNar(source: Readable, file: string): Readable {
  return readableFrom(copied(source, file, `${file}.${copies++}`), source);
}

async function* copied(
  source: Readable,
  file: string,
  partial: string,
): AsyncGenerator<Uint8Array, void, undefined> {
  let copy = await open(partial, "wx").catch(() => undefined);
  const giveUp = async (): Promise<void> => {
    const given = copy;
    copy = undefined;
    await given?.close().catch(() => undefined);
    await rm(partial, { force: true }).catch(() => undefined);
  };
  try {
    for await (const chunk of source as AsyncIterable<Uint8Array>) {
      await copy?.appendFile(chunk).catch(giveUp);
      yield chunk;
    }
    await copy?.close().catch(giveUp);
    if (copy !== undefined) await rename(partial, file).catch(giveUp);
    copy = undefined;
  } finally {
    await giveUp();
  }
}
