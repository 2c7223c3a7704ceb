import type { Reservation } from "./blob-budget.ts";

/** What a file may have of a reservation. */
export type ReservationPart = Pick<Reservation, "bytes" | "growTo">;

/**
 * Divides one reservation among files that are written at the same time. So an image has the bytes of all its layers set
 * aside at once: with one after the other, two images could each wait for what the other has.
 */
export class SharedReservation {
  readonly #whole: Reservation;
  /** In no part. */
  #spare: number;
  /** The reservation grows for one part at a time. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(whole: Reservation) {
    this.#whole = whole;
    this.#spare = whole.bytes;
  }

  /** Takes so many bytes, or as many as are left; growing takes from the rest first, then from the budget. */
  part(bytes: number): ReservationPart {
    let held = Math.min(bytes, this.#spare);
    this.#spare -= held;
    const take = (wanted: number): void => {
      const taken = Math.min(wanted, this.#spare);
      this.#spare -= taken;
      held += taken;
    };
    const grow = async (wanted: number): Promise<void> => {
      const missing = wanted - held - this.#spare;
      if (missing > 0) {
        const before = this.#whole.bytes;
        await this.#whole.growTo(before + missing);
        this.#spare += this.#whole.bytes - before;
      }
      // What it grew by beyond that would be asked for next.
      take(Math.max(wanted - held, Math.min(this.#spare, growthStep)));
    };
    return {
      get bytes() {
        return held;
      },
      growTo: (wanted) => {
        if (wanted <= held) return Promise.resolve();
        const grown = this.#last.then(() => grow(wanted));
        this.#last = grown.catch(() => undefined);
        return grown;
      },
    };
  }
}

/** Beyond what is needed, if it is there: a layer of many small files would ask again and again. */
const growthStep = 1024 * 1024;
