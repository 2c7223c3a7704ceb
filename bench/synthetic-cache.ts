/**
 * A binary cache of synthetic paths over plain HTTP, to be run as a process of its own.
 *
 * Arguments: port of 127.0.0.1, milliseconds before each answer, and of which paths: "graph <count>..." for closures,
 * "fleet <count>" for many that share paths. GET /requests tells how many were answered so far.
 */
import { createServer, type ServerResponse } from "node:http";
import { fileURLToPath } from "node:url";
import { freePort } from "../demo/configuration.ts";
import { ServerProcess } from "./server-process.ts";
import { syntheticFleet } from "./synthetic-fleet.ts";
import { syntheticGraph } from "./synthetic-graph.ts";
import { syntheticFiles, type SyntheticPath } from "./synthetic-paths.ts";

/** Starts such a cache. */
export async function startSyntheticCache(options: {
  readonly latencyMs: number;
  readonly paths: readonly ["graph" | "fleet", ...number[]];
  readonly core: number;
}): Promise<ServerProcess> {
  const port = await freePort();
  const words = [port, options.latencyMs, ...options.paths].map(String);
  const command = [process.execPath, fileURLToPath(import.meta.url), ...words];
  return ServerProcess.start(command, port, { core: options.core });
}

function pathsOf(kind: string | undefined, counts: readonly number[]): readonly SyntheticPath[] {
  if (kind === "fleet") return syntheticFleet(counts[0] ?? 0);
  return counts.flatMap((count) => syntheticGraph(count).paths);
}

function serve(): void {
  const [port, latency, kind, ...counts] = process.argv.slice(2);
  const latencyMs = Number(latency);
  const file = syntheticFiles(pathsOf(kind, counts.map(Number)));
  const bodies = new Map<string, Buffer>();
  let requests = 0;
  const answer = (response: ServerResponse, body: Buffer | undefined): void => {
    requests++;
    if (body === undefined) response.writeHead(404).end("404");
    else response.writeHead(200, { "content-length": body.length }).end(body);
  };
  createServer((request, response) => {
    const name = (request.url ?? "").slice(1);
    if (name === "requests") {
      response.end(String(requests));
      return;
    }
    let body = bodies.get(name);
    if (body === undefined) {
      const text = file(name);
      if (text !== undefined) bodies.set(name, (body = Buffer.from(text)));
    }
    if (latencyMs === 0) answer(response, body);
    else setTimeout(answer, latencyMs, response, body);
  }).listen(Number(port), "127.0.0.1");
}

if (import.meta.main) serve();
