import type { CliContext } from "./context.ts";

/** A line on the terminal that says how far something is. */
export interface Progress {
  /** Says what is being done now. */
  update(text: string): void;
  /** Removes the line, so that another can be written; the next update brings it back. */
  clear(): void;
  /** Removes the line for good. */
  end(): void;
}

/** What ends sooner needs no progress line. */
const quietMs = 1000;
const intervalMs = 100;

/** Starts a progress line on standard error; it stays silent for the first second, and always where it is no terminal. */
export function startProgress(context: Pick<CliContext, "progressTo">): Progress {
  const { progressTo } = context;
  if (progressTo === undefined) return { update: () => {}, clear: () => {}, end: () => {} };
  const started = Date.now();
  let text = "";
  let shown = false;
  const timer = setInterval(() => {
    if (Date.now() - started < quietMs || text === "") return;
    shown = true;
    progressTo(`\r\u001b[K${text} (${((Date.now() - started) / 1000).toFixed(0)} s)`);
  }, intervalMs);
  timer.unref();
  const clear = (): void => {
    if (shown) progressTo("\r\u001b[K");
    shown = false;
  };
  return {
    update(next) {
      text = next;
    },
    clear,
    end() {
      clearInterval(timer);
      clear();
    },
  };
}

/** A bar of 24 characters, for instance `[########                ] 8/24`. */
export function bar(done: number, total: number): string {
  const width = 24;
  const filled = total === 0 ? width : Math.round((width * Math.min(done, total)) / total);
  return `[${"#".repeat(filled)}${" ".repeat(width - filled)}] ${done}/${total}`;
}
