import type { Reviewed } from "./review.ts";

/** The JSON of an answer, in parts: text, and bytes that are kept as they are sent. */
export type TextParts = readonly (string | Buffer)[];

const end = Buffer.from(`"}}`);

/**
 * The JSON of the AdmissionReview that answers one. The patch is most of it, and base64 needs no quoting, so that it is
 * put in as it is.
 *
 * @param patch base64 of the JSON Patch.
 */
export function formatReview(
  { uid, allowed, warnings, status }: Reviewed["response"],
  patch: Buffer | undefined,
): TextParts {
  let text = `{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","response":{"uid":${JSON.stringify(uid)}`;
  text += allowed ? `,"allowed":true` : `,"allowed":false`;
  if (status !== undefined) text += `,"status":${JSON.stringify(status)}`;
  if (warnings !== undefined) text += `,"warnings":${JSON.stringify(warnings)}`;
  if (patch === undefined) return [`${text}}}`];
  return [`${text},"patchType":"JSONPatch","patch":"`, patch, end];
}
