/**
 * Walks a closure once, cold, in a process of its own, and prints as JSON milliseconds, those of the processor, and paths.
 *
 * Arguments: "resolver" or "serial", URL of the cache, root.
 */
import { Agent, get } from "node:http";
import { parseNarInfo } from "../src/nix/narinfo.ts";
import { parseStorePath, storeHash, type StorePath } from "../src/nix/store-path.ts";
import { createResolver } from "../src/resolver/resolver.ts";
import { syntheticKey } from "./synthetic-paths.ts";

/** Our resolver, as the webhook calls it. */
async function walk(url: string, root: StorePath): Promise<number> {
  const resolver = createResolver({
    sources: [{ name: "main", caches: [url], publicKeys: [syntheticKey] }],
    limits: { maxPaths: 3844, maxBytes: 2 ** 40 },
  });
  const { paths } = await resolver.resolve("main", [root]);
  await resolver.close();
  return paths.length;
}

/** One request after the other over one connection, without looking at signatures. */
async function walkSerially(url: string, root: StorePath): Promise<number> {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const queue = [root];
  const seen = new Set(queue);
  for (const path of queue) {
    const { references } = parseNarInfo(await download(`${url}/${storeHash(path)}.narinfo`, agent));
    for (const reference of references) {
      if (seen.has(reference)) continue;
      seen.add(reference);
      queue.push(reference);
    }
  }
  agent.destroy();
  return queue.length;
}

function download(url: string, agent: Agent): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    get(url, { agent }, (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("error", reject).on("end", () => resolve(Buffer.concat(chunks)));
    }).on("error", reject);
  });
}

const [kind, url = "", root = ""] = process.argv.slice(2);
const cpuBefore = process.cpuUsage();
const started = performance.now();
const paths = await (kind === "serial" ? walkSerially : walk)(url, parseStorePath(root));
const ms = performance.now() - started;
const { user, system } = process.cpuUsage(cpuBefore);
console.log(JSON.stringify({ ms, cpuMs: (user + system) / 1000, paths }));
