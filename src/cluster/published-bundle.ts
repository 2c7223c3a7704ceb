import type { Logger } from "pino";
import { unrefTimers, type Timers } from "../reload.ts";
import type { KeyPair } from "../webhook/tls/key-pair.ts";
import type { ApiServer, ClusterNames } from "./api-server.ts";
import { ownBundles, publishedState } from "./ca-bundle.ts";
import { createReconciler } from "./reconciler.ts";

const intervalMs = 10_000;

/** Watches whether a caBundle that somebody else publishes, for instance cert-manager, verifies what is served. */
export function watchPublishedBundle(options: {
  readonly api: Pick<ApiServer, "readWebhooks" | "watch" | "now">;
  readonly names: ClusterNames;
  readonly served: () => KeyPair;
  readonly onState: (state: true | string) => void;
  readonly log: Logger;
  readonly timers?: Timers;
}): { check(): void; close(): void } {
  const { api, names, served, onState, log } = options;
  const reconciler = createReconciler({
    async work() {
      const bundles = ownBundles(await api.readWebhooks(), names);
      onState(publishedState(bundles, names, served(), api.now()));
    },
    onError: (error) => log.warn({ err: error }, "caBundle is not known, trying again"),
    intervalMs,
    timers: options.timers ?? unrefTimers,
  });
  const watch = api.watch("webhooks", () => reconciler.trigger());
  void reconciler.run();
  return {
    check: () => reconciler.trigger(),
    close() {
      watch.close();
      reconciler.close();
    },
  };
}
