import Type, { type Static } from "typebox";
import { Compile } from "typebox/compile";
import { type NixClosureError, reviewInvalid, toNixClosureError } from "../errors.ts";
import { parsePod, type Pod } from "../patch/pod.ts";
import type { EncodedPatch } from "../patch/prepared-patch.ts";
import type { Admission } from "./admission.ts";

/** The parts of an AdmissionReview of admission.k8s.io/v1 that are read. */
const AdmissionReview = Type.Object({
  apiVersion: Type.Literal("admission.k8s.io/v1"),
  kind: Type.Literal("AdmissionReview"),
  request: Type.Object({
    uid: Type.String({ minLength: 1 }),
    operation: Type.String(),
    namespace: Type.Optional(Type.String()),
    dryRun: Type.Optional(Type.Boolean()),
    resource: Type.Optional(Type.Object({ group: Type.String(), resource: Type.String() })),
    subResource: Type.Optional(Type.String()),
    object: Type.Optional(Type.Unknown()),
  }),
});
const compiledReview = Compile(AdmissionReview);

/** The request of an AdmissionReview. */
export type AdmissionRequest = Static<typeof AdmissionReview>["request"];

/** The answer, as the API server reads it. */
export interface AdmissionResponse {
  readonly uid: string;
  readonly allowed: boolean;
  readonly patchType?: "JSONPatch";
  /** Base64 of the JSON Patch. */
  readonly patch?: string;
  readonly warnings?: readonly string[];
  readonly status?: {
    readonly code: number;
    readonly reason: string;
    readonly message: string;
  };
}

/** What came of a review, for metrics and the log. */
export interface ReviewOutcome {
  /** unchanged: annotated and already as it should be; skipped: none of our business. */
  readonly outcome: "injected" | "unchanged" | "skipped" | "denied" | "error";
  /** Error code, else "none". */
  readonly reason: string;
  /** Image volumes of ours in the answer's Pod. */
  readonly volumes: number;
  readonly error?: NixClosureError;
}

/** API servers cut longer warnings (apiserver/pkg/warning); ours say so themselves. */
const maxWarningLength = 256;

/**
 * Takes a request body as an AdmissionReview.
 * @throws reviewInvalid
 */
export function parseReview(body: unknown): AdmissionRequest {
  if (compiledReview.Check(body)) return body.request;
  const [first] = compiledReview.Errors(body);
  const where = first?.instancePath.slice(1).replaceAll("/", ".") || "the body";
  const wanted =
    first?.keyword === "const" ? `must be ${JSON.stringify(first.params.allowedValue)}` : undefined;
  throw reviewInvalid(`${where} ${wanted ?? first?.message ?? "is malformed"}`);
}

/** What a review comes to. */
export interface Reviewed {
  /** The answer, but for the patch. */
  readonly response: Omit<AdmissionResponse, "patch" | "patchType">;
  /** Base64 of the JSON Patch; undefined: the Pod stays as it is. */
  readonly patch?: Buffer | undefined;
  readonly outcome: ReviewOutcome;
}

/**
 * Answers one admission request. It never throws: what goes wrong is in the answer. It has no side effect but a warmer
 * cache, so a dry run needs no other way.
 */
export async function review(
  request: AdmissionRequest,
  admission: Admission,
  signal?: AbortSignal,
): Promise<Reviewed> {
  try {
    const pod = podToReview(request);
    if (pod === undefined) return skipped(request.uid);
    const patch = await admission.patch(pod, namespaceOf(request, pod), signal);
    return patch === undefined ? skipped(request.uid) : answerOf(request.uid, patch);
  } catch (thrown) {
    return failed(request.uid, thrown);
  }
}

/**
 * The same answer without any wait, for Pods that are none of our business and those that are like one before.
 *
 * @param podBytes an upper bound of the Pod's bytes as JSON.
 * @returns undefined for every other request.
 */
export function reviewAtOnce(
  request: AdmissionRequest,
  admission: Admission,
  podBytes: number,
): Reviewed | undefined {
  try {
    const pod = podToReview(request);
    if (pod === undefined) return skipped(request.uid);
    const patch = admission.patchAtOnce(pod, namespaceOf(request, pod), podBytes);
    return patch && answerOf(request.uid, patch);
  } catch (thrown) {
    return failed(request.uid, thrown);
  }
}

/**
 * The Pod that a request wants to create; undefined: there is none, or none that a patch would reach.
 * @throws podInvalid
 */
function podToReview({ operation, resource, subResource = "", object }: AdmissionRequest): Pod | undefined {
  // Rules for "pods/*" bring other objects too, for instance the Binding of pods/binding.
  const isPod =
    subResource === "" && (resource === undefined || (resource.group === "" && resource.resource === "pods"));
  if (operation !== "CREATE" || !isPod) return undefined;
  const pod = parsePod(object);
  // A mirror Pod stands for a static Pod that the kubelet runs as its file says.
  return pod.metadata.annotations?.["kubernetes.io/config.mirror"] === undefined ? pod : undefined;
}

function answerOf(uid: string, { encoded, warnings, volumes }: EncodedPatch): Reviewed {
  return {
    response:
      warnings.length === 0
        ? { uid, allowed: true }
        : { uid, allowed: true, warnings: warnings.map(cutWarning) },
    patch: encoded,
    outcome: { outcome: encoded === undefined ? "unchanged" : "injected", reason: "none", volumes },
  };
}

function failed(uid: string, thrown: unknown): Reviewed {
  const error = toNixClosureError(thrown);
  return {
    response: denial(uid, error),
    outcome: { outcome: error.status === 500 ? "error" : "denied", reason: error.code, volumes: 0, error },
  };
}

/** A denial: what `kubectl` shows, and what becomes the ReplicaSet's FailedCreate event. */
function denial(uid: string, error: NixClosureError): Reviewed["response"] {
  return {
    uid,
    allowed: false,
    status: {
      code: error.status,
      reason: statusReason(error.status),
      message: oneLine(`nix-closure: ${error.toLine()}`),
    },
  };
}

/** Where the request has none, the Pod's own word for it, which nobody has looked at. */
function namespaceOf(request: AdmissionRequest, { metadata }: Pod): string | undefined {
  return request.namespace ?? (typeof metadata.namespace === "string" ? metadata.namespace : undefined);
}

/** API servers drop warnings with control characters, and events with several lines are hard to read. */
function oneLine(text: string): string {
  return text.replaceAll(/[\s\p{Cc}]+/gu, " ");
}

function skipped(uid: string): Reviewed {
  return { response: { uid, allowed: true }, outcome: { outcome: "skipped", reason: "none", volumes: 0 } };
}

/** Kubernetes' StatusReason of an HTTP status (apimachinery, meta/v1/types.go). */
function statusReason(status: number): string {
  switch (status) {
    case 400:
      return "BadRequest";
    case 403:
      return "Forbidden";
    case 404:
      return "NotFound";
    case 409:
      return "Conflict";
    case 422:
      return "Invalid";
    case 503:
      return "ServiceUnavailable";
    case 504:
      return "Timeout";
    default:
      return "InternalError";
  }
}

function cutWarning(text: string): string {
  const line = oneLine(`nix-closure: ${text}`);
  return line.length <= maxWarningLength ? line : `${line.slice(0, maxWarningLength - 1)}…`;
}
