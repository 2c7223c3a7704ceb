import { decodeBase64 } from "./base64.ts";

/** A key or signature, taken apart. */
export interface NamedBytes {
  readonly name: string;
  /** `undefined` where the text is malformed. */
  readonly bytes: Uint8Array | undefined;
  /** Why there are no bytes. */
  readonly why: string;
}

/** `<name>:<base64 of size bytes>`; the name ends at the first colon (src/libutil/signature/local-keys.cc). */
export function splitNamed(text: string, size: number): NamedBytes {
  const colon = text.indexOf(":");
  const name = text.slice(0, Math.max(colon, 0));
  if (name === "") return { name, bytes: undefined, why: 'there is no name before a ":"' };
  const bytes = decodeBase64(text.slice(colon + 1));
  if (bytes === undefined) return { name, bytes, why: 'what follows ":" is not base64' };
  if (bytes.length === size) return { name, bytes, why: "" };
  return { name, bytes: undefined, why: `it has ${bytes.length} bytes, not ${size}` };
}
