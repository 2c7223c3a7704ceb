import { createHash } from "node:crypto";
import { once } from "node:events";
import { createWriteStream } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createGzip, zstdDecompressSync } from "node:zlib";
import { baseLayer, baseUser } from "../../src/image/base-image.ts";
import { NarToTar } from "../../src/image/nar-to-tar.ts";
import { NarReader } from "../../src/nix/nar-reader.ts";
import type { NarInfo } from "../../src/nix/narinfo.ts";
import { baseName } from "../../src/nix/store-path.ts";
import { tarEnd, tarHeader, tarPadding } from "../../src/oci/tar.ts";

/** Media types of what `docker push` sends (Docker's image manifest, version 2, schema 2). */
export const mediaTypes = {
  manifest: "application/vnd.docker.distribution.manifest.v2+json",
  config: "application/vnd.docker.container.image.v1+json",
  layer: "application/vnd.docker.image.rootfs.diff.tar.gzip",
};

/** Go's and gzip's default. */
const gzipLevel = 6;

/** Writes pieces of a tar, the end of it excluded. */
type WriteTar = (put: (piece: Uint8Array) => void, drain: () => Promise<void>) => Promise<void>;

/**
 * Writes one image with the content of a closure at /nix/store and of our base image: one layer, compressed as docker
 * push does it. An image is three files of its directory: `layer`, `config.json` and `manifest.json`.
 *
 * @param cache directory of the binary cache
 */
export function writeClosureImage(
  directory: string,
  cache: string,
  closure: readonly NarInfo[],
): Promise<void> {
  return writeImage(directory, { User: baseUser, WorkingDir: "/" }, async (put, drain) => {
    put(baseLayer().subarray(0, -tarEnd.length));
    for (const { storePath, url } of closure) {
      const nar = zstdDecompressSync(await readFile(join(cache, url)));
      const tar = new NarToTar(storePath, Buffer.from(`nix/store/${baseName(storePath)}`), put);
      const reader = new NarReader(tar);
      const piece = 256 * 1024;
      for (let at = 0; at < nar.length; at += piece) {
        reader.write(nar.subarray(at, at + piece));
        await drain();
      }
      reader.end();
    }
  });
}

/** Writes an image with one static program, which is what it runs. */
export function writeProgramImage(
  directory: string,
  program: { readonly name: string; readonly file: string; readonly arguments: readonly string[] },
  others: Readonly<Record<string, string>>,
): Promise<void> {
  const config = { Entrypoint: [`/${program.name}`, ...program.arguments], User: baseUser };
  return writeImage(directory, config, async (put, drain) => {
    const files: [string, Buffer, number][] = [[program.name, await readFile(program.file), 0o755]];
    for (const [name, text] of Object.entries(others)) files.push([name, Buffer.from(text), 0o644]);
    for (const [name, bytes, mode] of files) {
      put(tarHeader({ path: Buffer.from(name), type: "regular", mode, size: bytes.length }));
      put(bytes);
      put(tarPadding(bytes.length));
      await drain();
    }
  });
}

async function writeImage(directory: string, config: object, writeTar: WriteTar): Promise<void> {
  const gzip = createGzip({ level: gzipLevel });
  const file = createWriteStream(join(directory, "layer"));
  const [plain, packed] = [createHash("sha256"), createHash("sha256")];
  let size = 0;
  gzip.on("data", (chunk: Buffer) => {
    packed.update(chunk);
    size += chunk.length;
  });
  gzip.pipe(file);
  let full = false;
  const put = (piece: Uint8Array): void => {
    plain.update(piece);
    // Views of buffers that are used again.
    full = !gzip.write(Buffer.from(piece));
  };
  const drain = async (): Promise<void> => {
    if (full) await once(gzip, "drain");
    full = false;
  };
  await writeTar(put, drain);
  put(tarEnd);
  gzip.end();
  await once(file, "close");
  const layer = { mediaType: mediaTypes.layer, size, digest: `sha256:${packed.digest("hex")}` };
  const architecture = process.arch === "arm64" ? "arm64" : "amd64";
  const configText = JSON.stringify({
    architecture,
    os: "linux",
    config,
    rootfs: { type: "layers", diff_ids: [`sha256:${plain.digest("hex")}`] },
    history: [{ created: "1970-01-01T00:00:01Z", created_by: "bench" }],
  });
  const manifest = JSON.stringify({
    schemaVersion: 2,
    mediaType: mediaTypes.manifest,
    config: {
      mediaType: mediaTypes.config,
      size: Buffer.byteLength(configText),
      digest: `sha256:${createHash("sha256").update(configText).digest("hex")}`,
    },
    layers: [layer],
  });
  await writeFile(join(directory, "config.json"), configText);
  await writeFile(join(directory, "manifest.json"), manifest);
}
