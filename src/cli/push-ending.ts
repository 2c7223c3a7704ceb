import { pushInterrupted } from "../errors.ts";
import type { CliContext } from "./context.ts";

/** Aborts when the process is asked to end. */
export function endingOf(context: CliContext): AbortController {
  const stop = new AbortController();
  void context.ended().then((signal) => stop.abort(pushInterrupted(signal)));
  return stop;
}
