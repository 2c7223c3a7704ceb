/** How many connections there may be at a time, and how long, in milliseconds, their clients may take. */
export interface ConnectionLimits {
  readonly connections: number;
  /** From the connection to the end of the TLS handshake. */
  readonly handshake: number;
  /** From there, or from a request's first byte, to the end of its headers. */
  readonly headers: number;
  /** From a request's first byte to the end of its body. */
  readonly request: number;
  /** Between an answer and the next request. */
  readonly idle: number;
  /** How often those are looked for that have taken too long. */
  readonly interval: number;
}

/**
 * Times as net/http and controller-runtime have them: headers 32 s, idle 90 s. A review of the API server comes in one
 * piece, so that the others are for those who mean no good. A connection takes 60 kB, so all take a quarter of what the
 * chart lets the webhook have.
 */
export const defaultConnectionLimits: ConnectionLimits = {
  connections: 2_000,
  handshake: 10_000,
  headers: 32_000,
  request: 60_000,
  idle: 90_000,
  interval: 5_000,
};
