/** Lets a fixed number of pieces of work run at a time; the others wait their turn, first come, first served. */
export class Slots {
  #free: number;
  readonly #waiting: (() => void)[] = [];
  #patient: (() => void)[] = [];

  constructor(size: number) {
    this.#free = size;
  }

  /** Does the work when its turn has come. */
  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#free > 0) {
      this.#free--;
    } else {
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#release();
      else next();
    }
  }

  /** Waits until there is room that nobody waits for: what is not urgent begins then. The room is not kept for it. */
  async whenFree(): Promise<void> {
    while (this.#free === 0) await new Promise<void>((resolve) => this.#patient.push(resolve));
  }

  #release(): void {
    this.#free++;
    const patient = this.#patient;
    this.#patient = [];
    for (const wake of patient) wake();
  }
}

/** Applies an asynchronous function to all items, so many at a time; rejects with the first failure. */
export async function mapBounded<Item, Result>(
  items: readonly Item[],
  limit: number,
  apply: (item: Item) => Promise<Result>,
): Promise<Result[]> {
  const results: Result[] = [];
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < items.length) {
      const index = next++;
      try {
        results[index] = await apply(items[index] as Item);
      } catch (error) {
        // The other workers take no more.
        next = items.length;
        throw error;
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(limit, items.length) }, worker));
  return results;
}

/**
 * Applies an asynchronous function to all items, in the slot that the caller has and in so many others at most. There each
 * item waits for its turn like any other work, behind what came before it.
 *
 * @param apply is told by the signal that another item has failed, and that its result is of no use any more.
 * @throws the first failure, when all that was begun has ended
 */
export async function mapInSlots<Item, Result>(
  items: readonly Item[],
  { slots, others }: { readonly slots: Slots; readonly others: number },
  apply: (item: Item, signal: AbortSignal) => Promise<Result>,
): Promise<Result[]> {
  const failure = new AbortController();
  const waiting = [...items.entries()];
  const begun: Promise<void>[] = [];
  const results: Result[] = [];
  const begin = async (index: number, item: Item): Promise<void> => {
    try {
      results[index] = await apply(item, failure.signal);
    } catch (error) {
      waiting.length = 0;
      failure.abort(error);
    }
  };
  const next = async (): Promise<void> => {
    const [index, item] = waiting.shift() ?? [];
    if (index === undefined) return;
    const work = begin(index, item as Item);
    begun.push(work);
    await work;
  };
  const help = async (): Promise<void> =>
    slots.run(async () => {
      await next();
      // Before this slot is free, so that nobody takes it who waits until nobody waits.
      if (waiting.length > 0) void help();
    });
  for (let helpers = Math.min(others, items.length - 1); helpers > 0; helpers--) void help();
  while (waiting.length > 0) await next();
  await Promise.all(begun);
  failure.signal.throwIfAborted();
  return results;
}
