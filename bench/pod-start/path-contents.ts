import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { writeNar, type NarNode } from "../../test/nix/nar-writer.ts";
import { numbers } from "../synthetic-graph.ts";
import type { SyntheticPath } from "../synthetic-paths.ts";

/** Bytes of a path's files; each is a file more, as libraries, headers and pages of a program are. */
const bytesPerFile = 32 * 1024;
const maxFiles = 400;

/** What files are filled with: the machine code and tables of this Node, which compress as programs do. */
let program: Buffer | undefined;

/**
 * Bytes of content for a path: half a kilobyte to 16 megabytes, most of them small, on average 0.8 megabytes.
 *
 * @param storePath decides
 */
export function contentSize(storePath: string): number {
  const share = createHash("sha256").update(`size of ${storePath}`).digest().readUInt16LE(0) / 65536;
  return 512 + 8 * Math.floor(2 ** (6 + 15 * share ** 2));
}

/** The NAR of a path with so many bytes of content: the same on every machine with the same Node. */
export function syntheticNar({ storePath, type }: SyntheticPath, bytes: number): Buffer {
  const next = numbers(createHash("sha256").update(storePath).digest().readUInt32LE(0));
  if (type === "regular") return writeNar({ type, contents: slice(next, bytes) });
  const count = Math.min(maxFiles, Math.max(1, Math.round(bytes / bytesPerFile)));
  const weights = Array.from({ length: count }, () => 0.1 + next() ** 3);
  const whole = weights.reduce((sum, weight) => sum + weight, 0);
  const files = weights.map((weight, index): readonly [Buffer, NarNode] => [
    Buffer.from(`file-${String(index).padStart(3, "0")}`),
    {
      type: "regular",
      executable: index % 4 === 0,
      contents: slice(next, Math.ceil((bytes * weight) / whole)),
    },
  ]);
  return writeNar({
    type: "directory",
    entries: [[Buffer.from("lib"), { type: "directory", entries: files }]],
  });
}

function slice(next: () => number, length: number): Buffer {
  program ??= readFileSync(process.execPath);
  const start = Math.floor(next() * Math.max(1, program.length - length));
  return program.subarray(start, start + length);
}
