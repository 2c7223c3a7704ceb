import { spawn } from "node:child_process";
import { chmod, lstat, mkdir, symlink } from "node:fs/promises";
import { dirname, join } from "node:path";
import { capture } from "./child.ts";
import type { ContainerImages } from "./mounts.ts";
import type { PulledImage } from "./registry-client.ts";

/**
 * Unpacks a container's images where a container runtime would mount them. Where it would mount an image a second time,
 * a symbolic link does.
 *
 * @param images by reference.
 * @throws Error if tar is missing or fails
 */
export async function unpackImages(
  root: string,
  container: ContainerImages,
  images: ReadonlyMap<string, PulledImage>,
  signal: AbortSignal,
): Promise<void> {
  const unpack = async (reference: string, directory: string): Promise<void> => {
    const image = images.get(reference);
    if (image === undefined) throw new Error(`${reference} was not pulled`);
    for (const { file } of image.layers) await extract(file, directory, signal);
  };
  await mkdir(root, { recursive: true });
  await unpack(container.base, root);
  for (const { reference, mountPath } of container.mounts) {
    const directory = join(root, mountPath);
    await makeDirectory(root, mountPath);
    await chmod(directory, 0o755);
    await unpack(reference, directory);
    await chmod(directory, 0o555);
  }
  for (const { mountPath, target } of container.links) {
    await makeDirectory(root, dirname(mountPath));
    await writing(dirname(join(root, mountPath)), () => symlink(target, join(root, mountPath)));
  }
  // What a runtime mounts over the image in any case.
  await makeDirectory(root, "/dev");
  await makeDirectory(root, "/proc");
}

/** Makes a directory below the root, parents first. An image may not lead out of the root by a symbolic link. */
async function makeDirectory(root: string, path: string): Promise<void> {
  let parent = root;
  for (const name of path.split("/").filter((part) => part !== "")) {
    const directory = join(parent, name);
    const found = await lstat(directory).catch(() => undefined);
    if (found === undefined) await writing(parent, () => mkdir(directory, { mode: 0o755 }));
    else if (!found.isDirectory()) throw new Error(`${path}: ${name} is no directory in the images below it`);
    parent = directory;
  }
}

/** Does something in a directory that may be read-only: directories of images are, also for who unpacks them. */
async function writing(directory: string, action: () => Promise<unknown>): Promise<void> {
  const { mode } = await lstat(directory);
  await chmod(directory, 0o755);
  await action();
  await chmod(directory, mode & 0o7777);
}

async function extract(file: string, directory: string, signal: AbortSignal): Promise<void> {
  // Modes as they are in the archive, owners as whoever runs this: GNU, BSD and BusyBox have these letters in common.
  const tar = spawn("tar", ["-x", "-p", "-o", "-f", file, "-C", directory], {
    stdio: ["ignore", "ignore", "pipe"],
    signal,
  });
  const { code, stderr, error } = await capture(tar);
  signal.throwIfAborted();
  if (error?.code === "ENOENT")
    throw new Error("there is no tar on this machine, which unpacks the images; install it");
  if (code !== 0)
    throw new Error(`tar could not unpack ${file}: ${stderr.trim() || String(error?.message ?? code)}`);
}
