import { isDeepStrictEqual } from "node:util";
import type { Logger } from "pino";
import type { ReloadMetrics } from "../admin/metrics.ts";
import { parseConfig, type Config } from "../config.ts";
import { watchFiles, type FileWatcher } from "../reload.ts";

/** What is read at the start alone, with the keys that a person changes. */
const fixedAtStart: Readonly<Record<string, (config: Config) => unknown>> = {
  "registry.listen": ({ registry }) => registry.listen,
  "registry.blobs": ({ registry }) => registry.blobs,
  webhook: ({ webhook }) => webhook,
  cluster: ({ cluster }) => cluster,
  admin: ({ admin }) => admin,
  log: ({ log }) => log,
};

/**
 * Watches the configuration file.
 * @param inForce the configuration that the process has started with.
 * @param apply takes the new configuration, or throws what is wrong with it; the last good one then stays in force.
 */
export function watchConfig(options: {
  readonly file: string;
  readonly inForce: Config;
  readonly log: Logger;
  readonly metrics: ReloadMetrics;
  readonly apply: (next: Config, current: Config) => void;
}): FileWatcher {
  const { file, inForce, log, metrics, apply } = options;
  let current = inForce;
  return watchFiles(
    [file],
    ([text]) => {
      const next = parseConfig(text, file);
      if (isDeepStrictEqual(next, current)) return;
      apply(next, current);
      current = next;
      metrics.configReload("accepted");
      log.info({ file }, "configuration reloaded");
      for (const [part, of] of Object.entries(fixedAtStart)) {
        if (!isDeepStrictEqual(of(next), of(inForce))) log.warn({ part }, "takes effect at the next start");
      }
    },
    {
      onReadError: (error) => {
        metrics.configReload("unreadable");
        log.warn({ err: error }, "configuration unreadable, the last one stays in force");
      },
      onRejected: (error) => {
        metrics.configReload("rejected");
        log.warn({ err: error }, "configuration refused, the last good one stays in force");
      },
    },
  );
}
