import { type ChildProcessByStdio, spawn } from "node:child_process";
import type { Readable, Writable } from "node:stream";
import { finished, pipeline } from "node:stream/promises";

import { freeMemory } from "./free-memory.ts";

/** How a program is used as a filter. */
export interface Filter {
  readonly args: readonly string[];
  /** Looks at the first bytes (at least 4 where there are so many) before the program does. */
  readonly starts?: (start: Uint8Array) => boolean;
}

type Child = ChildProcessByStdio<Writable, Readable, Readable>;

/** Longest message of a program that is kept, in characters. */
const maxMessage = 500;

/**
 * Decompresses with a child process. It has ended when the generator has, whatever way: a program that still runs then,
 * or when the signal aborts, is killed.
 *
 * A chunk is there until the next one is asked for.
 *
 * Anything on its standard error is a failure, for bzip2 tells of bytes after the end there and exits with 0.
 */
export async function* decompressWithProgram(
  program: string,
  filter: Filter,
  input: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, void, undefined> {
  // An empty environment: XZ_OPT, BZIP2 and the like change what these programs do.
  const child = spawn(program, filter.args, { stdio: ["pipe", "pipe", "pipe"], env: { LC_ALL: "C" } });
  const kill = (): void => void child.kill("SIGKILL");
  signal.addEventListener("abort", kill, { once: true });
  const ended = endOf(child);
  const message = firstLine(child.stderr);
  const fed = feed(filter.starts === undefined ? input : checkStart(input, filter.starts), child.stdin);
  try {
    yield* gathered(child.stdout);
    const outcome = await ended;
    const failure = await fed;
    // A program that gives up stops reading first, so its own words come before those of the pipe.
    const words = (await message) || (outcome === 0 ? "" : `${program} ended with ${outcome}`);
    if (failure?.isOurs === true) throw failure.error;
    if (words !== "") throw new Error(words);
    if (failure !== undefined) throw new Error("there is data after its end", { cause: failure.error });
  } finally {
    signal.removeEventListener("abort", kill);
    kill();
    child.stdin.destroy();
    child.stdout.destroy();
    // Not for its input: who stops early destroys that next, until then its next chunk may be long in coming.
    await ended.catch(() => undefined);
  }
}

/** The most that Node.js reads at a time, in bytes. */
const maxRead = 64 * 1024;
/** Bytes of output that are gathered before they are passed on: xz writes 8 KiB at a time. */
const enoughOutput = 64 * 1024;
const gatheredOutput = enoughOutput + 3 * maxRead;

/**
 * What a stream reads, in larger pieces: to wait for each chunk takes as long as to work on it. One buffer is filled
 * while the reader has the other.
 */
async function* gathered(stream: Readable): AsyncGenerator<Uint8Array, void, undefined> {
  let filling = Buffer.allocUnsafeSlow(gatheredOutput);
  let other = Buffer.allocUnsafeSlow(gatheredOutput);
  let filled = 0;
  let ended = false;
  let wake = (): void => undefined;
  const end = finished(stream, { writable: false }).finally(() => {
    ended = true;
    wake();
  });
  // It is awaited below, unless the reader stops early.
  end.catch(() => undefined);
  stream.on("data", (chunk: Uint8Array<ArrayBuffer>) => {
    if (filled + chunk.length > filling.length) filling = enlarged(filling, filled + chunk.length);
    filling.set(chunk, filled);
    filled += chunk.length;
    freeMemory(chunk);
    if (filled + maxRead > filling.length) stream.pause();
    if (filled >= enoughOutput) wake();
  });
  for (;;) {
    if (!ended && filled < enoughOutput) await new Promise<void>((resolve) => (wake = resolve));
    if (filled === 0) break;
    const ready = filling.subarray(0, filled);
    [filling, other] = [other, filling];
    filled = 0;
    stream.resume();
    yield ready;
  }
  await end;
}

/**
 * A buffer with more room. When a program ends, Node.js has its output flow, whoever has paused it (flushStdio in
 * lib/internal/child_process.js): what is left in the pipe then comes at once.
 */
function enlarged(buffer: Buffer<ArrayBuffer>, size: number): Buffer<ArrayBuffer> {
  const larger = Buffer.allocUnsafeSlow(size + maxRead);
  larger.set(buffer);
  return larger;
}

/** Exit code, or the signal's name; rejects if the program could not be started. */
function endOf(child: Child): Promise<number | string> {
  const { promise, resolve, reject } = Promise.withResolvers<number | string>();
  child.once("error", reject);
  child.once("close", (code, signal) => resolve(code ?? signal ?? "no exit code"));
  // It is awaited later, and not at all when the output fails first.
  promise.catch(() => undefined);
  return promise;
}

interface FeedFailure {
  readonly error: unknown;
  /** The input failed, not the pipe to the program. */
  readonly isOurs: boolean;
}

async function feed(input: AsyncIterable<Uint8Array>, stdin: Writable): Promise<FeedFailure | undefined> {
  let isOurs = false;
  try {
    await pipeline(async function* () {
      try {
        yield* input;
      } catch (error) {
        isOurs = true;
        throw error;
      }
    }, stdin);
    return undefined;
  } catch (error) {
    return { error, isOurs };
  }
}

async function* checkStart(
  input: AsyncIterable<Uint8Array>,
  starts: (start: Uint8Array) => boolean,
): AsyncGenerator<Uint8Array, void, undefined> {
  let held: Uint8Array | undefined = new Uint8Array();
  for await (const chunk of input) {
    if (held === undefined) {
      yield chunk;
      continue;
    }
    held = held.length === 0 ? chunk : Buffer.concat([held, chunk]);
    if (held.length < 4) continue;
    if (!starts(held)) throw new Error("it does not start as this format does");
    yield held;
    held = undefined;
  }
  if (held !== undefined) throw new Error("unexpected end of file");
}

async function firstLine(stderr: Readable): Promise<string> {
  let text = "";
  try {
    for await (const chunk of stderr as AsyncIterable<Uint8Array>) {
      // All is read, so that the program does not wait for it; only the start is kept.
      if (text.length < maxMessage) text += Buffer.from(chunk).toString("latin1");
    }
  } catch {
    // Its pipe breaks when the program is killed.
  }
  return (/[^\s][^\n]*/.exec(text)?.[0] ?? "").trim().slice(0, maxMessage);
}
