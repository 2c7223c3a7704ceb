import { describeErrorAnswer } from "./error-answer.ts";
import type { HttpAnswer } from "./exchange.ts";
import { retryAfter } from "../retry-after.ts";
import { Transient } from "./transient.ts";

/** Server errors that will be the same next time: a method or an HTTP version that it lacks, a captive portal. */
const permanent = new Set([501, 505, 511]);

/** The failure that an answer tells of, if the same request can succeed later. */
export function transientFailure(answer: HttpAnswer): Transient | undefined {
  const { status } = answer;
  const again = status === 408 || status === 429 || (status >= 500 && !permanent.has(status));
  if (!again) return undefined;
  return new Transient(describeErrorAnswer(answer), {
    overloaded: status === 429 || status === 503,
    retryAfter: retryAfter(answer.headers),
  });
}
