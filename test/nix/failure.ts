import { NixClosureError } from "../../src/errors.ts";

/** The error that an action must throw; fails the test if it throws none, or one without a code. */
export function failureOf(action: () => unknown): NixClosureError {
  try {
    action();
  } catch (error) {
    if (error instanceof NixClosureError) return error;
    throw error;
  }
  throw new Error("nothing was thrown");
}
