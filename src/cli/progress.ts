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
  return `${barOf(total === 0 ? 1 : done / total)} ${done}/${total}`;
}

/** The same for a part of 1, for instance `[########                ] 33 %`. */
export function share(part: number): string {
  return `${barOf(part)} ${Math.floor(Math.min(1, part) * 100)} %`;
}

function barOf(part: number): string {
  const width = 24;
  const filled = Math.round(width * Math.min(1, part));
  return `[${"#".repeat(filled)}${" ".repeat(width - filled)}]`;
}
