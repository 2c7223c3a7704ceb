import { formatBytes } from "../errors.ts";
import type { Progress as PushState } from "../push/tally.ts";
import { note, type CliContext } from "./context.ts";
import { share, startProgress } from "./progress.ts";

/** Where there is no terminal, a line says now and then how far it is. Milliseconds. */
const plainIntervalMs = 10_000;
const terminalIntervalMs = 200;
/** Before so much is done (of 1) or so long (milliseconds), a guess of the time left is worth nothing. */
const guess = { share: 0.02, afterMs: 2_000 } as const;

/** Tells a person how far a push is. */
export interface PushProgress {
  /** Something that is done before there is anything to count. */
  step(text: string): void;
  /** A line that stays. */
  line(text: string): void;
  end(): void;
}

/**
 * Starts to tell on standard error: a line that changes on a terminal, else one every ten seconds.
 *
 * @param state how far it is; a total of 0 for not begun.
 */
export function startPushProgress(
  context: CliContext,
  state: () => PushState,
  now: () => number = () => performance.now(),
): PushProgress {
  const terminal = startProgress(context);
  const isTerminal = context.progressTo !== undefined;
  let started: number | undefined;
  const timer = setInterval(
    () => {
      const current = state();
      if (current.total === 0) return;
      started ??= now();
      const text = describe(current, now() - started);
      if (isTerminal) terminal.update(text);
      else note(context, text);
    },
    isTerminal ? terminalIntervalMs : plainIntervalMs,
  );
  timer.unref();
  return {
    step: (text) => terminal.update(text),
    line(text) {
      terminal.clear();
      note(context, text);
    },
    end() {
      clearInterval(timer);
      terminal.end();
    },
  };
}

/** For instance `[######      ] 25 % of 1.0 GiB, 80.0 MiB sent, 40 s left`. */
export function describe({ done, total, sentBytes }: PushState, elapsedMs: number): string {
  const part = Math.min(1, done / total);
  const left =
    part < guess.share || elapsedMs < guess.afterMs
      ? ""
      : `, ${Math.ceil(((elapsedMs / part) * (1 - part)) / 1000)} s left`;
  return `${share(part)} of ${formatBytes(total)}, ${formatBytes(sentBytes)} sent${left}`;
}
