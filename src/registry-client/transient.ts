/** A failure of one attempt that another attempt may mend. */
export class Transient extends Error {
  override readonly name = "Transient";
  /** The registry asked for less haste (429, 503). */
  readonly overloaded: boolean;
  /** Milliseconds to wait, as the registry said. */
  readonly retryAfter: number | undefined;
  /** Only somebody can mend it: it is the same with the next attempt. */
  readonly lasting: boolean;

  constructor(
    why: string,
    about: {
      readonly overloaded?: boolean;
      readonly retryAfter?: number | undefined;
      readonly lasting?: boolean;
      readonly cause?: unknown;
    } = {},
  ) {
    super(why, { cause: about.cause });
    this.overloaded = about.overloaded ?? false;
    this.retryAfter = about.retryAfter;
    this.lasting = about.lasting ?? false;
  }
}

/** Certificates that are not trusted, not for this name, or not valid now (OpenSSL's names, as Node gives them). */
const untrusted =
  /^(?:UNABLE_TO_(?:GET_ISSUER_CERT|VERIFY)|SELF_SIGNED|DEPTH_ZERO_SELF_SIGNED|CERT_|ERR_TLS_CERT_ALTNAME)/;

/** What the network failed with, as a failure of an attempt. */
export function networkFailure(error: unknown): Transient {
  // Node tries all addresses of a name; its error for "none worked" has an empty message.
  if (error instanceof AggregateError && error.message === "" && error.errors.length > 0) {
    return networkFailure(error.errors[0]);
  }
  if (!(error instanceof Error)) return new Transient(String(error), { cause: error });
  const code = "code" in error && typeof error.code === "string" ? error.code : "";
  const words = code === "" || error.message.includes(code) ? error.message : `${error.message} (${code})`;
  if (untrusted.test(code)) {
    const why = `its certificate is not accepted: ${words}; is its authority's certificate in the CA file?`;
    return new Transient(why, { lasting: true, cause: error });
  }
  // OpenSSL's words for an answer that is no TLS.
  if (/wrong version number|packet length too long/.test(error.message)) {
    return new Transient("it does not speak TLS; plain HTTP has to be allowed", {
      lasting: true,
      cause: error,
    });
  }
  return new Transient(words, { cause: error });
}
