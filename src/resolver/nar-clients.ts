import { LRUCache } from "lru-cache";
import { systemClock } from "./clock.ts";
import { HttpClient } from "./http-client.ts";
import type { NarLimits } from "./open-nar.ts";
import { Retries } from "./retries.ts";

/** Of each thread, for worker threads cannot share connections. A replica has a handful of caches. */
const clients = new LRUCache<string, { readonly client: HttpClient; readonly retries: Retries }>({
  max: 32,
  dispose: ({ client }) => void client.retire(),
});

/** The connections to a cache, with what is known of its troubles. */
export function connectionsOf(
  cache: string,
  origin: string,
  limits: NarLimits,
): { client: HttpClient; retries: Retries } {
  const key = `${origin} ${cache} ${JSON.stringify(limits)}`;
  const known = clients.get(key);
  if (known !== undefined) return known;
  const made = {
    client: new HttpClient({ cache, origin }, limits),
    retries: new Retries(cache, systemClock),
  };
  clients.set(key, made);
  return made;
}
