/** What an API server's answer to the creation of a Pod means for us. */
export type Verdict =
  /** A plain Pod was created, as it must be. */
  | "plainCreated"
  /** A plain Pod was refused: never our part. */
  | "plainRefused"
  /** An annotated Pod was created with its image volumes. */
  | "injected"
  /** An annotated Pod was refused by the webhook or by one of our policies, in words. */
  | "refusedByUs"
  /** An annotated Pod was refused because the API server could not call the webhook. */
  | "webhookUnreachable"
  /** An annotated Pod was refused by somebody else. */
  | "refusedOtherwise"
  /** An annotated Pod was created without image volumes: it would run without its store. */
  | "notInjected"
  /** The API server itself did not answer, or had no time or no storage. */
  | "unavailable";

/** All verdicts, in the order in which tables show them. */
export const verdicts: readonly Verdict[] = [
  "injected",
  "refusedByUs",
  "webhookUnreachable",
  "refusedOtherwise",
  "notInjected",
  "plainCreated",
  "plainRefused",
  "unavailable",
];

/** An answer of the API server, or why there was none. */
export type Answer = { readonly status: number; readonly body: unknown } | { readonly error: string };

/** Judges the answer to the creation of an annotated or a plain Pod. */
export function judge(annotated: boolean, answer: Answer): Verdict {
  if ("error" in answer) return "unavailable";
  const { status, body } = answer;
  if (status === 200 || status === 201) {
    if (!annotated) return "plainCreated";
    return hasImageVolume(body) ? "injected" : "notInjected";
  }
  const message = messageOf(body);
  const unreachable = /failed calling webhook "[^"]*nix\.closure"/.test(message);
  // The API server's own troubles: too many requests, no storage, a proxy in between; rights or rules not read yet.
  const ownTrouble = (status === 429 || status >= 500) && !/webhook|denied (?:the )?request/.test(message);
  const starting = /is forbidden: (?:User "[^"]*" cannot create resource|not yet ready to handle request)/;
  if (ownTrouble || (status === 403 && starting.test(message))) return "unavailable";
  if (!annotated) return "plainRefused";
  if (unreachable) return "webhookUnreachable";
  return isOurs(message) ? "refusedByUs" : "refusedOtherwise";
}

/** The message of a Status object; of anything else what can be shown of it. */
export function messageOf(body: unknown): string {
  const message = (body as { readonly message?: unknown } | null)?.message;
  if (typeof message === "string") return message;
  return typeof body === "string" ? body : JSON.stringify(body);
}

/** The API server puts its own words before those of a webhook or a ValidatingAdmissionPolicy. */
function isOurs(message: string): boolean {
  return (
    /admission webhook "[^"]*nix\.closure" denied the request: nix-closure: /.test(message) ||
    /ValidatingAdmissionPolicy 'nix-closure-[^']*' with binding '[^']*' denied request: /.test(message)
  );
}

function hasImageVolume(body: unknown): boolean {
  const volumes = (body as { readonly spec?: { readonly volumes?: readonly object[] } }).spec?.volumes;
  return volumes?.some((volume) => "image" in volume) ?? false;
}
