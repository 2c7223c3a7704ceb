/**
 * A cache in a process of its own that can hold five connections which it has not taken in, makes a new one for each
 * answer, and takes its time with each. Says its port on standard output; arguments: its directory.
 */
import { readFileSync, existsSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";

const directory = process.argv[2] ?? "";
/** Milliseconds in which nothing else happens, for each answer. */
const busy = 4;

const server = createServer((request, response) => {
  const file = join(directory, request.url ?? "");
  for (const end = performance.now() + busy; performance.now() < end;);
  response.setHeader("connection", "close");
  if (existsSync(file)) response.end(readFileSync(file));
  else response.writeHead(404).end();
});
server.listen({ port: 0, host: "127.0.0.1", backlog: 5 }, () => {
  process.stdout.write(`port ${(server.address() as AddressInfo).port}\n`);
});
