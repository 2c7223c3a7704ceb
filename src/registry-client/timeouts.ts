import { Transient } from "./transient.ts";

/** Limits of one request, in milliseconds. */
export interface RegistryTimeouts {
  /** Until there is a connection (and TLS). */
  readonly connect: number;
  /** Until the answer's headers are there, after the request was sent. */
  readonly headers: number;
  /** The same where a registry works: it hashes a blob when its upload ends, and looks for all that an index names. */
  readonly commit: number;
  /** Without a byte of a body, in either direction. */
  readonly stall: number;
  /** For an answer's body as a whole: one that drips is caught by no other limit. */
  readonly attempt: number;
}

/** Registries with an object store behind them copy a blob of gigabytes when its upload ends. */
export const registryTimeouts: RegistryTimeouts = {
  connect: 10_000,
  headers: 30_000,
  commit: 600_000,
  stall: 60_000,
  attempt: 60_000,
};

/** The failure of an attempt that took too long. */
export function noAnswer(milliseconds: number): Transient {
  return new Transient(`no whole answer in ${milliseconds / 1000} s`);
}

/** The failure of an attempt whose body was not taken. */
export function stalled(milliseconds: number): Transient {
  return new Transient(`it took no byte in ${milliseconds / 1000} s`);
}
