import { pino, type DestinationStream, type Logger } from "pino";

export type { Logger } from "pino";

/** What `--log-level` and the configuration may say, from the most to the fewest lines. */
export const logLevels = ["trace", "debug", "info", "warn", "error", "fatal", "silent"] as const;
export type LogLevel = (typeof logLevels)[number];

export interface LoggerOptions {
  readonly level: LogLevel;
  /** Where lines go; standard output without it. */
  readonly destination?: DestinationStream;
}

/** An error as a log line holds it. */
export interface LoggedError {
  /** The error's code, for a foreign error without one the name of its class. */
  readonly code: string;
  readonly message: string;
  /** At the levels debug and trace only. */
  readonly stack?: string;
  readonly cause?: LoggedError;
  /** The parts of an AggregateError: a connection that was tried at several addresses ends in one without a message. */
  readonly errors?: readonly LoggedError[];
}

/** A chain that is longer is cut off; also what ends a chain that bites its own tail. */
const maxCauses = 8;
/** Parts of an AggregateError that are written. */
const maxErrors = 4;

/**
 * A logger that writes one JSON object a line: level as a word, ISO time, and errors under `err` or `error`
 * as code, message and chain of causes, with stacks at the levels debug and trace only.
 *
 * Values under the key `authorization` or `proxy-authorization` are removed, down to three objects deep.
 */
export function createLogger(options: LoggerOptions): Logger {
  const stacks = options.level === "debug" || options.level === "trace";
  const serialize = (error: unknown) => describeError(error, { stacks });
  const settings = {
    level: options.level,
    // Process id and host name say nothing in a container: the cluster's log collector adds the Pod.
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
    serializers: { err: serialize, error: serialize },
    redact: { paths: secretPaths, censor: "[removed]" },
  };
  return options.destination === undefined ? pino(settings) : pino(settings, options.destination);
}

/** pino's paths name a depth each; three is a request's headers in a child object. */
const secretPaths = ["authorization", "Authorization", "proxy-authorization"].flatMap((key) =>
  ["", "*", "*.*", "*.*.*"].map((parent) => `${parent}["${key}"]`),
);

/** An error as a log line holds it; other thrown values by their text. */
export function describeError(error: unknown, options: { readonly stacks: boolean }): LoggedError {
  return describe(error, options.stacks, maxCauses);
}

function describe(error: unknown, stacks: boolean, depth: number): LoggedError {
  if (!(error instanceof Error)) return { code: typeof error, message: String(error) };
  const code = "code" in error && typeof error.code === "string" ? error.code : error.name;
  const deeper = depth > 1;
  return {
    code,
    message: error.message,
    ...(stacks && error.stack !== undefined && { stack: error.stack }),
    ...(deeper && error.cause !== undefined && { cause: describe(error.cause, stacks, depth - 1) }),
    ...(deeper &&
      error instanceof AggregateError && {
        errors: error.errors.slice(0, maxErrors).map((part) => describe(part, stacks, depth - 1)),
      }),
  };
}
