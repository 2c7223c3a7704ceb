/** Bits that a peek may ask for; with those left of a byte they must fit into 32. */
const maxPeek = 24;

/** Reads bits, the most significant first, of chunks that are at hand. */
export class BitReader {
  readonly #chunks: Uint8Array[] = [];
  #chunk: Uint8Array = new Uint8Array();
  #at = 0;
  /** Bytes in the chunks that follow. */
  #waiting = 0;
  /** Its low bits are the ones that come next. */
  #bits = 0;
  #count = 0;
  /** Of these bits, how many at the end are made up: a peek goes beyond the end, a read does not. */
  #madeUp = 0;

  /** Whole bytes that were not read yet. */
  get left(): number {
    return this.#waiting + this.#chunk.length - this.#at + ((this.#count - this.#madeUp) >>> 3);
  }

  /** @param chunk is kept until it is read. */
  supply(chunk: Uint8Array): void {
    this.#forget();
    this.#chunks.push(chunk);
    this.#waiting += chunk.length;
  }

  /** The next bits, up to 24, which stay; zeros follow the end. */
  peek(count: number): number {
    while (this.#count < count) this.#fill();
    return (this.#bits >>> (this.#count - count)) & (2 ** count - 1);
  }

  /**
   * Passes over bits that were peeked at.
   *
   * @throws Error if there are not so many.
   */
  pass(count: number): void {
    this.#count -= count;
    if (this.#count < this.#madeUp) throw new Error("unexpected end of file");
  }

  /**
   * The next bits, up to 32 of them.
   *
   * @throws Error if there are not so many.
   */
  read(count: number): number {
    if (count > maxPeek) return this.read(count - 16) * 0x1_0000 + this.read(16);
    const value = this.peek(count);
    this.pass(count);
    return value;
  }

  /** Passes over what is left of a byte. */
  align(): void {
    this.pass(this.#count & 7);
  }

  #fill(): void {
    while (this.#at === this.#chunk.length && this.#chunks.length > 0) {
      this.#chunk = this.#chunks.shift() ?? this.#chunk;
      this.#waiting -= this.#chunk.length;
      this.#at = 0;
    }
    const byte = this.#chunk[this.#at];
    if (byte === undefined) this.#madeUp += 8;
    else this.#at++;
    this.#bits = (this.#bits << 8) | (byte ?? 0);
    this.#count += 8;
  }

  /** More comes where zeros were seen. */
  #forget(): void {
    this.#bits >>>= this.#madeUp;
    this.#count -= this.#madeUp;
    this.#madeUp = 0;
  }
}
