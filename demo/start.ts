/** `npm start [-- <directory of certificates>]`: serves the demo's cache until Ctrl-C, and says what to try. */
import { once } from "node:events";
import { join } from "node:path";
import { styleText } from "node:util";
import { version } from "../src/cli/version.ts";
import { loadConfig } from "../src/config.ts";
import { createLogger } from "../src/log.ts";
import { baseName, storeHash } from "../src/nix/store-path.ts";
import { conversionVersion, formatImageName } from "../src/plan/image-name.ts";
import { startService } from "../src/service/service.ts";
import { defaultRoot, findApp } from "./apps.ts";
import { ensureCertificates, type CertificateFiles } from "./certificates.ts";
import { demoSource, freePort, writeDemoConfiguration } from "./configuration.ts";
import { reportFailure } from "./failure.ts";
import { interruptionSignal } from "./interruption.ts";
import { makeScratch, removeScratch } from "./scratch.ts";

/** Ports as in production, but for the webhook's: 10250 is the kubelet's on a machine that has one. */
const wantedPorts = { webhook: 8443, registry: 5417, admin: 5418 };
type Ports = typeof wantedPorts;

/** Decodes the patch of an AdmissionReview, with any Node. */
const decodePatch = `node -p 'atob(JSON.parse(require("fs").readFileSync(0)).response.patch)'`;

try {
  await start(process.argv[2] ?? "certs", interruptionSignal());
} catch (error) {
  reportFailure(error);
}

async function start(certificateDirectory: string, signal: AbortSignal): Promise<void> {
  const certificates = await ensureCertificates(certificateDirectory, new Date());
  const scratch = await makeScratch();
  try {
    const ports = await choosePorts();
    const configFile = join(scratch, "config.yaml");
    await writeDemoConfiguration(configFile, { ports, certificates, blobs: join(scratch, "blobs") });
    const config = await loadConfig(configFile);
    const log = createLogger({ level: "warn" });
    const service = await startService({ config, configFile, role: "all", version, log });
    try {
      process.stdout.write(await welcome(ports, certificates, configFile));
      if (!signal.aborted) await once(signal, "abort");
    } finally {
      await service.close();
    }
  } finally {
    await removeScratch(scratch);
  }
}

async function choosePorts(): Promise<Ports> {
  const ports = { ...wantedPorts };
  for (const part of ["webhook", "registry", "admin"] as const) {
    ports[part] = await freePort(wantedPorts[part]);
    if (ports[part] === wantedPorts[part]) continue;
    process.stdout.write(`port ${wantedPorts[part]} is taken; the ${part} listens at ${ports[part]}\n`);
  }
  return ports;
}

/** What runs where, and commands that work by copy and paste. */
async function welcome(ports: Ports, { caPath }: CertificateFiles, configFile: string): Promise<string> {
  const { storePath } = await findApp(defaultRoot);
  const image = {
    kind: "path",
    source: demoSource,
    hash: storeHash(storePath),
    version: conversionVersion,
  } as const;
  const { repository, tag } = formatImageName(image);
  const cli = (command: string, argument: string): string =>
    `npx nix-closure ${command} --config ${configFile} \\\n     ${argument}`;
  const review = [
    `curl -sS --cacert ${caPath} -H 'Content-Type: application/json' \\`,
    `--data @demo/review.json https://127.0.0.1:${ports.webhook}/mutate |`,
    decodePatch,
  ];
  const tries: readonly (readonly [string, string])[] = [
    ["Admit a Pod as an API server would, and see the patch:", review.join("\n     ")],
    ["The closure of a store path:", cli("resolve", baseName(storePath))],
    ["Its volumes:", cli("plan", baseName(storePath))],
    ["A manifest with its volumes put in:", cli("inject", "-f demo/pod.yaml")],
    ["What a node pulls:", `curl -sS http://localhost:${ports.registry}/v2/${repository}/manifests/${tag}`],
    ["Metrics:", `curl -sS http://127.0.0.1:${ports.admin}/metrics`],
  ];
  return [
    styleText("bold", `nix-closure ${version} serves the demo's cache until Ctrl-C`),
    `   webhook   https://127.0.0.1:${ports.webhook}/mutate`,
    `   registry  http://localhost:${ports.registry}`,
    `   admin     http://127.0.0.1:${ports.admin}/readyz`,
    `   config    ${configFile}`,
    "",
    ...tries.flatMap(([what, command]) => [
      ...(what === "" ? [] : [what]),
      `   ${styleText("cyan", command)}`,
    ]),
    "",
    "",
  ].join("\n");
}
