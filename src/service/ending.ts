import type { Listener } from "./listener.ts";

type End = () => Promise<void> | void;

/** What a service has to end, and in which order. */
export class Ending {
  /** What would start something new. */
  readonly first: End[] = [];
  /** Servers, ended together: each answers first what it has accepted. */
  readonly listeners: Listener[] = [];
  /** What those need, ended one by one, the last one first. */
  readonly last: End[] = [];

  /**
   * Ends all of it, whatever fails.
   * @throws AggregateError of what failed.
   */
  async run(): Promise<void> {
    const errors: unknown[] = [];
    const attempt = async (end: End): Promise<void> => {
      try {
        await end();
      } catch (error) {
        errors.push(error);
      }
    };
    for (const end of this.first) await attempt(end);
    await Promise.all(this.listeners.map((listener) => attempt(() => listener.close())));
    for (const end of this.last.toReversed()) await attempt(end);
    if (errors.length > 0) throw new AggregateError(errors, `not all could be ended: ${errors.join("; ")}`);
  }
}
