import { NarReader, type NarVisitor } from "../../src/nix/nar-reader.ts";
import type { NarNode } from "./nar-writer.ts";

/** What a NAR holds, flat and in its order; bytes as latin1 text. */
export type NarRecord =
  | { readonly type: "directory"; readonly path: string }
  | {
      readonly type: "regular";
      readonly path: string;
      readonly executable: boolean;
      readonly contents: string;
    }
  | { readonly type: "symlink"; readonly path: string; readonly target: string };

interface OpenFile {
  readonly path: Uint8Array;
  readonly executable: boolean;
  readonly size: number;
  readonly parts: Buffer[];
}

/** A visitor that keeps all it is told, and checks that calls come in the order that NarVisitor promises. */
export class NarRecorder implements NarVisitor {
  readonly #entries: (() => NarRecord)[] = [];
  #file: OpenFile | undefined;

  /** Made only now, so that a path buffer that was used again after the call would show. */
  get records(): readonly NarRecord[] {
    return this.#entries.map((entry) => entry());
  }

  directory(path: Uint8Array): void {
    this.#betweenFiles();
    this.#entries.push(() => ({ type: "directory", path: latin1(path) }));
  }

  regular(path: Uint8Array, executable: boolean, size: number): void {
    this.#betweenFiles();
    this.#file = { path, executable, size, parts: [] };
  }

  contents(chunk: Uint8Array): void {
    if (chunk.length === 0) throw new Error("an empty chunk of contents");
    if (this.#file === undefined) throw new Error("contents outside of a file");
    this.#file.parts.push(Buffer.from(chunk));
  }

  endRegular(): void {
    if (this.#file === undefined) throw new Error("the end of no file");
    const { path, executable, size, parts } = this.#file;
    const contents = Buffer.concat(parts);
    if (contents.length !== size) throw new Error(`${contents.length} bytes of ${size}`);
    this.#entries.push(() => ({
      type: "regular",
      path: latin1(path),
      executable,
      contents: latin1(contents),
    }));
    this.#file = undefined;
  }

  symlink(path: Uint8Array, target: Uint8Array): void {
    this.#betweenFiles();
    this.#entries.push(() => ({ type: "symlink", path: latin1(path), target: latin1(target) }));
  }

  #betweenFiles(): void {
    if (this.#file !== undefined) throw new Error("a file has not ended");
  }
}

/** Reads a whole NAR, cut into chunks of these sizes by turns. */
export function recordNar(
  nar: Uint8Array,
  chunkSizes: readonly number[] = [nar.length],
): readonly NarRecord[] {
  const recorder = new NarRecorder();
  const reader = new NarReader(recorder);
  for (const chunk of cut(nar, chunkSizes)) reader.write(chunk);
  reader.end();
  return recorder.records;
}

/** The tree that records describe. */
export function treeOf(records: readonly NarRecord[]): NarNode {
  const bytes = (text: string): Buffer => Buffer.from(text, "latin1");
  const directories = new Map<string, [Buffer, NarNode][]>();
  let root: NarNode | undefined;
  for (const record of records) {
    const node = toNode(record);
    const slash = record.path.lastIndexOf("/");
    if (record.path === "") root = node;
    else
      directories
        .get(record.path.slice(0, Math.max(slash, 0)))!
        .push([bytes(record.path.slice(slash + 1)), node]);
  }
  return root!;

  function toNode(record: NarRecord): NarNode {
    if (record.type === "symlink") return { type: "symlink", target: bytes(record.target) };
    if (record.type === "regular") return { ...record, contents: bytes(record.contents) };
    const entries: [Buffer, NarNode][] = [];
    directories.set(record.path, entries);
    return { type: "directory", entries };
  }
}

/** Chunks of these sizes by turns; one of them must be above 0. */
export function* cut(bytes: Uint8Array, chunkSizes: readonly number[]): Generator<Uint8Array> {
  for (let at = 0, turn = 0; at < bytes.length; turn++) {
    const size = chunkSizes[turn % chunkSizes.length] ?? bytes.length;
    yield bytes.subarray(at, at + size);
    at += size;
  }
}

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("latin1");
}
