import { quote } from "../errors.ts";

/** What of an answer that is no success is read (bytes). */
export const maxErrorAnswer = 64 * 1024;

/** An answer that is no success. */
export interface ErrorAnswer {
  readonly status: number;
  readonly bytes: Uint8Array;
}

/** The codes in an answer's body (distribution-spec 1.1, "Error Codes"). */
export function errorCodes(answer: ErrorAnswer): readonly string[] {
  return errorsOf(parseBody(answer.bytes)).map(({ code }) => code);
}

/** An answer in words: `HTTP 404, MANIFEST_UNKNOWN: "manifest unknown"`. */
export function describeErrorAnswer(answer: ErrorAnswer): string {
  const words = wordsOf(answer.bytes);
  return words === "" ? `HTTP ${answer.status}` : `HTTP ${answer.status}, ${words}`;
}

function wordsOf(bytes: Uint8Array): string {
  const body = parseBody(bytes);
  const errors = errorsOf(body);
  if (errors.length > 0) return errors.slice(0, 3).map(describeError).join(", ");
  if (typeof body === "string") return body === "" || body.startsWith("<") ? "" : quote(body);
  // Token services: OAuth 2 (RFC 6749, 5.2), Docker Hub's, and others.
  const fields = recordOf(body);
  const words = ["error", "error_description", "details", "message"].map((key) => fields[key]);
  return words
    .filter((word) => typeof word === "string")
    .map(quote)
    .join(", ");
}

interface RegistryError {
  readonly code: string;
  readonly message: string;
  readonly detail: string;
}

function describeError({ code, message, detail }: RegistryError): string {
  const words = [message, detail].filter((text) => text !== "").map(quote);
  return [code, words.join(", ")].filter((text) => text !== "").join(": ");
}

function errorsOf(body: unknown): readonly RegistryError[] {
  const { errors } = recordOf(body);
  if (!Array.isArray(errors)) return [];
  return errors.map(recordOf).map(({ code, message, detail }) => ({
    code: typeof code === "string" && /^\w{1,64}$/.test(code) ? code : "",
    message: typeof message === "string" ? message : "",
    detail: typeof detail === "string" ? detail : "",
  }));
}

/** The JSON value of a body, else its text. */
function parseBody(bytes: Uint8Array): unknown {
  const text = Buffer.from(bytes).toString("utf8").trim();
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return text;
  }
}

function recordOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
}
