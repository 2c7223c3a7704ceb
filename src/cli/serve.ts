import { buildCommand } from "@stricli/core";
import { createLogger, logLevels } from "../log.ts";
import { roles, type Role } from "../service/role.ts";
import type { CliContext } from "./context.ts";
import { configFlag } from "./flags.ts";
import { version } from "./version.ts";

interface Flags {
  readonly config?: string;
  readonly role: Role;
  readonly logLevel?: (typeof logLevels)[number];
}

/**
 * How long the webhook goes on serving after SIGTERM: endpoints are removed from Services in a second or two, but
 * nothing tells us when every API server has seen it. Milliseconds.
 */
const leadMs = 5_000;

export const serveCommand = buildCommand({
  docs: {
    brief: "Run the webhook, the registry, or both",
    fullDescription:
      "Serves until SIGTERM or SIGINT. The configuration and the certificate files are read again when they change. " +
      "The log goes to standard output, a JSON object a line.",
  },
  parameters: {
    flags: {
      config: configFlag,
      role: { kind: "enum", values: roles, brief: "Parts to run", default: "all" },
      logLevel: {
        kind: "enum",
        values: logLevels,
        brief: "Lines to write (default: the configuration's log.level)",
        optional: true,
      },
    },
  },
  async func(this: CliContext, flags: Flags): Promise<void> {
    const [{ openConfig }, { startService }] = await Promise.all([
      import("./open-config.ts"),
      import("../service/service.ts"),
    ]);
    const { config, file: configFile } = await openConfig(flags.config);
    const { role } = flags;
    if (role !== "webhook" && !config.registry.enabled) {
      const { configInvalid } = await import("../errors.ts");
      throw configInvalid(configFile ?? "defaults", [
        `registry.enabled: false leaves the webhook alone, and not the role ${role}; run "nix-closure serve --role webhook"`,
      ]);
    }
    const log = createLogger({ level: flags.logLevel ?? config.log.level });
    const ended = this.ended();
    const start = new AbortController();
    void ended.then(() => start.abort());
    const service = await startService({ config, configFile, role, version, log, signal: start.signal });
    log.info({ version, role, ports: service.ports }, "serving");
    const signal = await ended;
    log.info({ signal }, "ending");
    // A person at a terminal waits for nothing; a cluster needs time to stop sending requests here.
    await service.close(signal === "SIGTERM" && role !== "registry" ? leadMs : 0);
    log.info("ended");
  },
});
