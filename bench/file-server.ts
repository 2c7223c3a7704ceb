/**
 * A directory over plain HTTP, as a process of its own: a binary cache that counts what it sends.
 *
 * Arguments: port of 127.0.0.1, directory. GET /sent tells how many bytes of NARs were sent so far.
 */
import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { freePort } from "../demo/configuration.ts";
import { ServerProcess } from "./server-process.ts";

/** Starts such a cache. */
export async function startFileServer(directory: string): Promise<ServerProcess> {
  const port = await freePort();
  const command = [process.execPath, fileURLToPath(import.meta.url), String(port), directory];
  return ServerProcess.start(command, port, { core: "any" });
}

/** Bytes of NARs that it has sent. */
export async function sentBytes({ port }: ServerProcess): Promise<number> {
  return Number(await (await fetch(`http://127.0.0.1:${port}/sent`)).text());
}

function serve(): void {
  const [port, directory = ""] = process.argv.slice(2);
  let sent = 0;
  const answer = async ({ url = "", headers }: IncomingMessage, response: ServerResponse): Promise<void> => {
    if (url === "/sent") {
      response.end(String(sent));
      return;
    }
    // Names of a cache are plain: no "..", nothing percent-encoded.
    const file = /^(?:\/[0-9A-Za-z][0-9A-Za-z._-]*)+$/.test(url) ? join(directory, url) : undefined;
    const found = file === undefined ? undefined : await stat(file).catch(() => undefined);
    if (file === undefined || found?.isFile() !== true) {
      response.writeHead(404).end();
      return;
    }
    const { start, end } = rangeOf(headers.range, found.size);
    const isPart = end - start < found.size;
    response.writeHead(isPart ? 206 : 200, {
      "content-length": end - start,
      ...(isPart && { "content-range": `bytes ${start}-${end - 1}/${found.size}` }),
    });
    const { socket } = response;
    const before = socket?.bytesWritten ?? 0;
    response.once("close", () => {
      if (url.startsWith("/nar/")) sent += (socket?.bytesWritten ?? 0) - before;
    });
    createReadStream(file, { start, end: end - 1 })
      .on("error", () => response.destroy())
      .pipe(response);
  };
  createServer((request, response) => {
    answer(request, response).catch(() => response.destroy());
  }).listen(Number(port), "127.0.0.1");
}

/** From a position up to another one, the first one included. */
function rangeOf(range: string | undefined, size: number): { readonly start: number; readonly end: number } {
  const [, start = "0", end] = /^bytes=(\d+)-(\d+)$/.exec(range ?? "") ?? [];
  return { start: Number(start), end: end === undefined ? size : Math.min(size, Number(end) + 1) };
}

if (import.meta.main) serve();
