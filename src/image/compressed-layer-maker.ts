import { type FileHandle, rm } from "node:fs/promises";

import { type NixClosureError, toNixClosureError } from "../errors.ts";
import type { StorePath } from "../nix/store-path.ts";
import { systemClock } from "../resolver/clock.ts";
import type { NarLocation } from "../resolver/nar-location.ts";
import { nameNar } from "../resolver/name-path.ts";
import { CompressedLayerWriter, writeToFile } from "./compressed-layer-writer.ts";
import type { CompressionProgress, CompressionTask, PushedLayer } from "./compression-task.ts";
import { ElfMachines, type ElfMachine, joinMachines } from "./elf-machines.ts";
import type { LayerPart, LayerSink } from "./layer.ts";
import { type DecodedNar, openDecodedNar } from "./decoded-nar.ts";
import { addNarFrom, isOurs, mostTelling } from "./nar-input.ts";
import { type NarAttempt, NarsAhead } from "./nars-ahead.ts";

/** Bytes of the tar between two words about how far it is. */
const progressStep = 2 ** 20;

/** A NAR was wrong when a part of it was in the layer already, where nothing can be taken back: another cache may help. */
class SpoiltLayer extends Error {
  override readonly name = "SpoiltLayer";
  readonly part: LayerPart;
  readonly location: NarLocation;

  constructor(part: LayerPart, location: NarLocation) {
    super(`the NAR of ${part.storePath} is wrong`);
    this.part = part;
    this.location = location;
  }
}

/**
 * Makes one layer, and begins anew where a cache's NAR turns out to be wrong. That cache is then the last one to be
 * asked for anything, so that there are no more beginnings than caches.
 */
export class CompressedLayerMaker {
  readonly #task: CompressionTask;
  readonly #file: FileHandle;
  readonly #signal: AbortSignal;
  readonly #missing: Set<StorePath>;
  /** What was wrong with the locations of each path. */
  readonly #errors = new Map<StorePath, NixClosureError[]>();
  #parts: readonly LayerPart[];

  /**
   * @param file is empty, and is not closed.
   * @param missing gets the paths whose NAR a cache does not have.
   */
  constructor(
    task: CompressionTask,
    file: FileHandle,
    { signal, missing }: { readonly signal: AbortSignal; readonly missing: Set<StorePath> },
  ) {
    this.#task = task;
    this.#file = file;
    this.#signal = signal;
    this.#missing = missing;
    this.#parts = task.parts;
  }

  /** @throws the error of the NAR that could not be had from anywhere; fileUnwritable; the signal's reason */
  async make(): Promise<PushedLayer> {
    const { file, compression } = this.#task;
    for (;;) {
      const writer = new CompressedLayerWriter(writeToFile(this.#file, file), compression);
      try {
        const machine = await this.#addAll(writer);
        return { ...(await writer.finish()), machine };
      } catch (error) {
        if (!(error instanceof SpoiltLayer)) throw error;
        this.#parts = withoutSpoilt(this.#parts, error);
      } finally {
        await writer.close();
      }
      await this.#file.truncate(0);
    }
  }

  async #addAll(writer: CompressedLayerWriter): Promise<ElfMachine> {
    const { parts, programs, narLimits } = this.#task;
    const keeps = new Map(parts.map(({ locations, keep }) => [locations[0], keep]));
    const ahead = new NarsAhead(this.#parts, {
      open: async (location, until) =>
        openDecodedNar(location, until, { programs, narLimits, keep: keeps.get(location) }),
      signal: this.#signal,
      clock: systemClock,
    });
    let machine: ElfMachine = "none";
    try {
      for (const part of this.#parts) {
        this.#signal.throwIfAborted();
        machine = joinMachines(machine, await this.#add(writer, part, ahead));
      }
    } finally {
      ahead.close();
    }
    return machine;
  }

  async #add(
    writer: CompressedLayerWriter,
    part: LayerPart,
    ahead: NarsAhead<DecodedNar>,
  ): Promise<ElfMachine> {
    const sink = this.#sinkOf(writer);
    const start = writer.tarSize;
    const errors = this.#errorsOf(part.storePath);
    const attempts = withoutStale(ahead.attempts(part));
    for (const [number, attempt] of attempts.entries()) {
      let machines: ElfMachines | undefined;
      try {
        await addNarFrom(sink, part, attempt, (next) => (machines = new ElfMachines(next)));
        return machines?.machine ?? "none";
      } catch (cause) {
        const error = toNixClosureError(cause);
        // Whoever reads the copy would find the same.
        if (part.keep !== undefined) await rm(part.keep, { force: true });
        if (this.#signal.aborted || isOurs(error)) throw error;
        if (error.code === "NAR_MISSING") this.#missing.add(part.storePath);
        errors.push(nameNar(error, attempt.location));
        const isLast = number === attempts.length - 1;
        if (writer.tarSize !== start && !isLast) throw new SpoiltLayer(part, attempt.location);
      }
    }
    throw mostTelling(errors, part);
  }

  #errorsOf(path: StorePath): NixClosureError[] {
    const known = this.#errors.get(path) ?? [];
    this.#errors.set(path, known);
    return known;
  }

  #sinkOf(writer: CompressedLayerWriter): LayerSink {
    let told = writer.tarSize;
    return {
      put: (bytes) => writer.put(bytes),
      drain: async () => {
        await writer.drain();
        if (writer.tarSize - told < progressStep) return;
        told = writer.tarSize;
        this.#task.port.postMessage({ tarSize: told } satisfies CompressionProgress, []);
      },
    };
  }
}

/**
 * Without a NAR that was opened so long ago that it is there a second time: where it broke off, what it left could not be
 * taken back.
 */
function withoutStale(attempts: readonly NarAttempt<DecodedNar>[]): readonly NarAttempt<DecodedNar>[] {
  const [first, second, ...others] = attempts;
  if (first === undefined || first.location !== second?.location) return attempts;
  first.open().then(
    (nar) => nar.destroy(),
    () => undefined,
  );
  return [second, ...others];
}

/** Without the location that was wrong, and with its cache as the last one of all other parts. */
function withoutSpoilt(
  parts: readonly LayerPart[],
  { part: spoilt, location: wrong }: SpoiltLayer,
): readonly LayerPart[] {
  return parts.map((part) => {
    const isWrong = ({ cache }: NarLocation): boolean => cache === wrong.cache;
    const others = part.locations.filter((location) => !isWrong(location));
    const last = part === spoilt ? [] : part.locations.filter(isWrong);
    return { ...part, locations: [...others, ...last] };
  });
}
