import { spawnSync } from "node:child_process";
import zlib from "node:zlib";

import { findPrograms } from "../../src/compression/programs.ts";

/** What this machine has; the tests that compare with programs are skipped where one is missing. */
export const programs = await findPrograms(process.env["PATH"]);

/** Compresses with a program, as a filter. */
export function compressWith(program: string, args: readonly string[], data: Uint8Array): Buffer {
  const result = spawnSync(program, args, { input: data, maxBuffer: 2 ** 30 });
  if (result.status !== 0) throw new Error(`${program}: ${result.stderr.toString()}`);
  return result.stdout;
}

export const xz = (data: Uint8Array, ...args: string[]): Buffer =>
  compressWith(programs.xz ?? "xz", ["-c", "-0", ...args], data);
export const bzip2 = (data: Uint8Array, ...args: string[]): Buffer =>
  compressWith(programs.bzip2 ?? "bzip2", ["-c", "-1", ...args], data);
export const gzip = (data: Uint8Array): Buffer => zlib.gzipSync(data, { level: 1 });
export const brotli = (data: Uint8Array): Buffer =>
  zlib.brotliCompressSync(data, { params: { [zlib.constants.BROTLI_PARAM_QUALITY]: 1 } });
export const zstd = (data: Uint8Array, options: { checksum?: boolean } = {}): Buffer =>
  zlib.zstdCompressSync(data, {
    params: { [zlib.constants.ZSTD_c_checksumFlag]: options.checksum === true ? 1 : 0 },
  });

/** Independent frames of `frameSize` bytes, as Nix writes them since 2.35. */
export function zstdFrames(data: Uint8Array, frameSize: number): Buffer {
  const frames: Buffer[] = [];
  for (let at = 0; at < data.length; at += frameSize) frames.push(zstd(data.subarray(at, at + frameSize)));
  return Buffer.concat(frames);
}

/** A frame of zstd that holds no data (RFC 8878, 3.1.2). */
export function skippableFrame(content: Uint8Array): Buffer {
  const header = Buffer.alloc(8);
  header.writeUInt32LE(0x184d2a5a, 0);
  header.writeUInt32LE(content.length, 4);
  return Buffer.concat([header, content]);
}
