import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { run as runCommand } from "../programs/command.ts";
import { extract, layerFiles, type LayoutDocument, layoutLayers } from "./layout.ts";
import { listDirectory, type Listing, listTar, listTars } from "./listing.ts";
import type { PodmanStore } from "./podman-store.ts";
import type { BuiltPrograms } from "./programs.ts";

/** A client of registries that somebody else has written. */
export interface Client {
  readonly name: string;
  /** Whether it leaves out relative links that lead out of an image: pkg/v1/mutate of go-containerregistry. */
  readonly dropsEscapingLinks?: boolean;
  /**
   * Fetches an image over plain HTTP and lists its tree.
   *
   * @param scratch a directory that is not there yet
   */
  pull(reference: string, scratch: string): Promise<Listing>;
}

/** What clients need. */
export interface ClientOptions {
  readonly programs: BuiltPrograms;
  /** Keeps them from what this machine's user has set up for them. */
  readonly env: Readonly<Record<string, string>>;
  readonly podman: PodmanStore;
}

/** skopeo, podman, crane and oras. Each goes another way from the layers to the tree. */
export function createClients({ programs, env, podman }: ClientOptions): readonly Client[] {
  const run = (file: string, ...args: readonly string[]): Promise<string> => runCommand(file, args, { env });
  return [
    {
      name: "skopeo",
      /** Unpacked by GNU tar. */
      async pull(reference, scratch) {
        await run("skopeo", "copy", "--src-tls-verify=false", `docker://${reference}`, `dir:${scratch}`);
        const manifest = JSON.parse(await readFile(join(scratch, "manifest.json"), "utf8")) as LayoutDocument;
        const layers = layerFiles(manifest).map((name) => join(scratch, name));
        return listDirectory(await extract(layers, join(scratch, "tree")));
      },
    },
    {
      name: "podman",
      /** Unpacked by containers/storage, as CRI-O does it, and mounted by it. */
      async pull(reference) {
        const inStore = (...args: readonly string[]): Promise<string> =>
          runCommand("podman", args, { env: { ...env, ...podman.env } });
        await inStore("pull", "--quiet", "--tls-verify=false", reference);
        try {
          return await listDirectory((await inStore("image", "mount", reference)).trim());
        } finally {
          await inStore("image", "unmount", "--force", reference);
          await inStore("rmi", "--force", reference);
        }
      },
    },
    {
      name: "crane",
      dropsEscapingLinks: true,
      /** Flattened by crane into a tar archive of its own. */
      async pull(reference, scratch) {
        const tar = `${scratch}.tar`;
        await run(programs.crane, "export", "--insecure", "--platform=linux/amd64", reference, tar);
        return listTar(tar);
      },
    },
    {
      name: "oras",
      /** The layers as they came. */
      async pull(reference, scratch) {
        const args = ["--from-plain-http", "--no-tty", reference, "--to-oci-layout", `${scratch}:pulled`];
        await run(programs.oras, "copy", ...args);
        return listTars(await layoutLayers(scratch));
      },
    },
  ];
}
