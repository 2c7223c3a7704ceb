import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { formatBytes } from "../src/errors.ts";
import type { ContainerImages } from "./mounts.ts";
import { duration, table } from "./output.ts";
import { pullImage, type PulledImage } from "./registry-client.ts";
import type { Stage } from "./stage.ts";

/** Images pulled at a time; a kubelet with serializeImagePulls off has no bound but its rate. */
const concurrency = 4;

/** This machine's architecture in Go's words. */
const architecture = process.arch === "arm64" ? "arm64" : "amd64";

/**
 * Pulls all images of a container and shows them.
 * @returns the images by reference.
 */
export async function pullImages(
  { output, signal, scratch }: Stage,
  container: ContainerImages,
): Promise<ReadonlyMap<string, PulledImage>> {
  output.step("The images, made out of the cache while they are pulled");
  const started = performance.now();
  const directory = join(scratch, "layers");
  await mkdir(directory);
  const wanted = [{ reference: container.base, mountPath: "/" }, ...container.mounts];
  const pulled = new Map<string, PulledImage>();
  const queue = wanted.values();
  // The first failure ends the other pulls too: the layers' directory is about to be removed.
  const failure = new AbortController();
  const options = { directory, architecture, signal: AbortSignal.any([signal, failure.signal]) };
  const work = async (): Promise<void> => {
    for (const { reference } of queue) {
      pulled.set(reference, await pullImage(reference, options));
      output.progress("images", pulled.size, wanted.length);
    }
  };
  output.progress("images", 0, wanted.length);
  const workers = Array.from({ length: concurrency }, () =>
    work().catch((error: unknown) => {
      failure.abort(error);
      throw error;
    }),
  );
  await Promise.allSettled(workers);
  await Promise.all(workers);

  const rows = wanted.flatMap(({ reference, mountPath }) =>
    (pulled.get(reference)?.layers ?? []).map(({ size, digest }) => [
      formatBytes(size),
      shortDigest(digest),
      shortPath(mountPath),
    ]),
  );
  for (const line of table([["bytes", "layer", "mounted at"], ...rows], [0])) output.line(line);
  const bytes = formatBytes([...pulled.values()].reduce((sum, image) => sum + image.totalSize, 0));
  const took = duration(performance.now() - started);
  output.line(`${pulled.size} images, ${bytes}, in ${took}: every digest, size and media type is right`);
  return pulled;
}

/** As many digits as people compare. */
function shortDigest(digest: string): string {
  return digest.replace("sha256:", "").slice(0, 12);
}

/** The whole path is in the Pod; here its name is to fit on a line. */
function shortPath(path: string): string {
  return path.replace(/^(\/nix\/store\/[0-9a-z]{8})[0-9a-z]{24}-/, "$1…-");
}
