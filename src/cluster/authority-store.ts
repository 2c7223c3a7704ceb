import type { X509Certificate } from "node:crypto";
import type { Logger } from "pino";
import { apiServerUnavailable } from "../errors.ts";
import type { ApiServer } from "./api-server.ts";
import {
  certificatesOf,
  formatAuthorities,
  isDue,
  nextAuthorities,
  parseAuthorities,
  type Authorities,
} from "./authorities.ts";

/** Whoever loses that often has replicas without end. */
const attempts = 10;

/**
 * The authorities of all replicas in one Secret. Whoever finds it missing, damaged or due makes the next one; the API
 * server takes only the first, and the others take that.
 */
export function createAuthorityStore(api: ApiServer, options: { validityMs: number; log: Logger }) {
  const { validityMs, log } = options;
  /** What this process saw last: clients may rely on it even if the Secret is gone. */
  let known: readonly X509Certificate[] = [];

  return {
    /**
     * The authorities that are in the Secret after this call.
     * @throws apiServerUnavailable
     */
    async load(now: Date): Promise<Authorities> {
      for (let attempt = 0; attempt < attempts; attempt++) {
        const stored = await api.readSecret();
        const found = stored && parseAuthorities(stored.data, now);
        if (found !== undefined && !isDue(found.current, now)) {
          known = certificatesOf(found);
          return found;
        }
        const reason = found !== undefined ? "due" : stored === undefined ? "missing" : "unusable";
        const next = await nextAuthorities(found ? certificatesOf(found) : known, validityMs, now);
        const data = formatAuthorities(next);
        const first = await (stored === undefined ? api.createSecret(data) : api.replaceSecret(stored, data));
        if (first) {
          const { fingerprint, notAfter } = next.current;
          log.info(
            { reason, fingerprint, notAfter, previous: next.previous.length },
            "made a certificate authority",
          );
        }
      }
      throw apiServerUnavailable("keep our certificate authority", "it changes all the time");
    },
  };
}

export type AuthorityStore = ReturnType<typeof createAuthorityStore>;
