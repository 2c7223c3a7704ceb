/** Room on the disk that is set aside for a layer. */
export interface Room {
  /** Bytes, now. */
  readonly bytes: number;
  /** Takes so many bytes in all, or gives back what is beyond them. */
  resize(bytes: number): void;
  /** Gives back all. */
  release(): void;
}

interface Waiting {
  readonly bytes: number;
  grant(): void;
}

/**
 * Keeps the layers that wait to be sent within a number of bytes: those that are sent make room for the next ones. A layer
 * that is larger than all of it is made alone. First come, first served, so that large ones have their turn.
 */
export class SpoolBudget {
  readonly #maxBytes: number;
  readonly #waiting: Waiting[] = [];
  #used = 0;
  #rooms = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /**
   * Waits for room.
   *
   * @param bytes that the layer is expected to have; it may take more, for nobody can end it half made.
   * @throws the signal's reason
   */
  async take(bytes: number, signal: AbortSignal): Promise<Room> {
    signal.throwIfAborted();
    if (this.#waiting.length > 0 || !this.#fits(bytes)) await this.#wait(bytes, signal);
    else this.#hold(bytes);
    return this.#room(bytes);
  }

  async #wait(bytes: number, signal: AbortSignal): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const waiting: Waiting = { bytes, grant: resolve };
    const abort = (): void => {
      this.#waiting.splice(this.#waiting.indexOf(waiting), 1);
      this.#serve();
      reject(signal.reason as Error);
    };
    signal.addEventListener("abort", abort, { once: true });
    this.#waiting.push(waiting);
    try {
      await promise;
    } finally {
      signal.removeEventListener("abort", abort);
    }
  }

  #room(bytes: number): Room {
    let held = bytes;
    let ended = false;
    const resize = (wanted: number): void => {
      this.#used += wanted - held;
      held = wanted;
      this.#serve();
    };
    return {
      get bytes() {
        return held;
      },
      resize,
      release: () => {
        if (ended) return;
        ended = true;
        this.#rooms--;
        resize(0);
      },
    };
  }

  #serve(): void {
    for (
      let first = this.#waiting[0];
      first !== undefined && this.#fits(first.bytes);
      first = this.#waiting[0]
    ) {
      this.#waiting.shift();
      this.#hold(first.bytes);
      first.grant();
    }
  }

  #hold(bytes: number): void {
    this.#used += bytes;
    this.#rooms++;
  }

  #fits(bytes: number): boolean {
    return this.#rooms === 0 || this.#used + bytes <= this.#maxBytes;
  }
}
