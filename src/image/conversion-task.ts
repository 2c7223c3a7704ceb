import type { MessagePort } from "node:worker_threads";

import { errorKinds, internal, NixClosureError, toNixClosureError } from "../errors.ts";
import type { StorePath } from "../nix/store-path.ts";
import type { NarLimits } from "../resolver/open-nar.ts";
import type { LayerPart } from "./layer.ts";
import type { Layer } from "./layer-writer.ts";
import type { Programs } from "../compression/programs.ts";

/** What a conversion worker is given. All of it is plain data, but for the port, which is transferred. */
export interface ConversionTask {
  /** Is made by the worker; whatever is left of it after a failure is the caller's to remove. */
  readonly file: string;
  readonly parts: readonly LayerPart[];
  readonly programs: Programs;
  /** Other time limits for NARs than the usual ones. */
  readonly narLimits?: NarLimits | undefined;
  /** Bytes that the layer may have before more are asked for. */
  readonly granted: number;
  readonly port: MessagePort;
}

/** What the worker says while it converts. */
export interface GrowthRequest {
  /** Bytes that the layer will have in all. */
  readonly size: number;
}

/** What is said to the worker while it converts. */
export type ConversionMessage =
  | { readonly type: "abort"; readonly error: ErrorData }
  | { readonly type: "granted"; readonly size: number }
  | { readonly type: "refused"; readonly error: ErrorData };

/** How a conversion ended. An error thrown in a worker would arrive without its kind. */
export type ConversionResult =
  | { readonly layer: Layer }
  | {
      readonly error: ErrorData;
      /** Paths whose NAR a cache did not have, although it has their narinfo. */
      readonly missing: readonly StorePath[];
    };

/** A NixClosureError as plain data. */
export interface ErrorData {
  readonly code: string;
  readonly message: string;
  /** The causes' messages, for the log. */
  readonly causes: readonly string[];
}

const maxCauses = 5;

/** An error as plain data. */
export function toErrorData(error: unknown): ErrorData {
  const { code, message, cause } = toNixClosureError(error);
  const causes: string[] = [];
  for (let next: unknown = cause; next instanceof Error && causes.length < maxCauses; next = next.cause) {
    causes.push(next.message);
  }
  return { code, message, causes };
}

/** The error that became {@link ErrorData}. */
export function fromErrorData(data: ErrorData): NixClosureError {
  const cause = data.causes.reduceRight<Error | undefined>(
    (inner, message) => new Error(message, { cause: inner }),
    undefined,
  );
  const kind = errorKinds.get(data.code);
  if (kind === undefined) return internal(data.message).causedBy(cause);
  return new NixClosureError(kind, data.message, { cause });
}
