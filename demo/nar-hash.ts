import { createHash, type Hash } from "node:crypto";
import { createReadStream } from "node:fs";
import { lstat, readdir, readlink } from "node:fs/promises";
import { formatNarHash, type NarHash } from "../src/nix/hash.ts";

/**
 * The hash of a file, directory or symbolic link as a NAR (E. Dolstra, The Purely Functional Software Deployment Model,
 * figure 5.2), which is what a binary cache signs. Names are bytes; owners, times and write permission do not count.
 */
export async function narHashOf(path: string): Promise<NarHash> {
  const hash = createHash("sha256");
  word(hash, "nix-archive-1");
  await node(hash, Buffer.from(path));
  return formatNarHash(hash.digest());
}

async function node(hash: Hash, path: Buffer): Promise<void> {
  const status = await lstat(path);
  word(hash, "(", "type");
  if (status.isSymbolicLink()) {
    word(hash, "symlink", "target", await readlink(path, "buffer"));
  } else if (status.isDirectory()) {
    word(hash, "directory");
    const names = await readdir(path, "buffer");
    for (const name of names.toSorted((a, b) => Buffer.compare(a, b))) {
      word(hash, "entry", "(", "name", name, "node");
      await node(hash, Buffer.concat([path, Buffer.from("/"), name]));
      word(hash, ")");
    }
  } else {
    word(hash, "regular", ...((status.mode & 0o100) === 0 ? [] : ["executable", ""]), "contents");
    length(hash, status.size);
    for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer);
    padding(hash, status.size);
  }
  word(hash, ")");
}

function word(hash: Hash, ...words: readonly (string | Buffer)[]): void {
  for (const bytes of words.map((text) => Buffer.from(text))) {
    length(hash, bytes.length);
    hash.update(bytes);
    padding(hash, bytes.length);
  }
}

function length(hash: Hash, size: number): void {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(size));
  hash.update(bytes);
}

function padding(hash: Hash, size: number): void {
  hash.update(Buffer.alloc((8 - (size % 8)) % 8));
}
