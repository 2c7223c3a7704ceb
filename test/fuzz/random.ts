/** Numbers that follow from a seed (sfc32 by Chris Doty-Humphrey, seeded as its author does). */
export class Random {
  readonly #state: [number, number, number, number];

  constructor(seed: number, name: string) {
    let hash = seed | 0;
    for (const byte of Buffer.from(name)) hash = Math.imul(hash ^ byte, 0x0100_0193);
    this.#state = [hash, seed | 0, Math.floor(seed / 2 ** 32) | 0, 1];
    for (let round = 0; round < 12; round++) this.next();
  }

  /** Any unsigned number of 32 bits. */
  next(): number {
    const [a, b, c, counter] = this.#state;
    const result = (a + b + counter) | 0;
    this.#state[3] = (counter + 1) | 0;
    this.#state[0] = b ^ (b >>> 9);
    this.#state[1] = (c + (c << 3)) | 0;
    this.#state[2] = (((c << 21) | (c >>> 11)) + result) | 0;
    return result >>> 0;
  }

  /** A whole number from 0, below a limit; 0 for a limit of 0. */
  below(limit: number): number {
    return limit <= 1 ? 0 : this.next() % limit;
  }

  /** One of some values. */
  pick<T>(values: readonly T[]): T {
    const value = values[this.below(values.length)];
    if (value === undefined) throw new Error("nothing to pick from");
    return value;
  }

  bytes(length: number): Buffer {
    return Buffer.from(Array.from({ length }, () => this.below(256)));
  }
}
