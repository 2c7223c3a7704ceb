import { resolveTimeout } from "../errors.ts";

/**
 * The error for who waits no longer: about time only if that is the signal's reason, else the reason itself.
 *
 * @param what did not become known, for the message.
 * @param known paths that are known so far.
 */
export function whyAborted(
  signal: AbortSignal | undefined,
  what: string,
  seconds: number,
  known: number,
): Error {
  const reason: unknown = signal?.reason;
  const isTime = reason instanceof DOMException && reason.name === "TimeoutError";
  if (isTime || !(reason instanceof Error)) return resolveTimeout(what, seconds, known);
  return reason;
}
