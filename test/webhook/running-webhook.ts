import { once } from "node:events";
import type { Agent } from "node:https";
import type { AddressInfo } from "node:net";
import { connect, type ConnectionOptions, type TLSSocket } from "node:tls";
import { onTestFinished } from "vitest";
import { createLogger } from "../../src/log.ts";
import { createResolver } from "../../src/resolver/resolver.ts";
import { createAdmission } from "../../src/webhook/admission.ts";
import type { ConnectionLimits } from "../../src/webhook/connection-limits.ts";
import type { ReviewOutcome } from "../../src/webhook/review.ts";
import { createWebhookServer, type WebhookServer } from "../../src/webhook/server.ts";
import { demoKey, demoUrl } from "../service/demo-cache.ts";
import { ReviewClient } from "./https-client.ts";
import type { TestPair } from "./made-pair.ts";

export interface RunningWebhook {
  readonly server: WebhookServer;
  readonly port: number;
  readonly client: ReviewClient;
  /** Reviews that came in and have no answer yet. */
  inFlight: number;
  readonly outcomes: ReviewOutcome[];
}

/** A webhook on a free port, with the demo's cache as its source `demo`; it ends with the test. */
export async function startWebhook(
  { pair, ca }: TestPair,
  options: {
    readonly cache?: string;
    readonly namespaces?: readonly string[];
    readonly minVersion?: "TLSv1.2" | "TLSv1.3";
    readonly agent?: Agent;
    readonly limits?: Partial<ConnectionLimits>;
  } = {},
): Promise<RunningWebhook> {
  const { cache = demoUrl, namespaces = ["*"], minVersion = "TLSv1.2", agent, limits = {} } = options;
  const resolver = createResolver({
    sources: [{ name: "demo", caches: [cache], publicKeys: [demoKey] }],
    limits: { maxPaths: 100, maxBytes: 2 ** 30 },
  });
  onTestFinished(() => resolver.close());
  const admission = createAdmission(resolver, {
    sources: [{ name: "demo", namespaces }],
    defaultSource: "demo",
    host: "localhost:5417",
    hasRegistry: true,
    baseImage: "localhost:5417/base:1",
    strategy: "auto",
    maxVolumes: 48,
    kubelet: { registryPullQPS: 5, registryBurst: 10 },
    maxImageBytes: 2 ** 30,
    slowStartWarnings: false,
  });
  const state = { inFlight: 0, outcomes: [] as ReviewOutcome[] };
  const server = createWebhookServer({
    admission: () => admission,
    keyPair: pair,
    tls: { minVersion },
    limits,
    log: createLogger({ level: "silent" }),
    observer: {
      waiting: (change) => (state.inFlight += change),
      admission: (event) => state.outcomes.push(event),
    },
  });
  await server.app.listen({ port: 0, host: "127.0.0.1" });
  onTestFinished(async () => {
    server.app.server.closeAllConnections();
    await server.app.close();
  });
  const { port } = server.app.server.address() as AddressInfo;
  const client = new ReviewClient(port, { ca, ...(agent === undefined ? {} : { agent }) });
  return Object.assign(state, { server, port, client });
}

/** A TLS connection that believes the CA of a pair; rejects with what the handshake fails with. */
export async function openTls(
  port: number,
  { ca }: TestPair,
  options: ConnectionOptions = {},
): Promise<TLSSocket> {
  const socket = connect({
    host: "127.0.0.1",
    port,
    servername: "localhost",
    ca,
    ...options,
  });
  onTestFinished(() => void socket.destroy());
  await once(socket, "secureConnect");
  return socket;
}
