/** Keeps a thing until it is called. */
export type Release = () => void;

/**
 * What clients were told of is kept for them until they have come for it, but not for long: in a store that is too small
 * for all that is asked of it, it would be gone before, and made again and again for nobody.
 */
export class Leases<Key> {
  readonly #milliseconds: number;
  readonly #leases = new Map<Key, { clients: number; readonly end: () => void }>();

  /** @param milliseconds how long a thing is kept from the first client on, however many there are. */
  constructor(milliseconds: number) {
    this.#milliseconds = milliseconds;
  }

  /** A client was told of a thing. */
  begin(key: Key, hold: () => Release): void {
    const lease = this.#leases.get(key);
    if (lease !== undefined) {
      lease.clients++;
      return;
    }
    const release = hold();
    const timer = setTimeout(() => this.end(key), this.#milliseconds);
    timer.unref();
    const end = (): void => {
      clearTimeout(timer);
      release();
    };
    this.#leases.set(key, { clients: 1, end });
  }

  /** A client has come for a thing; after the last one it is kept no longer. */
  serve(key: Key): void {
    const lease = this.#leases.get(key);
    if (lease !== undefined && --lease.clients === 0) this.end(key);
  }

  /** A thing is kept no longer. */
  end(key: Key): void {
    const lease = this.#leases.get(key);
    this.#leases.delete(key);
    lease?.end();
  }

  endAll(): void {
    for (const key of this.#leases.keys()) this.end(key);
  }
}
