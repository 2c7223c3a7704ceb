/**
 * Errors as the registry's protocol knows them. With a 4xx status only the codes of OCI distribution-spec 1.1 are
 * allowed (spec.md, "Error Codes"); UNAVAILABLE and UNKNOWN are those of the distribution project, with 5xx.
 */
import { imageNameInvalid, NixClosureError, sourceUnknown } from "../errors.ts";
import type { RequestKind } from "./observer.ts";

/** Status, code and message of a kind of error. */
export interface ProtocolErrorKind {
  readonly status: number;
  readonly code: string;
  readonly message: string;
}

/** Every error that the registry itself finds. */
export const protocolErrors = {
  readOnly: {
    status: 405,
    code: "UNSUPPORTED",
    message:
      "this registry is read-only, it makes images out of Nix binary caches; add store paths to a cache with " +
      '"nix copy --to <cache>", and push other images to an ordinary registry',
  },
  routeUnknown: {
    status: 404,
    code: "UNSUPPORTED",
    message: "this registry has /v2/, manifests, blobs, tags/list and referrers, and nothing else",
  },
  nameInvalid: {
    status: 400,
    code: "NAME_INVALID",
    message: "a repository is lower-case letters and digits in parts joined by '/', at most 255 characters",
  },
  nameUnknown: { status: 404, code: "NAME_UNKNOWN", message: "there is no such repository" },
  digestInvalid: {
    status: 400,
    code: "DIGEST_INVALID",
    message: "a digest is sha256:<64 lower-case hexadecimal digits>",
  },
  manifestUnknown: {
    status: 404,
    code: "MANIFEST_UNKNOWN",
    message: "no tag of this repository has answered with this manifest yet; pull the image by its tag",
  },
  tagInvalid: {
    status: 404,
    code: "MANIFEST_UNKNOWN",
    message: "there is no such tag: a tag is 1 to 128 letters, digits, '_', '.' and '-'",
  },
  blobUnknown: {
    status: 404,
    code: "BLOB_UNKNOWN",
    message: "the blob is not here; pull the image by its tag, which makes its blobs again",
  },
  // The spec has no code for the two below; these are its nearest.
  rangeUnsatisfiable: { status: 416, code: "SIZE_INVALID", message: "the blob has no bytes in this range" },
  countInvalid: { status: 400, code: "UNSUPPORTED", message: "n is a number of tags, 0 or more" },
  unexpected: {
    status: 500,
    code: "UNKNOWN",
    message: "the registry failed unexpectedly; its log says more",
  },
} as const satisfies Record<string, ProtocolErrorKind>;

/** The kubelet's first back-off after a pull that failed; to come again sooner helps nobody. */
const retryAfterSeconds = 10;

/** An error that is answered in the protocol's format. */
export class ProtocolError extends Error {
  override readonly name = "ProtocolError";
  readonly kind: ProtocolErrorKind;
  readonly detail: unknown;
  /** Header fields of the answer. */
  readonly headers: Readonly<Record<string, string>>;

  constructor(
    kind: ProtocolErrorKind,
    options: { detail?: unknown; headers?: Readonly<Record<string, string>>; cause?: unknown } = {},
  ) {
    super(kind.message, { cause: options.cause });
    this.kind = kind;
    this.detail = options.detail;
    this.headers = options.headers ?? {};
  }

  /** The body of the answer: spec.md, "Error Codes". */
  body(): { readonly errors: readonly [{ code: string; message: string; detail?: unknown }] } {
    const { code, message } = this.kind;
    return { errors: [{ code, message, ...(this.detail !== undefined && { detail: this.detail }) }] };
  }
}

/** Any error as an answer; what is not an error of ours is a bug, of which the client learns nothing more. */
export function toProtocolError(error: unknown, asked: RequestKind): ProtocolError {
  if (error instanceof ProtocolError) return error;
  const answer = error instanceof NixClosureError ? answerOf(error, asked) : undefined;
  if (!(error instanceof NixClosureError) || answer === undefined) {
    return new ProtocolError(protocolErrors.unexpected, { cause: error });
  }
  return new ProtocolError(
    { ...answer, message: error.message },
    {
      detail: { code: error.code },
      cause: error,
      ...((answer.status === 503 || answer.status === 429) && {
        headers: { "Retry-After": String(retryAfterSeconds) },
      }),
    },
  );
}

/** Status and code for an error of ours; undefined where its message is not for clients. */
function answerOf(
  error: NixClosureError,
  asked: RequestKind,
): { readonly status: number; readonly code: string } | undefined {
  const { code, status } = error;
  if (code === sourceUnknown.code || code === imageNameInvalid.code)
    return { status: 404, code: "NAME_UNKNOWN" };
  switch (status) {
    case 400:
      return { status, code: "NAME_INVALID" };
    case 403:
      return { status, code: "DENIED" };
    case 404:
      return { status, code: unknownCodes[asked] };
    case 409:
    case 422:
      return { status, code: "MANIFEST_INVALID" };
    case 429:
      return { status, code: "TOOMANYREQUESTS" };
    case 502:
    case 503:
    case 504:
      // One status for all that can succeed later or elsewhere: clients know no other one with Retry-After.
      return { status: 503, code: "UNAVAILABLE" };
    default:
      return undefined;
  }
}

const unknownCodes: Readonly<Record<RequestKind, string>> = {
  ping: "NAME_UNKNOWN",
  manifest: "MANIFEST_UNKNOWN",
  blob: "BLOB_UNKNOWN",
  tags: "NAME_UNKNOWN",
  referrers: "NAME_UNKNOWN",
  other: "NAME_UNKNOWN",
};
