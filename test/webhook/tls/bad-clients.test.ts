/** Clients that are slow, broken, greedy, or gone without a word: bounded, cut off in time, and in nobody's way. */
import { beforeAll, expect, test } from "vitest";

import { hello, until } from "../../service/demo-cache.ts";
import { podWith, reviewOf } from "../https-client.ts";
import { makePair, type TestPair } from "../made-pair.ts";
import { openTls, type RunningWebhook, startWebhook } from "../running-webhook.ts";
import { badClients, ended } from "./bad-clients.ts";

let pair: TestPair;
beforeAll(async () => {
  pair = await makePair();
});

/** A tenth of the usual ones, and less. */
const limits = {
  handshake: 1_000,
  headers: 1_500,
  request: 2_500,
  idle: 1_500,
  interval: 100,
};
const review = reviewOf(podWith({ "nix.closure": hello }));
const atATime = 6;

const connectionsOf = ({ server }: RunningWebhook): Promise<number> =>
  new Promise((resolve, reject) =>
    server.app.server.getConnections((error, count) => (error ? reject(error) : resolve(count))),
  );

/**
 * Reviews one after the other over connections of its own, until it is ended; the longest time one took, in milliseconds.
 * A machine with much to do may cut one off in its handshake now and then.
 */
function goodClient({ client }: RunningWebhook): { end(): Promise<number> } {
  const over = new AbortController();
  const longest = (async () => {
    let most = 0;
    const outcomes = { served: 0, cutOff: 0 };
    while (!over.signal.aborted) {
      const started = performance.now();
      try {
        expect(await client.review(review)).toMatchObject({ allowed: true });
        outcomes.served++;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "ECONNRESET") throw error;
        outcomes.cutOff++;
      }
      most = Math.max(most, performance.now() - started);
    }
    expect(outcomes.served).toBeGreaterThan(4 * outcomes.cutOff);
    return most;
  })();
  longest.catch(() => undefined);
  return {
    end() {
      over.abort();
      return longest;
    },
  };
}

test("many clients of every kind at once are all cut off, and others are served meanwhile", async () => {
  const running = await startWebhook(pair, { limits });
  const good = goodClient(running);
  const started = await Promise.all(
    Object.entries(badClients).map(async ([kind, start]) => {
      const clients = Array.from({ length: atATime }, async () => start(running.port));
      // A machine with much to do may cut some off in their handshake.
      const sockets = await Promise.allSettled(clients);
      return [kind, sockets.flatMap((each) => (each.status === "fulfilled" ? [each.value] : []))] as const;
    }),
  );
  for (const [kind, sockets] of started) expect(sockets.length, kind).toBeGreaterThan(0);
  const open = () =>
    started.filter(([, sockets]) => sockets.some(({ closed }) => !closed)).map(([kind]) => kind);
  await expect
    .poll(async () => ((await connectionsOf(running)) <= 1 ? [] : open()), { timeout: 20_000 })
    .toEqual([]);
  // They see it too, those that read nothing as soon as they do.
  await Promise.all(started.flatMap(([, sockets]) => sockets.map(ended)));
  expect(await good.end()).toBeLessThan(20_000);
  expect(running.inFlight).toBe(0);
  expect(await running.client.review(review)).toMatchObject({ allowed: true });
});

test("more connections than there may be are refused at once, until others have been cut off", async () => {
  const running = await startWebhook(pair, { limits: { ...limits, connections: 10 } });
  const start = badClients["connects and says nothing"]!;
  const sockets = await Promise.all(Array.from({ length: 10 }, async () => start(running.port)));
  await until(async () => (await connectionsOf(running)) === 10);
  await expect(openTls(running.port, pair)).rejects.toThrow();
  await Promise.all(sockets.map(ended));
  expect(await running.client.review(review)).toMatchObject({ allowed: true });
});

test("a body that is too large takes no more than the limit before it is refused", async () => {
  const running = await startWebhook(pair, { limits: { ...limits, request: 60_000 } });
  for (const name of ["sends chunks without end", "announces a body of an exabyte"]) {
    const socket = await badClients[name]!(running.port);
    let answer = "";
    socket.on("data", (text) => (answer += String(text)));
    await ended(socket);
    expect(answer).toMatch(/^(HTTP\/1\.1 413 |$)/);
    // What the kernels of both ends hold comes on top of 7 MiB.
    expect(socket.bytesWritten).toBeLessThan(40 * 2 ** 20);
  }
});
