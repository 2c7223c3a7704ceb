import { createReadStream, existsSync, statSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

/** The demo's signed binary cache. */
export const demoDirectory = fileURLToPath(new URL("../../demo/cache", import.meta.url));
export const demoUrl = pathToFileURL(demoDirectory).href;
export const demoKey = "nixlab-1:XDs3FCDMjBrhoqKW3H+Z7ZHI/XsFAGGDww2GV8EotRo=";

/** Its roots, with what is known of their closures. */
export const hello = "/nix/store/4vlwxs24hwlvm23q063xvdmkzvlxjw1s-hello-app";
export const nginx = "/nix/store/q0ningk88png4ipb9hm8ja6av167wdzk-nginx-app-1.0";
export const python = "/nix/store/2xm8zk49wy4fsqr9jhsi4wdxwdlc308i-python3-defaults-3.11.2-1+b1";
export const mixed = "/nix/store/qk79bwpv0lwx4gm27p3h754sl2n6rsh7-mixed-app-1.0";
/** A file, and a part of the closure of `mixed`. */
export const mixedFile = "/nix/store/k1fjl9ril0jiqp50z7msaivbrzn2ihip-mixed-app.conf";
/** A path that no cache has. */
export const unknown = "/nix/store/00000000000000000000000000000000-nothing";

/** A source of this cache in the configuration file. */
export const demoSource = (...caches: readonly string[]) => ({ caches, publicKeys: [demoKey] });

/** The demo's cache over HTTP, which can stop answering for a while. */
export class DemoCacheServer implements AsyncDisposable {
  /** Paths that were asked for, without the first slash. */
  readonly requests: string[] = [];
  readonly #listings: boolean;
  readonly #server: Server;
  #stalled: (() => void)[] | undefined;

  private constructor(listings: boolean) {
    this.#listings = listings;
    this.#server = createServer((request, response) => {
      const name = (request.url ?? "").slice(1);
      this.requests.push(name);
      const answer = (): void => {
        const file = join(demoDirectory, name);
        const hidden = name.endsWith(".ls") && !this.#listings;
        if (hidden || !/^[\w./-]+$/.test(name) || !existsSync(file)) response.writeHead(404).end();
        else {
          response.setHeader("content-length", statSync(file).size);
          createReadStream(file).pipe(response);
        }
      };
      if (this.#stalled === undefined) answer();
      else this.#stalled.push(answer);
    });
  }

  static async start(options: { readonly listings?: boolean } = {}): Promise<DemoCacheServer> {
    const cache = new DemoCacheServer(options.listings ?? true);
    await new Promise<void>((resolve) => cache.#server.listen(0, "127.0.0.1", resolve));
    return cache;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Answers nothing from now on. */
  stall(): void {
    this.#stalled ??= [];
  }

  /** Answers again, first what was asked meanwhile. */
  wake(): void {
    const stalled = this.#stalled ?? [];
    this.#stalled = undefined;
    for (const answer of stalled) answer();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#server.closeAllConnections();
    await closed;
  }
}

/** Looks again and again until the condition holds, at most for the time of a test. */
export async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await condition())) await new Promise<void>((resolve) => setTimeout(resolve, 10));
}
