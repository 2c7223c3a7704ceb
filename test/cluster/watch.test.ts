import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import type { ApiServer } from "../../src/cluster/api-server.ts";
import { connectToCluster } from "../../src/cluster/kubernetes-client.ts";
import { until } from "../service/demo-cache.ts";

const names = { namespace: "a", service: "b", webhookConfiguration: "c", secret: "d" };

/** A way to a server that answers each watch like this. */
async function connectTo(answer: (response: ServerResponse) => void): Promise<ApiServer> {
  const server = createServer((_request, response) => answer(response));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const directory = await mkdtemp(join(tmpdir(), "nix-closure-watch-"));
  const kubeconfig = join(directory, "kubeconfig");
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  await writeFile(
    kubeconfig,
    JSON.stringify({
      "current-context": "x",
      contexts: [{ name: "x", context: { cluster: "x", user: "x" } }],
      clusters: [{ name: "x", cluster: { server: url, "insecure-skip-tls-verify": true } }],
      users: [{ name: "x", user: {} }],
    }),
  );
  process.env["KUBECONFIG"] = kubeconfig;
  const api = await connectToCluster(names);
  onTestFinished(async () => {
    api.close();
    server.close();
    server.closeAllConnections();
    await rm(directory, { recursive: true });
  });
  return api;
}

test("a watch that is cut off in the middle of an event begins anew", async () => {
  let watches = 0;
  const api = await connectTo((response) => {
    watches++;
    response.writeHead(200).write('{"type":"ADDED"}\n{"type":');
    setTimeout(() => response.socket?.destroy(), 20);
  });
  let events = 0;
  api.watch("webhooks", () => events++);
  await until(() => watches >= 3 && events >= 3);
});

// By the clock on the wall, of which others on the machine can take their share.
test("a watch that is refused is tried less and less often", { retry: 2 }, async () => {
  const times: number[] = [];
  const api = await connectTo((response) => {
    times.push(performance.now());
    response.writeHead(403).end("{}");
  });
  api.watch("secret", () => undefined);
  await until(() => times.length >= 3);
  const [first = 0, second = 0, third = 0] = times;
  expect(third - second).toBeGreaterThan(1.5 * (second - first));
});

test("a watch that is ended makes no more requests", async () => {
  let watches = 0;
  const api = await connectTo((response) => {
    watches++;
    response.writeHead(200).end();
  });
  const watch = api.watch("secret", () => undefined);
  await until(() => watches >= 2);
  watch.close();
  const before = watches;
  await new Promise((resolve) => setTimeout(resolve, 1_200));
  expect(watches).toBeLessThanOrEqual(before + 1);
});
