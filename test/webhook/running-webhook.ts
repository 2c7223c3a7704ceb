import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import type { Agent } from "node:https";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect, type ConnectionOptions, type TLSSocket } from "node:tls";
import { onTestFinished } from "vitest";
import { createLogger } from "../../src/log.ts";
import { createResolver } from "../../src/resolver/resolver.ts";
import { createAdmission } from "../../src/webhook/admission.ts";
import type { ReviewOutcome } from "../../src/webhook/review.ts";
import { createWebhookServer, type WebhookServer } from "../../src/webhook/server.ts";
import { writeDevelopmentCertificates } from "../../src/webhook/tls/development.ts";
import { parseKeyPair, type KeyPair } from "../../src/webhook/tls/key-pair.ts";
import { demoKey, demoUrl } from "../service/demo-cache.ts";
import { ReviewClient } from "./https-client.ts";

/** A server's key pair, and the certificate of the CA that signed it, PEM. */
export interface TestPair {
  readonly pair: KeyPair;
  readonly ca: string;
}

/** Makes a key pair with a CA of its own. */
export async function makePair(): Promise<TestPair> {
  const directory = await mkdtemp(join(tmpdir(), "nix-closure-webhook-"));
  try {
    const files = await writeDevelopmentCertificates(directory, { days: 1, now: new Date() });
    const pem = {
      certificatePem: await readFile(files.certificatePath, "utf8"),
      keyPem: await readFile(files.keyPath, "utf8"),
    };
    const pair = parseKeyPair(pem, { certificate: files.certificatePath, key: files.keyPath });
    return { pair, ca: await readFile(files.caPath, "utf8") };
  } finally {
    await rm(directory, { recursive: true });
  }
}

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
  } = {},
): Promise<RunningWebhook> {
  const { cache = demoUrl, namespaces = ["*"], minVersion = "TLSv1.2", agent } = options;
  const resolver = createResolver({
    sources: [{ name: "demo", caches: [cache], publicKeys: [demoKey] }],
    limits: { maxPaths: 100, maxBytes: 2 ** 30 },
  });
  onTestFinished(() => resolver.close());
  const admission = createAdmission(resolver, {
    sources: [{ name: "demo", namespaces }],
    defaultSource: "demo",
    host: "localhost:5417",
    strategy: "auto",
    maxImageBytes: 2 ** 30,
  });
  const state = { inFlight: 0, outcomes: [] as ReviewOutcome[] };
  const server = createWebhookServer({
    admission: () => admission,
    keyPair: pair,
    tls: { minVersion },
    log: createLogger({ level: "silent" }),
    observer: {
      admissionStarted: () => state.inFlight++,
      admission: (event) => {
        state.inFlight--;
        state.outcomes.push(event);
      },
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
