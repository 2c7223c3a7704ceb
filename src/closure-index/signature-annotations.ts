import type { JsonFields } from "./json-fields.ts";
import { annotations } from "./media-types.ts";

/** The annotations of a manifest with signatures: `<key name>:<base64>` each; nothing where there are none. */
export function signatureAnnotations(signatures: readonly string[]): {
  readonly annotations?: Readonly<Record<string, string>>;
} {
  return signatures.length === 0 ? {} : { annotations: { [annotations.signatures]: signatures.join(" ") } };
}

/**
 * The signatures of a fetched manifest, which are not verified.
 *
 * @throws closureIndexInvalid
 */
export function readSignatures(manifest: JsonFields): readonly string[] {
  if (manifest.optional("annotations") === undefined) return [];
  return manifest.object("annotations").text(annotations.signatures).split(" ");
}
