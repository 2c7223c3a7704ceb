import { registryBusy } from "../errors.ts";
import { Flights } from "../resolver/flights.ts";

/**
 * Requests for images, each held until its image is there, and images in the making; those go on where nobody waits any
 * more. Neither are ever more than the limit: what comes beyond it is refused at once.
 */
export class ImageQueue<Image> {
  readonly #limit: number;
  readonly #onChange: (waiting: number) => void;
  readonly #flights = new Flights<Image>();
  readonly #making = new Set<string>();
  #waiting = 0;

  /** @param onChange hears how many requests wait. */
  constructor(limit: number, onChange: (waiting: number) => void) {
    this.#limit = limit;
    this.#onChange = onChange;
  }

  /**
   * Makes an image, or joins whoever makes it.
   *
   * @param image repository and tag.
   * @param wait how long the result is waited for; that it fails does not end the work.
   * @throws registryBusy
   */
  async run(
    image: string,
    make: () => Promise<Image>,
    wait: (work: Promise<Image>) => Promise<Image>,
  ): Promise<Image> {
    const isFull = !this.#making.has(image) && this.#making.size >= this.#limit;
    if (isFull || this.#waiting >= this.#limit) throw registryBusy(this.#limit);
    this.#onChange(++this.#waiting);
    try {
      return await wait(this.#flights.run(image, () => this.#track(image, make)));
    } finally {
      this.#onChange(--this.#waiting);
    }
  }

  /** Makes an image for which nobody waits, or joins whoever makes it. It does not count, but can be joined. */
  ahead(image: string, make: () => Promise<Image>): Promise<Image> {
    return this.#flights.run(image, make);
  }

  async #track(image: string, make: () => Promise<Image>): Promise<Image> {
    this.#making.add(image);
    try {
      return await make();
    } finally {
      this.#making.delete(image);
    }
  }
}
