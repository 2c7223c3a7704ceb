/** What a kind of error fixes for all of its instances. */
export interface ErrorKind {
  /** Stable name, in upper case with underscores; the anchor of its paragraph in docs/errors.md. */
  readonly code: string;
  /** HTTP status. 503 and 504 mean that the same request can succeed later. */
  readonly status: number;
}

/** An error with a code. It is made by one of the factories below, never directly. */
export class NixClosureError extends Error {
  override readonly name = "NixClosureError";
  readonly kind: ErrorKind;

  constructor(kind: ErrorKind, message: string, options?: ErrorOptions) {
    super(message, options);
    this.kind = kind;
  }

  get code(): string {
    return this.kind.code;
  }

  get status(): number {
    return this.kind.status;
  }

  /** True where the same request can succeed later without anybody mending it. */
  get temporary(): boolean {
    return [429, 503, 504].includes(this.kind.status);
  }

  /** The same error with a cause for the log; the message stays. */
  causedBy(cause: unknown): NixClosureError {
    return new NixClosureError(this.kind, this.message, { cause });
  }

  /** The same error with the place it concerns put before its message, for instance `container "app"`. */
  within(place: string): NixClosureError {
    return new NixClosureError(this.kind, `${place}: ${this.message}`, { cause: this.cause });
  }

  /** One line for a person: message, code, and where to read more. */
  toLine(): string {
    return `${this.message} [${this.code}, see docs/errors.md#${this.code.toLowerCase()}]`;
  }
}

/** A factory of errors of one kind. */
export interface ErrorFactory<Args extends readonly unknown[]> extends ErrorKind {
  (...args: Args): NixClosureError;
}

/** All kinds by code, for the test that holds docs/errors.md against them. */
export const errorKinds = new Map<string, ErrorKind>();

/**
 * Makes a kind of error.
 * @param code stable, each only once.
 * @param message words for a person out of the arguments of the factory.
 */
export function kind<Args extends readonly unknown[]>(
  code: string,
  status: number,
  message: (...args: Args) => string,
): ErrorFactory<Args> {
  const self: ErrorKind = { code, status };
  if (errorKinds.has(code)) throw new Error(`error code ${code} is used twice`);
  errorKinds.set(code, self);
  return Object.assign((...args: Args) => new NixClosureError(self, message(...args)), self);
}
