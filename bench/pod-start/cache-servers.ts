import { once } from "node:events";
import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { createServer, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";

/** A source of the product's configuration, and how long its cache takes for each answer. */
export const sources = { fast: { latencyMs: 0 }, slow: { latencyMs: 20 } } as const;
export type SourceName = keyof typeof sources;

/** The same binary cache over plain HTTP, at several speeds. */
export interface CacheServers extends AsyncDisposable {
  /** URLs by source. */
  readonly urls: Readonly<Record<SourceName, string>>;
}

/** @param host address of this machine that nodes and Pods reach */
export async function startCaches(directory: string, host: string): Promise<CacheServers> {
  const [fast, slow] = [createCache(directory, "fast"), createCache(directory, "slow")];
  const servers = [fast, slow];
  for (const server of servers) {
    server.listen(0, host);
    await once(server, "listening");
  }
  const url = (server: Server): string => `http://${host}:${(server.address() as AddressInfo).port}`;
  return {
    urls: { fast: url(fast), slow: url(slow) },
    async [Symbol.asyncDispose]() {
      for (const server of servers) {
        server.close();
        server.closeAllConnections();
      }
      await Promise.all(servers.filter((server) => server.listening).map((server) => once(server, "close")));
    },
  };
}

function createCache(directory: string, source: SourceName): Server {
  const { latencyMs } = sources[source];
  return createServer((request, response) => {
    const pause = latencyMs === 0 ? Promise.resolve() : delay(latencyMs);
    pause
      .then(() => answer(directory, request.url ?? "", request.method ?? "", response))
      .catch(() => response.destroy());
  });
}

async function answer(
  directory: string,
  url: string,
  method: string,
  response: ServerResponse,
): Promise<void> {
  // Names of a cache are plain: no "..", nothing percent-encoded.
  const file = /^(?:\/[0-9A-Za-z][0-9A-Za-z._-]*)+$/.test(url) ? join(directory, url) : undefined;
  const found = file === undefined ? undefined : await stat(file).catch(() => undefined);
  if (file === undefined || found?.isFile() !== true) {
    response.writeHead(404).end();
    return;
  }
  response.writeHead(200, { "content-length": found.size });
  if (method === "HEAD") response.end();
  else
    createReadStream(file)
      .on("error", () => response.destroy())
      .pipe(response);
}
