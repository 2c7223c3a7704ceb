import { stringify } from "yaml";
import { createMetrics } from "../src/admin/metrics.ts";
import { parseConfig } from "../src/config.ts";
import { createLogger } from "../src/log.ts";
import { createResolver } from "../src/resolver/resolver.ts";
import { admissionSettings, resolverOptions } from "../src/service/settings.ts";
import { createAdmission } from "../src/webhook/admission.ts";
import { createWebhookServer } from "../src/webhook/server.ts";
import { makePair } from "../test/webhook/made-pair.ts";
import { syntheticKey } from "./synthetic-paths.ts";

/** What is left of a webhook without sockets and TLS: bytes of a review in, bytes of the answer out. */
export interface ReviewServer extends AsyncDisposable {
  answer(review: string): Promise<string>;
}

/** Makes webhooks, each of which knows nothing yet, over one cache and with the configuration's defaults. */
export async function reviewServers(cache: string): Promise<() => ReviewServer> {
  const config = parseConfig(
    stringify({ sources: { main: { caches: [cache], publicKeys: [syntheticKey] } } }),
    "the benchmark",
  );
  const { pair: keyPair } = await makePair();
  const log = createLogger({ level: "silent" });
  return () => {
    const metrics = createMetrics("bench");
    const resolver = createResolver({ ...resolverOptions(config), observer: metrics.resolver });
    const admission = createAdmission(resolver, admissionSettings(config));
    const { app } = createWebhookServer({
      admission: () => admission,
      keyPair,
      tls: { minVersion: "TLSv1.2" },
      log,
      observer: metrics.webhook,
    });
    return {
      async answer(review) {
        const headers = { "content-type": "application/json" };
        const { statusCode, payload } = await app.inject({
          method: "POST",
          url: "/mutate?timeout=30s",
          headers,
          payload: review,
        });
        if (statusCode !== 200) throw new Error(`the webhook answered ${statusCode}: ${payload}`);
        return payload;
      },
      async [Symbol.asyncDispose]() {
        await app.close();
        await resolver.close();
      },
    };
  };
}
