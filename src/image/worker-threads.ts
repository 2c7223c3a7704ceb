import { extname } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { MessageChannel, type MessagePort } from "node:worker_threads";

import { Piscina } from "piscina";

import { internal, shuttingDown } from "../errors.ts";
import { type ErrorData, toErrorData } from "./conversion-task.ts";

/** Threads that wait for work this long (milliseconds) end, and give back their memory. */
const idleTimeout = 30_000;
/** Nearly all that a conversion makes is of use for a moment: with more room the collector would only come later. */
const maxYoungGenerationSizeMb = 6;
/** How long (milliseconds) a conversion may take to notice that it is to end; a block of bzip2 takes a second. */
const abortTimeout = 5_000;

export interface WorkerThreadsOptions {
  /** Name of the module beside this one, without its ending, that the threads load. */
  readonly module: string;
  /** The function that it exports. */
  readonly name: string;
  /** Threads, at most. */
  readonly workers: number;
  /** Tasks that a thread runs at a time; one where it is left out. */
  readonly tasksPerWorker?: number;
}

/** One run in a thread, as its owner sees it. */
export interface RunOptions<Task, Word> {
  /** The task with the port that it talks over. */
  readonly task: (port: MessagePort) => Task;
  /** Hears what the thread says. */
  readonly hear: (word: Word, say: (message: object) => void) => void;
  /** What is said to the thread when it is to end; then it has some seconds. */
  readonly abort: (error: ErrorData) => object;
  readonly signal?: AbortSignal | undefined;
}

/** Runs tasks in worker threads that are there while there is work. */
export class WorkerThreads<Task, Result, Word> {
  readonly #pool: Piscina<Task, Result>;
  readonly #name: string;
  readonly #runs = new Map<AbortController, Promise<Result>>();
  readonly #closing = new AbortController();

  constructor({ module, name, workers, tasksPerWorker = 1 }: WorkerThreadsOptions) {
    // The worker has this file's extension: .ts in the source, .js once it is compiled.
    const worker = new URL(`./${module}${extname(import.meta.url)}`, import.meta.url);
    this.#name = name;
    this.#pool = new Piscina({
      filename: fileURLToPath(worker),
      name,
      minThreads: 0,
      maxThreads: workers,
      concurrentTasksPerWorker: tasksPerWorker,
      idleTimeout,
      resourceLimits: { maxYoungGenerationSizeMb },
      // Piscina's own way of waiting stops the thread's event loop, and with it the closing of idle connections.
      atomics: "disabled",
    });
    this.#pool.on("error", (error: unknown) => this.#onIdleFailure(error));
  }

  /** @throws internal if the thread ends, shuttingDown after `close`, the signal's reason before it begins */
  async run({ task, hear, abort, signal }: RunOptions<Task, Word>): Promise<Result> {
    const { port1: port, port2 } = new MessageChannel();
    const say = (message: object): void => port.postMessage(message, []);
    const stopping =
      signal === undefined ? this.#closing.signal : AbortSignal.any([this.#closing.signal, signal]);
    const stop = (): void => say(abort(toErrorData(stopping.reason)));
    port.on("message", (word: Word) => hear(word, say));
    stopping.addEventListener("abort", stop, { once: true });
    try {
      stopping.throwIfAborted();
      return await this.#runInThread(task(port2), port2);
    } finally {
      stopping.removeEventListener("abort", stop);
      port.close();
    }
  }

  /** Aborts what runs, and ends the threads. */
  async close(): Promise<void> {
    this.#closing.abort(shuttingDown());
    const over = new AbortController();
    const timeout = delay(abortTimeout, undefined, { signal: over.signal }).catch(() => undefined);
    await Promise.race([Promise.allSettled(this.#runs.values()), timeout]);
    over.abort();
    await this.#pool.destroy();
  }

  async #runInThread(task: Task, port: MessagePort): Promise<Result> {
    const stop = new AbortController();
    const run = this.#pool.run(task, { name: this.#name, transferList: [port], signal: stop.signal });
    this.#runs.set(stop, run);
    try {
      return await run;
    } catch (error) {
      // The thread itself ended, by itself or by `stop`.
      throw internal("a conversion thread ended").causedBy(stop.signal.aborted ? stop.signal.reason : error);
    } finally {
      this.#runs.delete(stop);
    }
  }

  /** A thread failed that ran nothing. If it was the last one, it failed to start, and nobody runs what waits. */
  #onIdleFailure(error: unknown): void {
    if (this.#pool.threads.length > 0) return;
    for (const stop of this.#runs.keys()) stop.abort(error);
  }
}
