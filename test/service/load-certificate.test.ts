/** Certificate files that change, rightly and wrongly, while requests come over old and new connections. */
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { Agent } from "node:https";
import { connect } from "node:tls";
import { join } from "node:path";

import { beforeAll, expect, onTestFinished, test } from "vitest";

import { podWith, reviewOf } from "../webhook/https-client.ts";
import { makePair, type TestPair } from "../webhook/made-pair.ts";
import { hello, until } from "./demo-cache.ts";
import { makeFiles, run } from "./running-service.ts";

let pairs: readonly [TestPair, TestPair, TestPair];
beforeAll(async () => {
  pairs = await Promise.all([makePair(), makePair(), makePair()]);
});

/** The certificate that a new connection gets. */
async function fingerprint(port: number): Promise<string> {
  const socket = connect({ host: "127.0.0.1", port, servername: "localhost", rejectUnauthorized: false });
  try {
    await once(socket, "secureConnect");
    return socket.getPeerCertificate().fingerprint256;
  } finally {
    socket.destroy();
  }
}

test("swapped many times under load, not one request fails, and broken pairs are never in force", async () => {
  const files = await makeFiles(pairs[0].pair);
  const running = await run(files, "webhook");
  const port = running.service.ports.webhook ?? 0;
  const agent = new Agent({ keepAlive: true, maxSockets: 3 });
  onTestFinished(() => agent.destroy());
  const ca = pairs.map((each) => each.ca);
  const clients = [agent, agent, agent, new Agent(), new Agent()].map((each) => running.client(ca, each));
  const review = reviewOf(podWith({ "nix.closure": hello }));
  const over = new AbortController();
  let answers = 0;
  const load = clients.map(async (client) => {
    while (!over.signal.aborted) {
      expect(await client.review(review)).toMatchObject({ allowed: true });
      answers++;
    }
  });
  // A failure is heard at the end.
  for (const each of load) each.catch(() => undefined);

  const [certFile, keyFile] = ["tls.pem", "tls.key"].map((name) => join(files.directory, name)) as [
    string,
    string,
  ];
  const broken = ["", "garbage", "-----BEGIN CERTIFICATE-----\n"];
  const rejections = async () => (await running.metric('certificate_reloads_total{outcome="rejected"}')) ?? 0;
  for (let swap = 1; swap <= 9; swap++) {
    const { pair } = pairs[swap % 3]!;
    const before = pairs[(swap - 1) % 3]!.pair.fingerprint;
    // Not whole at once, as a hand with an editor does it, and with what is none in between.
    const half = pair.certificatePem.slice(0, pair.certificatePem.length / 2);
    await writeFile(certFile, half);
    expect(await fingerprint(port)).toBe(before);
    for (const text of [broken[swap % broken.length]!, pair.certificatePem]) {
      const known = await rejections();
      await writeFile(certFile, text);
      await until(async () => (await rejections()) > known);
      expect(await fingerprint(port)).toBe(before);
    }
    await writeFile(keyFile, pair.keyPem);
    const seen = answers;
    await until(async () => {
      const now = await fingerprint(port);
      expect([before, pair.fingerprint]).toContain(now);
      return now === pair.fingerprint;
    });
    await until(() => answers > seen + 10);
  }
  over.abort();
  await Promise.all(load);
  expect(await running.metric('certificate_reloads_total{outcome="accepted"}')).toBe(9);
});
