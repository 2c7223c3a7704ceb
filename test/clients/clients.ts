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
   * Fetches an image and lists its tree.
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
  /** With TLS: a directory whose `ca.crt` has the registry's authority. Without it, plain HTTP. */
  readonly certificates?: string;
}

/** skopeo, podman, crane and oras. Each goes another way from the layers to the tree. */
export function createClients(options: ClientOptions): readonly Client[] {
  const { programs, podman, certificates } = options;
  const isPlain = certificates === undefined;
  const caFile = join(certificates ?? "", "ca.crt");
  // crane, a program in Go, asks for the system's authorities in this file.
  const env = isPlain ? options.env : { ...options.env, SSL_CERT_FILE: caFile };
  const run = (file: string, ...args: readonly string[]): Promise<string> => runCommand(file, args, { env });
  return [
    {
      name: "skopeo",
      /** Unpacked by GNU tar. */
      async pull(reference, scratch) {
        const tls = isPlain ? "--src-tls-verify=false" : `--src-cert-dir=${certificates}`;
        await run("skopeo", "copy", tls, `docker://${reference}`, `dir:${scratch}`);
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
        const tls = isPlain ? "--tls-verify=false" : `--cert-dir=${certificates}`;
        await inStore("pull", "--quiet", tls, reference);
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
        const insecure = isPlain ? ["--insecure"] : [];
        await run(programs.crane, "export", ...insecure, "--platform=linux/amd64", reference, tar);
        return listTar(tar);
      },
    },
    {
      name: "oras",
      /** The layers as they came. */
      async pull(reference, scratch) {
        const tls = isPlain ? "--from-plain-http" : `--from-ca-file=${caFile}`;
        const args = [tls, "--no-tty", reference, "--to-oci-layout", `${scratch}:pulled`];
        await run(programs.oras, "copy", ...args);
        return listTars(await layoutLayers(scratch));
      },
    },
  ];
}
