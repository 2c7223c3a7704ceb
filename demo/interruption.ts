import { constants } from "node:os";

const names = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/** A signal that fires when this process is asked to end; its reason is an Interrupted. */
export function interruptionSignal(): AbortSignal {
  const controller = new AbortController();
  for (const name of names) process.on(name, () => controller.abort(new Interrupted(name)));
  return controller.signal;
}

/** The process was asked to end. */
export class Interrupted extends Error {
  /** What shells report of a process that the signal ended. */
  readonly exitCode: number;

  constructor(name: (typeof names)[number]) {
    super(`interrupted by ${name}`);
    this.exitCode = 128 + constants.signals[name];
  }
}
