/** A failure of one attempt that another attempt may mend. */
export class Transient extends Error {
  override readonly name = "Transient";
  /** There was no whole answer: no connection, or it broke off or stalled. */
  readonly unreachable: boolean;
  /** Its time was cut short for the sake of another cache; it says nothing of what a patient attempt would find. */
  readonly hurried: boolean;
  /** The cache asked for less haste (429, 503). */
  readonly overloaded: boolean;
  /** Milliseconds to wait, as the cache said. */
  readonly retryAfter: number | undefined;

  constructor(
    why: string,
    about: {
      readonly unreachable?: boolean;
      readonly hurried?: boolean;
      readonly overloaded?: boolean;
      readonly retryAfter?: number | undefined;
      readonly cause?: unknown;
    } = {},
  ) {
    super(why, { cause: about.cause });
    this.unreachable = about.unreachable ?? false;
    this.hurried = about.hurried ?? false;
    this.overloaded = about.overloaded ?? false;
    this.retryAfter = about.retryAfter;
  }
}

/** What went wrong on the network, in one line. */
export function describeFailure(error: unknown): string {
  // Node tries all addresses of a name; its error for "none worked" has an empty message.
  if (error instanceof AggregateError && error.message === "" && error.errors.length > 0) {
    return describeFailure(error.errors[0]);
  }
  if (!(error instanceof Error)) return String(error);
  const code = "code" in error && typeof error.code === "string" ? error.code : "";
  return code === "" || error.message.includes(code) ? error.message : `${error.message} (${code})`;
}
