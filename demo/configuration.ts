import { createServer, type AddressInfo } from "node:net";
import { writeFile } from "node:fs/promises";
import { fileURLToPath, pathToFileURL } from "node:url";
import { stringify } from "yaml";

/** The directory of the demo's binary cache. */
export const demoCache = fileURLToPath(new URL("cache", import.meta.url));
/** The name of the source that it is. */
export const demoSource = "demo";
/** The key that signed it. */
export const demoPublicKey = "nixlab-1:XDs3FCDMjBrhoqKW3H+Z7ZHI/XsFAGGDww2GV8EotRo=";

export interface DemoConfiguration {
  /** Loopback ports; 0 for any free one, except the registry's, because references carry it. */
  readonly ports: { readonly webhook: number; readonly registry: number; readonly admin: number };
  readonly blobs: string;
  readonly certificates: { readonly certificatePath: string; readonly keyPath: string };
}

/** Writes a configuration file that serves the demo's cache on this machine's loopback. */
export async function writeDemoConfiguration(file: string, options: DemoConfiguration): Promise<void> {
  const { ports, blobs, certificates } = options;
  const text = stringify(
    {
      sources: {
        // A file URL has no relative form, which is why this file is written and not kept.
        [demoSource]: { caches: [pathToFileURL(demoCache).href], publicKeys: [demoPublicKey] },
      },
      registry: {
        listen: `localhost:${ports.registry}`,
        reference: `localhost:${ports.registry}`,
        blobs: { directory: blobs, maxBytes: "1Gi" },
      },
      // Who pulls here is no kubelet.
      kubelet: { registryPullQPS: 0 },
      webhook: {
        listen: `127.0.0.1:${ports.webhook}`,
        certFile: certificates.certificatePath,
        keyFile: certificates.keyPath,
      },
      admin: { listen: `127.0.0.1:${ports.admin}` },
    },
    { lineWidth: 0 },
  );
  await writeFile(file, text);
}

/** A free port of 127.0.0.1: the wanted one if nobody listens there, else any. */
export async function freePort(wanted = 0): Promise<number> {
  try {
    return await listenOnce(wanted);
  } catch {
    return listenOnce(0);
  }
}

function listenOnce(port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(port, "127.0.0.1", () => {
      const { port: bound } = server.address() as AddressInfo;
      server.close(() => resolve(bound));
    });
  });
}
