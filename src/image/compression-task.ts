import type { MessagePort } from "node:worker_threads";

import type { Programs } from "../compression/programs.ts";
import type { StorePath } from "../nix/store-path.ts";
import type { NarLimits } from "../resolver/open-nar.ts";
import type { CompressedLayer } from "./compressed-layer-writer.ts";
import type { ErrorData } from "./conversion-task.ts";
import type { ElfMachine } from "./elf-machines.ts";
import type { LayerPart } from "./layer.ts";
import type { LayerCompression } from "./layer-compression.ts";

/** What a worker that makes compressed layers is given. Plain data, but for the port, which is transferred. */
export interface CompressionTask {
  /** Is made by the worker; whatever is left of it after a failure is the caller's to remove. */
  readonly file: string;
  readonly parts: readonly LayerPart[];
  readonly compression: LayerCompression;
  readonly programs: Programs;
  /** Other time limits for NARs than the usual ones. */
  readonly narLimits?: NarLimits | undefined;
  readonly port: MessagePort;
}

/** What is said to the worker: to end. */
export interface CompressionAbort {
  readonly error: ErrorData;
}

/** What the worker says while it works. */
export interface CompressionProgress {
  /** Bytes of the tar so far; fewer than before when it had to begin anew. */
  readonly tarSize: number;
}

/** A layer that was made. */
export interface PushedLayer extends CompressedLayer {
  /** What the ELF files in it are for. */
  readonly machine: ElfMachine;
}

/** How it ended. */
export type CompressionResult =
  | { readonly layer: PushedLayer }
  | {
      readonly error: ErrorData;
      /** Paths whose NAR a cache did not have, although it has their narinfo. */
      readonly missing: readonly StorePath[];
    };
