import { narString, narStrings, type NarNode } from "./nar-writer.ts";

/** A file with a line of text. */
export const file: NarNode = { type: "regular", contents: Buffer.from("hello\n") };

/** A directory with these entries. */
export function directory(entries: Readonly<Record<string, NarNode>>): NarNode {
  return {
    type: "directory",
    entries: Object.entries(entries).map(([name, node]) => [Buffer.from(name), node]),
  };
}

/** A directory with entries of these names in this order, legal or not. */
export function withNames(...names: readonly (string | Uint8Array)[]): Buffer {
  const target = narStrings("(", "type", "symlink", "target", "x", ")", ")");
  return Buffer.concat([
    narStrings("nix-archive-1", "(", "type", "directory"),
    ...names.flatMap((name) => [narStrings("entry", "(", "name", name, "node"), target]),
    narString(")"),
  ]);
}

/** A node within so many directories. */
export function nested(depth: number): Buffer {
  const levels = <T>(value: T): T[] => Array.from({ length: depth }, () => value);
  return Buffer.concat([
    narString("nix-archive-1"),
    ...levels(narStrings("(", "type", "directory", "entry", "(", "name", "d", "node")),
    narStrings("(", "type", "regular", "contents", "", ")"),
    ...levels(narStrings(")", ")")),
  ]);
}

/** A string whose length is a lie. */
export function withLength(length: bigint, rest = Buffer.alloc(0)): Buffer {
  const encoded = Buffer.alloc(8);
  encoded.writeBigUInt64LE(length);
  return Buffer.concat([encoded, rest]);
}

/** The start of a NAR up to its type, and strings that follow. */
export const head = (...more: readonly string[]): Buffer => narStrings("nix-archive-1", "(", "type", ...more);
