import type { X509Certificate } from "node:crypto";
import type { Logger } from "pino";
import { apiServerUnavailable } from "../errors.ts";
import type { ApiServer, StoredSecret } from "./api-server.ts";
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

  async function write(stored: StoredSecret | undefined, reason: string, now: Date): Promise<void> {
    const next = await nextAuthorities(known, validityMs, now);
    const data = formatAuthorities(next);
    const first = await (stored === undefined ? api.createSecret(data) : api.replaceSecret(stored, data));
    if (!first) return;
    const { fingerprint, notAfter } = next.current;
    log.info(
      { reason, fingerprint, notAfter, previous: next.previous.length },
      "made a certificate authority",
    );
  }

  return {
    /**
     * The authorities that are in the Secret after this call.
     * @throws apiServerUnavailable
     */
    async load(): Promise<Authorities> {
      for (let attempt = 0; attempt < attempts; attempt++) {
        const stored = await api.readSecret();
        const now = api.now();
        const found = stored && parseAuthorities(stored.data, now);
        if (found !== undefined) known = certificatesOf(found);
        if (found !== undefined && !isDue(found.current, now)) return found;
        const reason = found !== undefined ? "due" : stored === undefined ? "missing" : "unusable";
        try {
          await write(stored, reason, now);
        } catch (error) {
          if (found === undefined) throw error;
          // It signs for a third of its life yet.
          log.warn({ err: error }, "the next certificate authority cannot be kept, trying again");
          return found;
        }
      }
      throw apiServerUnavailable("keep our certificate authority", "it changes all the time");
    },
  };
}

export type AuthorityStore = ReturnType<typeof createAuthorityStore>;
