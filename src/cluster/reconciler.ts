import type { Timers } from "../reload.ts";

/** After a failure: the next attempt comes this soon, then twice as late each time. Milliseconds. */
const firstRetryMs = 500;
/** Triggers that come faster are taken together, so that somebody who undoes our work costs little. Milliseconds. */
const triggerPauseMs = 200;

/** Work that brings things into their wanted state, done again and again. */
export interface Reconciler {
  /** Has the work done soon. */
  trigger(): void;
  /** Does it now, or after what is under way. */
  run(): Promise<void>;
  /** No more work is begun; what is under way ends by itself. */
  close(): void;
}

/** Calls `work` when triggered and at every interval, after a failure sooner, and never twice at a time. */
export function createReconciler(options: {
  readonly work: () => Promise<void>;
  readonly onError: (error: unknown) => void;
  readonly intervalMs: number;
  readonly timers: Timers;
}): Reconciler {
  const { work, onError, intervalMs, timers } = options;
  let closed = false;
  let running: Promise<void> | undefined;
  let again = false;
  let failures = 0;
  let cancel = (): void => undefined;
  let cancelTrigger: (() => void) | undefined;

  async function once(): Promise<void> {
    cancel();
    try {
      await work();
      failures = 0;
    } catch (error) {
      failures++;
      if (!closed) onError(error);
    }
    const wait = failures === 0 ? intervalMs : Math.min(intervalMs, firstRetryMs * 2 ** (failures - 1));
    if (!closed) cancel = timers.after(wait, () => void run());
  }

  async function all(): Promise<void> {
    while (again) {
      again = false;
      await once();
    }
    running = undefined;
  }

  async function run(): Promise<void> {
    if (closed) return;
    again = true;
    running ??= all();
    await running;
  }

  return {
    trigger() {
      cancelTrigger ??= timers.after(triggerPauseMs, () => {
        cancelTrigger = undefined;
        void run();
      });
    },
    run,
    close() {
      closed = true;
      again = false;
      cancel();
      cancelTrigger?.();
    },
  };
}
