import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { formatTree } from "../src/cli/tree.ts";
import { version } from "../src/cli/version.ts";
import { loadConfig, type Config } from "../src/config.ts";
import { createLogger } from "../src/log.ts";
import type { Closure } from "../src/nix/closure.ts";
import type { StorePath } from "../src/nix/store-path.ts";
import { createResolver } from "../src/resolver/resolver.ts";
import { startService } from "../src/service/service.ts";
import { resolverOptions } from "../src/service/settings.ts";
import { writeDevelopmentCertificates } from "../src/webhook/tls/development.ts";
import type { App } from "./apps.ts";
import { demoSource, freePort, writeDemoConfiguration } from "./configuration.ts";
import type { Stage } from "./stage.ts";

/** Webhook and registry, serving the demo's cache. */
export interface ServedDemo extends AsyncDisposable {
  /** Where API servers post reviews. */
  readonly webhook: string;
  /** The certificate of the CA that signed the webhook's, PEM. */
  readonly ca: string;
  readonly closure: Closure;
}

/** Starts webhook and registry with certificates and a configuration of this run alone, and shows the app's closure. */
export async function serveDemo({ output, signal, scratch }: Stage, { storePath }: App): Promise<ServedDemo> {
  output.step("Webhook and registry, in this process");
  const certificates = await writeDevelopmentCertificates(join(scratch, "certs"), {
    days: 1,
    now: new Date(),
  });
  const ca = await readFile(certificates.caPath, "utf8");
  const configFile = join(scratch, "nix-closure.yaml");
  const ports = { webhook: 0, admin: 0, registry: await freePort() };
  await writeDemoConfiguration(configFile, { ports, certificates, blobs: join(scratch, "blobs") });
  const config = await loadConfig(configFile);

  const closure = await resolveClosure(config, storePath, signal);

  signal.throwIfAborted();
  const service = await startService({
    config,
    role: "all",
    version,
    log: createLogger({ level: "silent" }),
  });
  const webhook = `https://127.0.0.1:${service.ports.webhook}/mutate`;
  output.line(`webhook   ${webhook}`);
  output.line(`registry  http://${config.registry.reference}`);
  output.line(`source    ${demoSource}: the signed binary cache in demo/cache`);

  output.step("The closure, as the cache's signed narinfos have it");
  for (const line of formatTree(closure).trimEnd().split("\n")) output.line(line);
  return { webhook, ca, closure, [Symbol.asyncDispose]: () => service.close() };
}

async function resolveClosure(config: Config, storePath: StorePath, signal: AbortSignal): Promise<Closure> {
  const resolver = createResolver(resolverOptions(config));
  try {
    return await resolver.resolve(demoSource, [storePath], signal);
  } finally {
    await resolver.close();
  }
}
