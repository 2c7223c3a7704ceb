import Fastify, { type FastifyInstance } from "fastify";
import type { Health, HealthReport } from "./health.ts";
import type { Metrics } from "./metrics.ts";

export interface AdminServerOptions {
  readonly health: Health;
  readonly metrics: Pick<Metrics, "contentType" | "scrape">;
}

/** A probe or a scraper that takes longer to send its few headers is none. */
const requestTimeoutMs = 10_000;

/**
 * The admin server, plain HTTP: `/livez`, `/readyz` and `/metrics`. The caller listens and closes.
 *
 * It is a server of its own so that it answers while the others start, drain, or are under load.
 * Probes answer in the text form of Kubernetes' own components
 * (kubernetes.io/docs/reference/using-api/health-checks): a line for each condition, always.
 */
export function createAdminServer({ health, metrics }: AdminServerOptions): FastifyInstance {
  const server = Fastify({ requestTimeout: requestTimeoutMs, return503OnClosing: false });

  server.get("/livez", async (_request, reply) => {
    const report = health.liveness();
    await reply
      .code(report.ok ? 200 : 500)
      .headers(probeHeaders)
      .send(report.ok ? "ok" : text("livez", report));
  });

  server.get("/readyz", async (_request, reply) => {
    const report = health.readiness();
    await reply
      .code(report.ok ? 200 : 503)
      .headers(probeHeaders)
      .send(text("readyz", report));
  });

  server.get("/metrics", async (_request, reply) => {
    await reply.header("content-type", metrics.contentType).send(await metrics.scrape());
  });

  return server;
}

const probeHeaders = { "content-type": "text/plain; charset=utf-8", "cache-control": "no-store" };

function text(probe: string, report: HealthReport): string {
  const lines = report.conditions.map(({ name, state, notice }) => {
    if (state !== true) return `[-]${name}: ${oneLine(state)}`;
    return notice === undefined ? `[+]${name} ok` : `[!]${name}: ${oneLine(notice)}`;
  });
  return `${[...lines, `${probe} check ${report.ok ? "passed" : "failed"}`].join("\n")}\n`;
}

/** Reasons are messages of errors, which may hold anything. */
function oneLine(reason: string): string {
  return reason.replaceAll(/\s+/g, " ");
}
