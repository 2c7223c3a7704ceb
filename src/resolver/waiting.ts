import type { Clock } from "./clock.ts";
import { unlessAborted } from "./flights.ts";
import { whyAborted } from "./why-aborted.ts";

/**
 * Waits for work that goes on without the caller.
 *
 * @param options.what does not become known, for the message.
 * @param options.known paths that are known so far.
 * @throws resolveTimeout when the caller's time is over, its signal's reason, and what the work throws
 */
export async function waitFor<T>(
  work: Promise<T>,
  options: {
    readonly clock: Clock;
    readonly signal: AbortSignal | undefined;
    readonly what: string;
    readonly known: { readonly size: number };
  },
): Promise<T> {
  const { clock, signal, what, known } = options;
  const started = clock.now();
  return unlessAborted(work, signal, () =>
    whyAborted(signal, what, (clock.now() - started) / 1000, known.size),
  );
}
