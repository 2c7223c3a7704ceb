import { NixClosureError } from "../../src/errors.ts";
import type { Random } from "./random.ts";

/** What a subject made of an input. */
export interface Verdict {
  readonly accepted: boolean;
  /** Tells kinds of outcomes apart; an input with a new one is a good parent of more. */
  readonly kind: string;
}

/** One subject under fuzzing. */
export interface FuzzTarget {
  readonly name: string;
  /** Real inputs, most of them accepted. */
  readonly seeds: readonly Uint8Array[];
  /** Words that its grammar has. */
  readonly words: readonly (string | Uint8Array)[];
  /** Changes an input within its form, with parts of another one; undefined if it has another form. */
  readonly mutate?: (input: Uint8Array, other: Uint8Array, random: Random) => Uint8Array | undefined;
  /** The longest input that is tried, in bytes. */
  readonly maxLength: number;
  /** The time that one input may take of this thread, in milliseconds; far above what it takes. */
  readonly maxMs: number;
  /** Throws what is no verdict but a defect: a broken property, an error that is not ours. */
  check(input: Uint8Array): Verdict | Promise<Verdict>;
}

/**
 * The verdict for an input that was refused.
 *
 * @param codes with which it may be.
 * @throws the error itself, where it has none of these codes.
 */
export function refused(error: unknown, ...codes: readonly string[]): Verdict {
  if (!(error instanceof NixClosureError) || !codes.includes(error.code)) throw error;
  if (error.message.length > maxMessage)
    throw new Error(`a message of ${error.message.length} characters`, { cause: error });
  return { accepted: false, kind: `${error.code} ${shape(error.message)}` };
}

/** The verdict for an input that was accepted. */
export function accepted(kind = ""): Verdict {
  return { accepted: true, kind: `accepted ${kind}` };
}

const maxMessage = 50_000;

/** A message without what it quotes and counts: one for each place in the source that can fail. */
function shape(message: string): string {
  return message
    .slice(0, 400)
    .replaceAll(/"(?:[^"\\]|\\.)*"?/g, '"')
    .replaceAll(/[0-9a-z]*[0-9][0-9a-z]*/g, "0")
    .slice(0, 120);
}
