import { blobBudgetExhausted, formatBytes } from "../errors.ts";

/** Bytes of the store that are set aside for a layer being made. */
export interface Reservation {
  /** So many, now. */
  readonly bytes: number;
  /**
   * Sets aside as many as are needed in all. One call at a time.
   *
   * @throws blobBudgetExhausted
   */
  growTo(bytes: number): Promise<void>;
  /** The layer is a blob of the store now, with so many bytes; the rest is given back. */
  settle(bytes: number): void;
  /** Gives back all; nothing after `settle`. */
  release(): void;
}

/** What came of removing a blob: `in use` and `empty` if there is none that may be removed, or none at all. */
export type Eviction = "evicted" | "in use" | "empty";

/** Beyond what is needed, if it is free: a layer of many small files would ask again and again. */
const growthStep = 1024 * 1024;

interface Waiting {
  readonly bytes: number;
  grant(): void;
  refuse(error: unknown): void;
}

/**
 * Keeps blobs and reservations together within a number of bytes.
 *
 * Reservations are made in the order they are asked for. Those that wait hold nothing, and those that grow come first,
 * so a wait ends when one that was made ends, or a blob is no longer in use. When all that were made wait to grow, and
 * no blob is in use, the youngest is refused.
 */
export class BlobBudget {
  readonly maxBytes: number;
  readonly #evict: () => Promise<Eviction>;
  #blobBytes = 0;
  #reservedBytes = 0;
  readonly #made = new Set<Reservation>();
  readonly #toMake: Waiting[] = [];
  readonly #toGrow = new Map<Reservation, Waiting>();
  #isServing = false;
  #serveAgain = false;

  /** @param evict removes the blob that was not used for longest, and calls `removeBlob`. */
  constructor(maxBytes: number, evict: () => Promise<Eviction>) {
    this.maxBytes = maxBytes;
    this.#evict = evict;
  }

  /** Bytes of blobs and reservations. */
  get usedBytes(): number {
    return this.#blobBytes + this.#reservedBytes;
  }

  /** Bytes that are set aside. */
  get reservedBytes(): number {
    return this.#reservedBytes;
  }

  /** Counts a blob that is there. */
  addBlob(bytes: number): void {
    this.#blobBytes += bytes;
  }

  /** Counts out a blob that is gone. */
  removeBlob(bytes: number): void {
    this.#blobBytes -= bytes;
    this.retry();
  }

  /** Evicts until all fits, or no more can be evicted. */
  async trim(): Promise<void> {
    while (!this.#fits(0) && (await this.#evict()) === "evicted");
  }

  /**
   * Sets bytes aside, for which blobs are evicted; waits while those are in use.
   *
   * @throws blobBudgetExhausted if they are more than the whole store; the signal's reason
   */
  reserve(bytes: number, signal: AbortSignal): Promise<Reservation> {
    const { promise, resolve, reject } = Promise.withResolvers<Reservation>();
    if (bytes > this.maxBytes) {
      reject(this.#exhausted(bytes));
      return promise;
    }
    if (signal.aborted) {
      reject(toError(signal.reason));
      return promise;
    }
    const waiting: Waiting = {
      bytes,
      grant: () => {
        signal.removeEventListener("abort", abort);
        resolve(this.#make(bytes));
      },
      refuse: (error) => {
        signal.removeEventListener("abort", abort);
        reject(toError(error));
      },
    };
    const abort = (): void => {
      this.#toMake.splice(this.#toMake.indexOf(waiting), 1);
      reject(toError(signal.reason));
      this.retry();
    };
    signal.addEventListener("abort", abort, { once: true });
    this.#toMake.push(waiting);
    this.retry();
    return promise;
  }

  /** Looks again at who waits: something has changed. */
  retry(): void {
    this.#serveAgain = true;
    if (!this.#isServing) void this.#serve();
  }

  async #serve(): Promise<void> {
    this.#isServing = true;
    while (this.#serveAgain) {
      this.#serveAgain = false;
      await this.#serveFirst();
    }
    this.#isServing = false;
  }

  /** Never rejects: what goes wrong is for who waits. */
  async #serveFirst(): Promise<void> {
    const [growing] = this.#toGrow;
    const first = growing?.[1] ?? this.#toMake[0];
    if (first === undefined) return;
    if (!this.#fits(first.bytes)) {
      try {
        const eviction = await this.#evict();
        this.#serveAgain ||= eviction === "evicted";
        // What has changed meanwhile may do.
        if (eviction === "empty" && !this.#serveAgain) this.#refuseYoungest();
      } catch (error) {
        this.#remove(first);
        first.refuse(error);
      }
      return;
    }
    this.#remove(first);
    first.grant();
  }

  /** Takes one out of its queue; the next has its turn. */
  #remove(one: Waiting): void {
    const index = this.#toMake.indexOf(one);
    if (index >= 0) this.#toMake.splice(index, 1);
    for (const [reservation, waiting] of this.#toGrow) if (waiting === one) this.#toGrow.delete(reservation);
    this.#serveAgain = true;
  }

  #refuseYoungest(): void {
    if (this.#toGrow.size === 0 || this.#toGrow.size < this.#made.size) return;
    const youngest = [...this.#made].at(-1);
    const waiting = youngest === undefined ? undefined : this.#toGrow.get(youngest);
    if (youngest === undefined || waiting === undefined) return;
    this.#remove(waiting);
    waiting.refuse(this.#exhausted(youngest.bytes + waiting.bytes));
  }

  #make(bytes: number): Reservation {
    this.#reservedBytes += bytes;
    let held = bytes;
    const end = (): void => {
      if (!this.#made.delete(reservation)) return;
      this.#reservedBytes -= held;
      held = 0;
      this.#toGrow.get(reservation)?.refuse(new Error("the reservation has ended"));
      this.#toGrow.delete(reservation);
      this.retry();
    };
    const reservation: Reservation = {
      get bytes() {
        return held;
      },
      growTo: (wanted) => {
        const { promise, resolve, reject } = Promise.withResolvers<void>();
        const missing = wanted - held;
        if (missing <= 0) resolve();
        else if (wanted > this.maxBytes) reject(this.#exhausted(wanted));
        else {
          const grant = (): void => {
            const step = this.#fits(Math.max(missing, growthStep)) ? Math.max(missing, growthStep) : missing;
            held += step;
            this.#reservedBytes += step;
            resolve();
          };
          const refuse = (error: unknown): void => reject(toError(error));
          this.#toGrow.set(reservation, { bytes: missing, grant, refuse });
          this.retry();
        }
        return promise;
      },
      settle: (size) => {
        if (this.#made.has(reservation)) this.addBlob(size);
        end();
      },
      release: end,
    };
    this.#made.add(reservation);
    return reservation;
  }

  #fits(bytes: number): boolean {
    return this.usedBytes + bytes <= this.maxBytes;
  }

  #exhausted(bytes: number): Error {
    return blobBudgetExhausted(formatBytes(bytes), formatBytes(this.maxBytes));
  }
}

function toError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
