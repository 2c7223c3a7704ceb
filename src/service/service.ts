import { isDeepStrictEqual } from "node:util";
import { fastify, LogController, type FastifyBaseLogger, type FastifyInstance } from "fastify";
import type { Logger } from "pino";
import { createHealth, type Health } from "../admin/health.ts";
import { createMetrics, type Metrics } from "../admin/metrics.ts";
import { createAdminServer } from "../admin/server.ts";
import type { Config, ListenAddress } from "../config.ts";
import { createImages } from "../image/create-images.ts";
import { Pacing } from "../registry/pacing.ts";
import { registryPlugin, registryServerOptions } from "../registry/plugin.ts";
import type { CacheTimeouts } from "../resolver/cache.ts";
import type { NarLimits } from "../resolver/open-nar.ts";
import { createResolver, type Resolver } from "../resolver/resolver.ts";
import { createAdmission } from "../webhook/admission.ts";
import { clusterConditions, joinCluster } from "./cluster.ts";
import { watchConfig } from "./config-watcher.ts";
import { createCurrentResolver } from "./current-resolver.ts";
import { Ending } from "./ending.ts";
import { createListener, type App } from "./listener.ts";
import type { Role } from "./role.ts";
import { admissionSettings, resolverOptions } from "./settings.ts";
import { startWebhook } from "./webhook.ts";

export interface ServiceOptions {
  readonly config: Config;
  /** Watched for changes; undefined for none. */
  readonly configFile?: string | undefined;
  readonly role: Role;
  readonly version: string;
  readonly log: Logger;
  /** Other time limits for requests to binary caches than the usual ones, for tests. */
  readonly cacheLimits?: { readonly requests: Partial<CacheTimeouts>; readonly nar: NarLimits };
  /** Whether the first request for an image of a plan has all of its images made; left out: yes. For tests. */
  readonly readAhead?: boolean;
  /** Aborted: a start that still waits for the API server is given up. */
  readonly signal?: AbortSignal;
}

/** A running nix-closure. */
export interface Service {
  /** Ports that were bound; a part that does not run has none. */
  readonly ports: { readonly webhook?: number; readonly registry?: number; readonly admin: number };
  readonly health: Health;
  /**
   * Ends everything: accepted requests are answered, new ones refused.
   * @param leadMs how long to go on serving while unready, so that Services stop sending requests here first.
   */
  close(leadMs?: number): Promise<void>;
}

/**
 * Starts the parts of a role and listens.
 * @throws portUnavailable, certificateInvalid, fileUnreadable, cacheUrlInvalid, apiServerUnavailable, shuttingDown, and what the blob store finds wrong with
 * its directory.
 */
export async function startService(options: ServiceOptions): Promise<Service> {
  const { config, role, log, version } = options;
  const metrics = createMetrics(version);
  const clusterConfig = role === "registry" ? undefined : config.cluster;
  const health = createHealth([
    "listening",
    ...(role === "registry" ? [] : ["certificate"]),
    ...(clusterConfig === undefined ? [] : clusterConditions),
    ...(role === "webhook" ? [] : ["blobs"]),
  ]);
  const ending = new Ending();
  const serve = async (app: App, address: ListenAddress, setting: string): Promise<number> => {
    const listener = createListener(app);
    ending.listeners.push(listener);
    return listener.listen(address, setting);
  };
  try {
    const makeResolver = (from: Config) =>
      createResolver({
        ...resolverOptions(from),
        observer: metrics.resolver,
        timeouts: options.cacheLimits?.requests ?? {},
      });
    const resolver = createCurrentResolver(makeResolver(config));
    ending.last.push(() => resolver.close());
    const admin = createListener(createAdminServer({ health, metrics }));
    ending.last.push(() => admin.close());
    const ports = { admin: await admin.listen(config.admin.listen, "admin.listen") };

    const cluster =
      clusterConfig &&
      (await joinCluster({
        config: clusterConfig,
        health,
        metrics: metrics.cluster,
        log,
        signal: options.signal,
      }));
    if (cluster !== undefined) ending.last.push(() => cluster.close());
    const refusal = () => cluster?.guard.refusal();
    let inForce = config;
    let admission = createAdmission(resolver, admissionSettings(config), refusal);
    const bound: { webhook?: number; registry?: number } = {};
    let webhook: Awaited<ReturnType<typeof startWebhook>> | undefined;
    if (role !== "registry") {
      webhook = await startWebhook({
        config: config.webhook,
        cluster,
        admission: () => admission,
        log,
        metrics,
        health,
      });
      ending.last.push(() => webhook?.close());
    }
    if (role !== "webhook") {
      health.set("blobs", "being opened");
      const pacing = new Pacing(() => inForce.kubelet);
      ending.first.push(() => pacing.end());
      const registry = await openRegistry(options, { resolver, metrics, pacing });
      ending.last.push(() => registry.close());
      health.set("blobs", true);
      bound.registry = await serve(registry.app, config.registry.listen, "registry.listen");
    }
    if (webhook !== undefined)
      bound.webhook = await serve(webhook.app, config.webhook.listen, "webhook.listen");
    health.set("listening", true);
    if (options.configFile !== undefined) {
      const watcher = watchConfig({
        file: options.configFile,
        inForce: config,
        log,
        metrics: metrics.reload,
        apply(next, current) {
          inForce = next;
          if (!isDeepStrictEqual(resolverOptions(next), resolverOptions(current)))
            resolver.replace(makeResolver(next));
          // The registry has the blob store, and with it the budget, that it started with.
          const { blobs } = config.registry;
          const settings = admissionSettings({ ...next, registry: { ...next.registry, blobs } });
          admission = createAdmission(resolver, settings, refusal);
        },
      });
      ending.first.push(() => watcher.close());
    }
    let closing: Promise<void> | undefined;
    return {
      ports: { ...ports, ...bound },
      health,
      async close(leadMs = 0) {
        health.shutDown();
        for (const listener of ending.listeners) listener.leave();
        closing ??= delay(leadMs).then(() => ending.run());
        await closing;
      },
    };
  } catch (error) {
    // What goes wrong at the end of a start that failed is of no interest.
    await ending
      .run()
      .catch((endError: unknown) => log.debug({ err: endError }, "the end of a failed start"));
    throw error;
  }
}

async function openRegistry(
  { config, log, cacheLimits, readAhead = true }: ServiceOptions,
  parts: { readonly resolver: Resolver; readonly metrics: Metrics; readonly pacing: Pacing },
): Promise<{ readonly app: FastifyInstance; close(): Promise<void> }> {
  const { directory, maxBytes } = config.registry.blobs;
  const { resolver, metrics, pacing } = parts;
  const observer = metrics.images;
  const narLimits = cacheLimits?.nar;
  const images = await createImages({ resolver, directory, maxBytes, narLimits, readAhead, observer, log });
  const loggerInstance: FastifyBaseLogger = log;
  const app = fastify({
    ...registryServerOptions(metrics.registry),
    loggerInstance,
    logController: new LogController({ disableRequestLogging: true }),
    // A logger for each request, which nothing here writes to, would take half of a review's time.
    childLoggerFactory: (logger) => logger,
    return503OnClosing: false,
  });
  await app.register(registryPlugin({ images, pacing, observer: metrics.registry }));
  return { app, close: () => images.close() };
}

function delay(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
