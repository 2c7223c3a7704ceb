import { closureIndexInvalid } from "../errors.ts";
import { JsonFields } from "./json-fields.ts";
import { maxManifestBytes } from "./manifest-descriptor.ts";

/**
 * Reads the JSON object of a document.
 *
 * @param what for messages, such as `the index`.
 * @throws closureIndexInvalid
 */
export function parseJsonDocument(bytes: Uint8Array, what: string): JsonFields {
  if (bytes.length > maxManifestBytes) {
    throw closureIndexInvalid(`${what} has ${bytes.length} bytes, at most ${maxManifestBytes} are allowed`);
  }
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes));
  } catch (cause) {
    throw closureIndexInvalid(`${what} is not JSON`).causedBy(cause);
  }
  return new JsonFields(value, what);
}

/**
 * Requires that a document has the one form that our encoder gives it: what readers of another kind would make of
 * repeated or additional members is not to be thought about.
 *
 * @param written what the encoder makes of what was read.
 * @throws closureIndexInvalid
 */
export function requireForm(bytes: Uint8Array, written: Uint8Array, what: string): void {
  if (Buffer.compare(bytes, written) === 0) return;
  let at = 0;
  while (at < bytes.length && bytes[at] === written[at]) at++;
  throw closureIndexInvalid(`${what} has another form than its encoder gives it, from byte ${at} on`);
}
