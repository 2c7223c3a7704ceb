import { createHash } from "node:crypto";

import { type ReadEntry, readTar } from "../oci/tar-reader.ts";

/** A file as a NAR or a layer has it; names, targets and contents as latin1 text, long ones by their hash. */
export interface FileEntry {
  readonly path: string;
  readonly type: "directory" | "regular" | "symlink";
  readonly mode: number;
  readonly content: string;
}

/** Bytes as text that is compared and shown in no time. */
export function digestOf(bytes: Uint8Array): string {
  return bytes.length < 100
    ? Buffer.from(bytes).toString("latin1")
    : `${bytes.length} bytes, ${createHash("sha256").update(bytes).digest("hex")}`;
}

/** Unpacks a NAR in the way of the grammar in the Nix manual, with nothing of the reader under test. */
export function unpackNar(nar: Buffer): FileEntry[] {
  let at = 0;
  const entries: FileEntry[] = [];
  const string = (): Buffer => {
    const length = Number(nar.readBigUInt64LE(at));
    const start = at + 8;
    at = start + Math.ceil(length / 8) * 8;
    return nar.subarray(start, start + length);
  };
  const word = (...expected: readonly string[]): string => {
    const found = string().toString("latin1");
    if (!expected.includes(found)) throw new Error(`${found} where ${expected.join(" or ")} should be`);
    return found;
  };
  const node = (path: string): void => {
    word("(");
    word("type");
    const type = word("regular", "symlink", "directory");
    if (type === "symlink") {
      word("target");
      entries.push({ path, type, mode: 0o777, content: digestOf(string()) });
      word(")");
    } else if (type === "regular") {
      const executable = word("executable", "contents") === "executable";
      if (executable) {
        word("");
        word("contents");
      }
      entries.push({ path, type, mode: executable ? 0o555 : 0o444, content: digestOf(string()) });
      word(")");
    } else {
      entries.push({ path, type: "directory", mode: 0o555, content: "" });
      while (word("entry", ")") === "entry") {
        word("(");
        word("name");
        const name = string().toString("latin1");
        word("node");
        node(path === "" ? name : `${path}/${name}`);
        word(")");
      }
    }
  };
  word("nix-archive-1");
  node("");
  if (at !== nar.length) throw new Error("bytes after the end");
  return entries;
}

/** The entries of a layer; everything that must be the same for all of them is checked. */
export function unpackLayer(layer: Buffer): FileEntry[] {
  return readTar(layer).map((entry) => {
    for (const [key, value] of Object.entries({ uid: 0, gid: 0, mtime: 1, owner: "" } as const)) {
      if (entry[key as keyof ReadEntry] !== value) throw new Error(`${key} is not ${value}`);
    }
    const types = { "0": "regular", "2": "symlink", "5": "directory" } as const;
    const type = types[entry.typeFlag as keyof typeof types];
    const path = entry.path.toString("latin1");
    return {
      path: type === "directory" ? path.replace(/\/$/, "") : path,
      type,
      mode: entry.mode,
      content: digestOf(type === "symlink" ? entry.target : entry.content),
    };
  });
}

/** What the layer of a path image must hold: all but the root. */
export function belowRoot(entries: readonly FileEntry[]): FileEntry[] {
  return entries.filter(({ path }) => path !== "");
}

/** The same entries below a directory. */
export function below(name: string, entries: readonly FileEntry[]): FileEntry[] {
  return entries.map((entry) => ({ ...entry, path: entry.path === "" ? name : `${name}/${entry.path}` }));
}
