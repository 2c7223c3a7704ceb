/** SIGTERM for a process that has its hands full. */
import { createHash } from "node:crypto";
import { once } from "node:events";
import { Agent as HttpAgent, type ClientRequest, get, type IncomingMessage } from "node:http";
import { Agent, request } from "node:https";
import type { Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";

import { beforeAll, expect, onTestFinished, test } from "vitest";

import { podWith, reviewOf } from "../webhook/https-client.ts";
import { makePair, type TestPair } from "../webhook/made-pair.ts";
import { demoSource, DemoCacheServer, demoUrl, hello, mixed, nginx, until } from "./demo-cache.ts";
import { fetchWhole } from "./pull-client.ts";
import { makeFiles } from "./running-service.ts";
import { serve, type ServeProcess } from "./serve-process.ts";

let pair: TestPair;
beforeAll(async () => {
  pair = await makePair();
});

/** Python's; 20 MiB do not fit into the buffers of a connection. */
const repository = "demo/path/xd7r0f8g909gdswjn0kri25sl3wchgy6";

/** There was no connection that the process had taken, so that it had accepted nothing on it. */
class Unmade extends Error {}

/** The whole answer to a request. */
async function answerTo(
  sent: ClientRequest,
): Promise<{ readonly headers: IncomingMessage["headers"]; readonly bytes: Buffer }> {
  let isAccepted = false;
  sent.once("socket", (socket: Socket) => {
    if (sent.reusedSocket) isAccepted = true;
    // Of a connection without TLS the kernel may have taken the bytes alone.
    else socket.once("secureConnect", () => (isAccepted = true));
  });
  sent.once("response", () => (isAccepted = true));
  try {
    const [response] = (await once(sent, "response")) as [IncomingMessage];
    const chunks: Buffer[] = [];
    for await (const chunk of response) chunks.push(chunk as Buffer);
    expect(response.statusCode).toBe(200);
    return { headers: response.headers, bytes: Buffer.concat(chunks) };
  } catch (error) {
    throw isAccepted ? error : new Unmade();
  }
}

/** Does the same again and again until there is no connection to be had; what else fails was lost. */
async function again(work: () => Promise<void>): Promise<{ readonly done: number; readonly lost: unknown }> {
  for (let done = 0; ; done++) {
    try {
      await work();
    } catch (error) {
      return { done, lost: error instanceof Unmade ? undefined : error };
    }
  }
}

async function layerOf({ ports }: ServeProcess): Promise<{ readonly url: string; readonly digest: string }> {
  const agent = new HttpAgent();
  const base = `http://127.0.0.1:${ports.registry}/v2/${repository}`;
  const json = async (path: string) =>
    JSON.parse((await fetchWhole(base + path, agent)).bytes.toString()) as Record<
      string,
      [{ digest: string }]
    >;
  const { manifests } = await json("/manifests/1");
  const { layers } = await json(`/manifests/${manifests![0].digest}`);
  const { digest } = layers![0];
  return { url: `${base}/blobs/${digest}`, digest };
}

/** A download that has begun; it takes so many pauses of 50 ms. */
async function beginDownload(url: string): Promise<(pauses: number) => Promise<string>> {
  const [response] = (await once(get(url, { agent: new HttpAgent() }), "response")) as [IncomingMessage];
  return async (pauses) => {
    const hash = createHash("sha256");
    let left = pauses;
    for await (const chunk of response) {
      hash.update(chunk as Buffer);
      if (left-- > 0) await delay(50);
    }
    return `sha256:${hash.digest("hex")}`;
  };
}

test(
  "a process under load that gets SIGTERM answers all it has accepted, and ends with code 0",
  { timeout: 120_000 },
  async () => {
    await using cache = await DemoCacheServer.start();
    const files = await makeFiles(pair.pair);
    const sources = { demo: demoSource(demoUrl), slow: demoSource(cache.url) };
    await files.writeConfig(files.config({ sources, defaultSource: "demo" }));
    const service = await serve(files.configFile);
    const agent = new Agent({ keepAlive: true });
    onTestFinished(() => agent.destroy());
    const fresh = new Agent();

    let closing = 0;
    const admit = (by: Agent, closure: string) => async () => {
      const sent = request({
        host: "127.0.0.1",
        port: service.ports.webhook,
        path: "/mutate",
        method: "POST",
        servername: "localhost",
        ca: [pair.ca],
        agent: by,
        headers: { "content-type": "application/json" },
      });
      sent.end(JSON.stringify(reviewOf(podWith({ "nix.closure": closure }))));
      const { headers, bytes } = await answerTo(sent);
      expect(bytes.toString()).toContain('"allowed":true');
      if (by === agent && headers["connection"] === "close") closing++;
    };
    const layer = await layerOf(service);
    const downloads = await Promise.all(Array.from({ length: 6 }, async () => beginDownload(layer.url)));
    cache.stall();
    const waiting = [nginx, hello].map((root) => admit(agent, `slow:${root}`)());
    await until(() => cache.requests.length > 0);
    const registryAgent = new HttpAgent({ keepAlive: true });
    onTestFinished(() => registryAgent.destroy());
    const workers = [
      ...Array.from({ length: 6 }, () => admit(agent, hello)),
      ...Array.from({ length: 3 }, () => admit(fresh, mixed)),
      ...Array.from({ length: 3 }, () => async () => {
        const { bytes } = await answerTo(get(layer.url, { agent: registryAgent }));
        expect(`sha256:${createHash("sha256").update(bytes).digest("hex")}`).toBe(layer.digest);
      }),
    ].map(again);

    await until(async () => (await service.metric("injected_volumes_count")) > 50);
    const started = performance.now();
    service.child.kill("SIGTERM");
    await until(() => service.log.some(({ msg }) => msg === "ending"));
    cache.wake();
    for (const download of downloads) expect(await download(5)).toBe(layer.digest);
    await Promise.all(waiting);

    const outcomes = await Promise.all(workers);
    expect(outcomes.flatMap(({ lost }) => (lost === undefined ? [] : [lost]))).toEqual([]);
    expect(Math.min(...outcomes.map(({ done }) => done))).toBeGreaterThan(0);
    // Kept connections were told to go elsewhere.
    expect(closing).toBeGreaterThan(0);
    expect(await service.exited).toEqual({ code: 0, signal: null });
    // The lead for Services of 5 s, and up to 20 s for what was under way.
    expect((performance.now() - started) / 1000).toBeLessThan(25);
    expect(service.log.at(-1)).toMatchObject({ msg: "ended" });
    expect(service.log.filter(({ level }) => level === "error" || level === "fatal")).toEqual([]);
  },
);
