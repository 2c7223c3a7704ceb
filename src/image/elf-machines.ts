import type { NarVisitor } from "../nix/nar-reader.ts";

/** For which processors the programs of a layer are: what its ELF files say. */
export type ElfMachine = (typeof elfMachines)[number];

/** All that a layer's programs can be for. */
export const elfMachines = ["none", "x86_64", "aarch64", "both"] as const;

/** Bytes of an ELF header up to its machine: the same in files of 32 and of 64 bits (gABI, "ELF Header"). */
const headerBytes = 20;
const magic = Buffer.from("\x7fELF", "latin1");
const dataAt = 5;
const machineAt = 18;
const littleEndian = 1;

/** EM_X86_64 and EM_AARCH64; files for any other machine say nothing of these two. */
const machines: ReadonlyMap<number, "x86_64" | "aarch64"> = new Map([
  [62, "x86_64"],
  [183, "aarch64"],
]);

/** What two parts are together. */
export function joinMachines(a: ElfMachine, b: ElfMachine): ElfMachine {
  if (a === b || b === "none") return a;
  return a === "none" ? b : "both";
}

/** Looks at the first bytes of each regular file of a NAR as it passes. */
export class ElfMachines implements NarVisitor {
  readonly #next: NarVisitor;
  readonly #header = Buffer.alloc(headerBytes);
  #has = 0;
  #machine: ElfMachine = "none";

  constructor(next: NarVisitor) {
    this.#next = next;
  }

  /** Of all files so far. */
  get machine(): ElfMachine {
    return this.#machine;
  }

  directory(path: Uint8Array): void {
    this.#next.directory(path);
  }

  regular(path: Uint8Array, executable: boolean, size: number): void {
    this.#has = 0;
    this.#next.regular(path, executable, size);
  }

  contents(chunk: Uint8Array): void {
    if (this.#has < headerBytes) this.#take(chunk);
    this.#next.contents(chunk);
  }

  endRegular(): void {
    this.#next.endRegular();
  }

  symlink(path: Uint8Array, target: Uint8Array): void {
    this.#next.symlink(path, target);
  }

  #take(chunk: Uint8Array): void {
    const start = chunk.subarray(0, headerBytes - this.#has);
    this.#header.set(start, this.#has);
    this.#has += start.length;
    if (this.#has < headerBytes || !magic.equals(this.#header.subarray(0, magic.length))) return;
    const number =
      this.#header[dataAt] === littleEndian
        ? this.#header.readUInt16LE(machineAt)
        : this.#header.readUInt16BE(machineAt);
    this.#machine = joinMachines(this.#machine, machines.get(number) ?? "none");
  }
}
