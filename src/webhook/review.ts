import Type, { type Static } from "typebox";
import { Compile } from "typebox/compile";
import { type NixClosureError, reviewInvalid, toNixClosureError } from "../errors.ts";
import { podOperations } from "../patch/operations.ts";
import { parsePod, type Pod } from "../patch/pod.ts";
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

/**
 * Answers one admission request. It never throws: what goes wrong is in the answer. It has no side effect but a warmer
 * cache, so a dry run needs no other way.
 */
export async function review(
  request: AdmissionRequest,
  admission: Admission,
  signal?: AbortSignal,
): Promise<{ readonly response: AdmissionResponse; readonly outcome: ReviewOutcome }> {
  const { uid } = request;
  try {
    const { resource, subResource = "" } = request;
    // Rules for "pods/*" bring other objects too, for instance the Binding of pods/binding.
    const isPod =
      subResource === "" &&
      (resource === undefined || (resource.group === "" && resource.resource === "pods"));
    if (request.operation !== "CREATE" || !isPod) return skipped(uid);
    const pod = parsePod(request.object);
    // A mirror Pod stands for a static Pod that the kubelet runs as its file says; no patch would reach it.
    if (pod.metadata.annotations?.["kubernetes.io/config.mirror"] !== undefined) return skipped(uid);
    const injection = await admission.inject(pod, request.namespace ?? namespaceOf(pod), signal);
    if (injection === undefined) return skipped(uid);
    const operations = podOperations(pod, injection.pod);
    const warnings = injection.warnings.map(cutWarning);
    return {
      response: {
        uid,
        allowed: true,
        ...(operations.length === 0
          ? {}
          : { patchType: "JSONPatch", patch: Buffer.from(JSON.stringify(operations)).toString("base64") }),
        ...(warnings.length === 0 ? {} : { warnings }),
      },
      outcome: {
        outcome: operations.length === 0 ? "unchanged" : "injected",
        reason: "none",
        volumes: injection.volumes,
      },
    };
  } catch (thrown) {
    const error = toNixClosureError(thrown);
    return {
      response: denial(uid, error),
      outcome: { outcome: error.status === 500 ? "error" : "denied", reason: error.code, volumes: 0, error },
    };
  }
}

/** A denial: what `kubectl` shows, and what becomes the ReplicaSet's FailedCreate event. */
function denial(uid: string, error: NixClosureError): AdmissionResponse {
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

/** The Pod's own word for it, which nobody has looked at. */
function namespaceOf({ metadata: { namespace } }: Pod): string | undefined {
  return typeof namespace === "string" ? namespace : undefined;
}

/** API servers drop warnings with control characters, and events with several lines are hard to read. */
function oneLine(text: string): string {
  return text.replaceAll(/[\s\p{Cc}]+/gu, " ");
}

function skipped(uid: string): { readonly response: AdmissionResponse; readonly outcome: ReviewOutcome } {
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
