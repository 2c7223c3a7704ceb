/**
 * Tar headers that are the same for the same content everywhere: POSIX.1-1988 ustar, and a POSIX.1-2001 (PAX)
 * extended header before it where a value does not fit. Names are bytes and stay bytes; Go's archive/tar, GNU tar,
 * bsdtar and Python read both forms back unchanged.
 */
import { tarEntryInvalid } from "../errors.ts";

/** One file of a layer. */
export interface TarEntry {
  /** Below the layer's root, without leading "./" or "/"; a directory's too has no trailing slash. */
  readonly path: Uint8Array;
  readonly type: "directory" | "regular" | "symlink";
  /** Permission bits. */
  readonly mode: number;
  /** Bytes of content that follow the header; only of a regular file. */
  readonly size: number;
  /** What a symlink holds. */
  readonly target?: Uint8Array;
}

const blockSize = 512;
const maxName = 100;
const maxPrefix = 155;
/** Eleven octal digits. */
const maxSize = 8 ** 11 - 1;

const slash = 0x2f;
const typeFlags = { regular: "0", symlink: "2", directory: "5", pax: "x" } as const;

/** What ends an archive: two blocks of zeros. GNU tar's filling up to 10 KiB is not needed. */
export const tarEnd: Uint8Array = new Uint8Array(2 * blockSize);

/** Zero bytes that fill `size` bytes of content up to the next block of 512. */
export function tarPadding(size: number): Uint8Array {
  return new Uint8Array((blockSize - (size % blockSize)) % blockSize);
}

/**
 * The header blocks of an entry: uid and gid 0, no names of users, mtime 1.
 *
 * @throws tarEntryInvalid for a path or target that is empty or has a zero byte, which no file system holds
 */
export function tarHeader(entry: TarEntry): Uint8Array {
  requireName(entry, entry.path, "its path");
  const path = entry.type === "directory" ? Buffer.concat([entry.path, Buffer.from("/")]) : entry.path;
  const target = entry.type === "symlink" ? (entry.target ?? new Uint8Array()) : undefined;
  if (target !== undefined) requireName(entry, target, "its target");
  const size = entry.type === "regular" ? entry.size : 0;

  const split = splitPath(path);
  const records: Buffer[] = [];
  // By key, as Go and Python write them.
  if (target !== undefined && target.length > maxName) records.push(paxRecord("linkpath", target));
  if (split === undefined) records.push(paxRecord("path", path));
  if (size > maxSize) records.push(paxRecord("size", Buffer.from(String(size))));

  const header = ustarBlock({
    ...(split ?? { name: cutName(path) }),
    mode: entry.mode,
    size: size > maxSize ? 0 : size,
    typeFlag: typeFlags[entry.type],
    ...(target !== undefined && { target: target.subarray(0, maxName) }),
  });
  return records.length === 0 ? header : Buffer.concat([paxHeader(Buffer.concat(records)), header]);
}

function requireName(entry: TarEntry, bytes: Uint8Array, what: string): void {
  if (bytes.length > 0 && !bytes.includes(0)) return;
  const path = Buffer.from(entry.path).toString();
  throw tarEntryInvalid(path, `${what} ${bytes.length === 0 ? "is empty" : "has a zero byte"}`);
}

/**
 * Name and prefix field for a path, or undefined when it does not fit into them. The last possible slash gives the
 * shortest name; the trailing one of a directory does not count, for the name would be empty.
 */
function splitPath(
  path: Uint8Array,
): { readonly name: Uint8Array; readonly prefix?: Uint8Array } | undefined {
  if (path.length <= maxName) return { name: path };
  const at = path.lastIndexOf(slash, Math.min(maxPrefix, path.length - 2));
  if (at <= 0 || path.length - at - 1 > maxName) return undefined;
  return { name: path.subarray(at + 1), prefix: path.subarray(0, at) };
}

/**
 * The name field of an entry whose path is in its PAX header. It must not end in a slash where the path has none
 * there by itself: some readers take any such entry for a directory (Go's archive/tar, formatString).
 */
function cutName(path: Uint8Array): Uint8Array {
  let end = maxName;
  while (path[end - 1] === slash) end--;
  return path.subarray(0, end);
}

/** `<length> <key>=<value>\n`, where the length counts its own digits too. */
function paxRecord(key: string, value: Uint8Array): Buffer {
  const body = Buffer.concat([Buffer.from(` ${key}=`), value, Buffer.from("\n")]);
  let length = body.length;
  while (body.length + String(length).length !== length) length = body.length + String(length).length;
  return Buffer.concat([Buffer.from(String(length)), body]);
}

function paxHeader(records: Buffer): Buffer {
  const header = ustarBlock({
    // Fixed, for the usual one holds a process id or the path that did not fit.
    name: Buffer.from("PaxHeaders/entry"),
    mode: 0o644,
    size: records.length,
    typeFlag: typeFlags.pax,
  });
  return Buffer.concat([header, records, tarPadding(records.length)]);
}

function ustarBlock(fields: {
  readonly name: Uint8Array;
  readonly prefix?: Uint8Array;
  readonly mode: number;
  readonly size: number;
  readonly typeFlag: string;
  readonly target?: Uint8Array;
}): Buffer {
  // Of the shared pool: a buffer of its own costs more than all that is written into it.
  const block = Buffer.allocUnsafe(blockSize).fill(0);
  block.set(fields.name, 0);
  writeOctal(block, 100, 8, fields.mode);
  writeOctal(block, 108, 8, 0); // uid
  writeOctal(block, 116, 8, 0); // gid
  writeOctal(block, 124, 12, fields.size);
  writeOctal(block, 136, 12, 1); // mtime, as in the Nix store
  block.write(fields.typeFlag, 156, "latin1");
  if (fields.target !== undefined) block.set(fields.target, 157);
  block.write("ustar\u000000", 257, "latin1");
  writeOctal(block, 329, 8, 0); // devmajor: Go and GNU tar write zeros for files of any type
  writeOctal(block, 337, 8, 0); // devminor
  if (fields.prefix !== undefined) block.set(fields.prefix, 345);

  // The sum is taken with its own field as spaces, and written with six digits, a zero byte and a space.
  block.fill(" ", 148, 156);
  let sum = 0;
  for (let at = 0; at < blockSize; at++) sum += block[at] ?? 0;
  writeOctal(block, 148, 7, sum);
  return block;
}

/** Octal digits with leading zeros and a zero byte at the end. */
function writeOctal(block: Buffer, offset: number, length: number, value: number): void {
  block.write(`${value.toString(8).padStart(length - 1, "0")}\0`, offset, "latin1");
}
