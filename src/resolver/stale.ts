import type { Clock } from "./clock.ts";

/** How long an answer is waited for where an older one is known (milliseconds), and when it is asked for again. */
const staleWait = 2_000;
export const staleFor = 10_000;

/**
 * What a request gives, or what is known from before, if it takes long; the request goes on.
 *
 * @param keepStale keeps what is known for {@link staleFor} more, and gives it.
 */
export async function unlessLate<Answer>(
  request: Promise<Answer>,
  clock: Clock,
  keepStale: () => Answer,
): Promise<Answer> {
  const over = new AbortController();
  const end = (): void => over.abort();
  request.then(end, end);
  return Promise.race([request, clock.sleep(staleWait, over.signal).then(keepStale)]);
}
