import { Transform, type TransformCallback } from "node:stream";

/** Passes bytes on and fails unless they are as many as promised: Node sends a body that is too short as it is. */
export class ExactLength extends Transform {
  readonly #promised: number;
  readonly #passed: (bytes: number) => void;
  #seen = 0;

  /** @param passed hears of every chunk's length in bytes */
  constructor(promised: number, passed: (bytes: number) => void) {
    super();
    this.#promised = promised;
    this.#passed = passed;
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    this.#seen += chunk.length;
    if (this.#seen > this.#promised) {
      done(new Error(`more than the ${this.#promised} bytes that were to come`));
      return;
    }
    this.#passed(chunk.length);
    done(null, chunk);
  }

  override _flush(done: TransformCallback): void {
    const missing = this.#promised - this.#seen;
    done(missing === 0 ? null : new Error(`${missing} of ${this.#promised} bytes did not come`));
  }
}
