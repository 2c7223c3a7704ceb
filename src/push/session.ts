import { hkdfSync } from "node:crypto";
import { availableParallelism } from "node:os";

import type { ClosureName } from "../closure-index/closure-name.ts";
import { findPrograms } from "../compression/programs.ts";
import type { LayerCompression } from "../image/layer-compression.ts";
import { LayerConverter } from "../image/layer-converter.ts";
import type { SecretKey } from "../nix/secret-key.ts";
import { Repository, type RepositoryOptions } from "../registry-client/repository.ts";
import type { Resolver } from "../resolver/resolver.ts";
import { Blobs } from "./blobs.ts";
import { LayerMemo } from "./layer-memo.ts";
import { Layers } from "./layers.ts";
import { type PushedName, pushName } from "./name.ts";
import { type PushedClosure, type PushObserver, pushClosure, type PushRequest } from "./push.ts";
import { SharedNars } from "./shared-nars.ts";
import { SpoolBudget } from "./spool-budget.ts";
import { Tally } from "./tally.ts";

export interface SessionOptions extends Omit<RepositoryOptions, "signal" | "access"> {
  readonly resolver: Resolver;
  /** Where it finds the closures. */
  readonly source: string;
  /** Whether that has caches over HTTP. */
  readonly remote: boolean;
  readonly compression: LayerCompression;
  /** Repositories of the same host that may have layers already. */
  readonly mountFrom: readonly string[];
  readonly dryRun: boolean;
  readonly force: boolean;
  readonly signKey: SecretKey | undefined;
  /** Where what is known of layers is kept. */
  readonly memoDirectory: string;
  /** Of this push alone. */
  readonly scratchDirectory: string;
  /** PATH, where decompression programs are looked for. */
  readonly path: string | undefined;
  /** Layers that are made at a time. */
  readonly workers?: number;
  /** Ends everything. */
  readonly signal: AbortSignal;
  readonly observer: PushObserver;
}

/** As many as libuv has threads for zstd, which takes some megabytes for each; gzip has a thread of ours for each, with 40. */
const maxWorkers: Readonly<Record<LayerCompression, number>> = { zstd: 4, gzip: 2, none: 4 };
/** Bytes of layers that wait to be sent. */
const spoolBytes = 1024 ** 3;
/** Bytes of NARs that are copied for another layer. */
const copiedBytes = 1024 ** 3;

/** One run of a push: closures that go to one repository one after the other, and share their layers. */
export class PushSession implements AsyncDisposable {
  readonly tally = new Tally();
  readonly #options: SessionOptions;
  readonly #repository: Repository;
  readonly #converter: LayerConverter;
  readonly #blobs: Blobs;
  readonly #layers: Layers;
  readonly #memo: LayerMemo;
  readonly #stop = new AbortController();
  readonly #signal: AbortSignal;

  private constructor(options: SessionOptions, converter: LayerConverter, workers: number) {
    const { mountFrom, dryRun, force, signKey, memoDirectory, scratchDirectory, host } = options;
    const { tally } = this;
    const signal = AbortSignal.any([options.signal, this.#stop.signal]);
    this.#signal = signal;
    this.#options = options;
    this.#converter = converter;
    this.#repository = new Repository({ ...options, signal, access: dryRun ? "pull" : "push" });
    this.#blobs = new Blobs({
      repository: this.#repository,
      host,
      name: options.repository,
      mountFrom,
      dryRun,
      tally,
      signal,
    });
    this.#memo = new LayerMemo(memoDirectory, memoSecret(signKey));
    this.#layers = new Layers({
      blobs: this.#blobs,
      memo: this.#memo,
      converter,
      workers,
      spool: new SpoolBudget(spoolBytes),
      nars: new SharedNars({
        directory: scratchDirectory,
        maxBytes: copiedBytes,
        remote: options.remote,
      }),
      directory: scratchDirectory,
      tally,
      dryRun,
      force,
      signal,
    });
  }

  static async open(options: SessionOptions): Promise<PushSession> {
    const { resolver, source, compression, path } = options;
    const { workers = Math.min(maxWorkers[compression], availableParallelism()) } = options;
    const programs = await findPrograms(path);
    const converter = new LayerConverter({ resolver, source, compression, workers, programs });
    return new PushSession(options, converter, workers);
  }

  /**
   * Puts a closure into the repository.
   *
   * @throws what pushClosure throws
   */
  async push(request: PushRequest): Promise<PushedClosure> {
    const { resolver, source, compression, force, signKey, observer } = this.#options;
    return pushClosure(request, {
      resolver,
      source,
      compression,
      force,
      signKey,
      converter: this.#converter,
      repository: this.#repository,
      blobs: this.#blobs,
      layers: this.#layers,
      signal: this.#signal,
      observer,
    });
  }

  /**
   * Puts a name over closures that were pushed with a store image of all paths.
   *
   * @throws what pushName throws
   */
  async pushName(name: ClosureName, closures: readonly PushedClosure[]): Promise<PushedName> {
    const { force, signKey, observer } = this.#options;
    return pushName(name, closures, {
      repository: this.#repository,
      blobs: this.#blobs,
      signKey,
      force,
      signal: this.#signal,
      warn: (text) => observer.warn(text),
    });
  }

  /** Why what was made could not be remembered for the next push; undefined: it could. */
  get memoFailure(): string | undefined {
    const { failure } = this.#memo;
    return failure instanceof Error ? failure.message : undefined;
  }

  /** Ends what is under way, waits for it, and closes all connections. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort(new Error("the push is over"));
    await this.#converter.close();
    await this.#layers.settle();
    await this.#repository.close();
  }
}

/** What authenticates the memo to whoever has the signing key; none to everybody without one. */
function memoSecret(key: SecretKey | undefined): Uint8Array {
  if (key === undefined) return new Uint8Array();
  const { d = "" } = key.key.export({ format: "jwk" });
  return new Uint8Array(hkdfSync("sha256", Buffer.from(d, "base64url"), "", "nix-closure layer memo", 32));
}
