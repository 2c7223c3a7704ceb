import type { Output } from "./output.ts";

/** What each step of the demo works with. */
export interface Stage {
  readonly output: Output;
  /** Fires when the person at the terminal has seen enough. */
  readonly signal: AbortSignal;
  /** A directory that is removed at the end. */
  readonly scratch: string;
}
