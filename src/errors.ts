import { kind, NixClosureError } from "./error-kind.ts";
import { listed, quote } from "./wording.ts";

/**
 * Every error of nix-closure, in one place: a stable code, an HTTP status (also the admission response's code),
 * and a message that says what was wanted, what was found, where, and what to do.
 *
 * Each code has a paragraph in docs/errors.md; test/errors.test.ts checks it.
 */

export * from "./configuration-errors.ts";
export * from "./registry-errors.ts";
export { type ErrorFactory, type ErrorKind, errorKinds, NixClosureError } from "./error-kind.ts";
export * from "./pushed-closure-errors.ts";
export { formatBytes, maxListed, nearest, nearestWords, quote } from "./wording.ts";

/** An unexpected value as a NixClosureError; a bug of ours, or of a library, ends up as INTERNAL. */
export function toNixClosureError(error: unknown): NixClosureError {
  if (error instanceof NixClosureError) return error;
  return internal(error instanceof Error ? error.message : String(error)).causedBy(error);
}

/** Throws errors of one input as one error; the only one as it is. Does nothing if there is none. */
export function throwTogether(errors: readonly NixClosureError[]): void {
  const [first, ...more] = errors;
  if (first === undefined) return;
  throw more.length === 0
    ? first
    : annotationsInvalid(errors.map((error) => `${error.message} [${error.code}]`));
}

// ---- Nix formats ----

export const storePathInvalid = kind(
  "STORE_PATH_INVALID",
  400,
  (text: string, why: string) =>
    `${quote(text)} is not a store path: ${why}; write /nix/store/<32 characters>-<name>, as "nix build --print-out-paths" prints it`,
);
export const hashInvalid = kind(
  "HASH_INVALID",
  502,
  (text: string, why: string) => `${quote(text)} is not a hash: ${why}`,
);
export const narInfoInvalid = kind("NARINFO_INVALID", 502, (why: string) => `malformed narinfo: ${why}`);
export const listingInvalid = kind(
  "LISTING_INVALID",
  502,
  (why: string) => `malformed listing (.ls): ${why}`,
);
export const publicKeyInvalid = kind(
  "PUBLIC_KEY_INVALID",
  400,
  (text: string, why: string) =>
    `${quote(text)} is not a public key: ${why}; write <name>:<base64 of 32 bytes>, as "nix key convert-secret-to-public" prints it`,
);
export const contentAddressInvalid = kind(
  "CONTENT_ADDRESS_INVALID",
  502,
  (text: string, why: string) => `${quote(text)} is not a content address: ${why}`,
);
export const narInvalid = kind(
  "NAR_INVALID",
  502,
  (why: string, offset: number) => `malformed NAR at byte ${offset}: ${why}`,
);

// ---- OCI formats ----

export const digestInvalid = kind(
  "DIGEST_INVALID",
  400,
  (text: string) => `${quote(text)} is not a digest; write sha256:<64 lower-case hexadecimal digits>`,
);
export const referenceInvalid = kind(
  "REFERENCE_INVALID",
  400,
  (text: string, why: string) => `${quote(text)} is not an image reference: ${why}`,
);
export const tarEntryInvalid = kind(
  "TAR_ENTRY_INVALID",
  422,
  (path: string, why: string) => `${quote(path)} cannot be put into an image layer: ${why}`,
);

// ---- resolver ----

export const sourceUnknown = kind(
  "SOURCE_UNKNOWN",
  400,
  (name: string, known: readonly string[]) =>
    `there is no source ${quote(name)}; the configured sources are: ${known.join(", ")}`,
);
export const pathUnknown = kind(
  "PATH_UNKNOWN",
  404,
  (path: string, neededBy: string, caches: readonly string[]) =>
    `${path}${neededBy === "" ? "" : ` (${neededBy})`} is not in ${caches.join(" nor in ")}; check the path, or copy it there with "nix copy --to <cache> ${path}"`,
);
export const pathUntrusted = kind(
  "PATH_UNTRUSTED",
  403,
  (path: string, cache: string, found: string, trusted: readonly string[]) =>
    `${path} from ${cache} has no valid signature by a trusted key (${found}; trusted: ${trusted.join(", ") || "none"}); sign it with "nix store sign", or add its public key to the source`,
);
export const pathMismatch = kind(
  "PATH_MISMATCH",
  404,
  (cache: string, asked: string, found: string) =>
    `${cache} answered for ${asked} with the narinfo of ${found}; check the path's name against the cache`,
);
export const cacheUnavailable = kind(
  "CACHE_UNAVAILABLE",
  503,
  (cache: string, what: string, why: string) => `${cache} could not be asked for ${what} (${why}); try again`,
);
export const cacheInvalidAnswer = kind(
  "CACHE_INVALID_ANSWER",
  502,
  (cache: string, what: string, why: string) => `${cache} gave a wrong answer for ${what}: ${why}`,
);
export const cacheLeadsAway = kind(
  "CACHE_LEADS_AWAY",
  502,
  (cache: string, target: string, why: string) =>
    `${cache} leads to ${quote(target)}, which is refused: ${why}`,
);
export const cacheAccessDenied = kind(
  "CACHE_ACCESS_DENIED",
  502,
  (cache: string, status: number) =>
    `${cache} refused our credentials (HTTP ${status}); check netrcFile or bearerTokenFile of the source`,
);
export const cacheUrlInvalid = kind(
  "CACHE_URL_INVALID",
  400,
  (url: string, why: string) =>
    `${quote(url)} is not a cache: ${why}; write https://<host>, http://<host> or file:///<directory>`,
);
export const narMissing = kind(
  "NAR_MISSING",
  502,
  (path: string, cache: string) =>
    `${cache} has the narinfo of ${path}, but not its NAR; copy it there again with "nix copy --to <cache> ${path}"`,
);
export const resolveTimeout = kind(
  "RESOLVE_TIMEOUT",
  504,
  (what: string, seconds: number, known: number) =>
    `${what} did not become known within ${seconds.toFixed(1)} s (${known} paths known so far, the walk goes on); try again`,
);
export const closureTooManyPaths = kind(
  "CLOSURE_TOO_MANY_PATHS",
  422,
  (roots: string, limit: number) =>
    `the closure of ${roots} has more than ${limit} paths, the limit (plan.maxPaths); split it, or raise the limit`,
);
export const closureTooLarge = kind(
  "CLOSURE_TOO_LARGE",
  422,
  (roots: string, size: string, limit: string) =>
    `the closure of ${roots} has ${size}, the limit is ${limit} (plan.maxBytes); make it smaller, or raise the limit`,
);

// ---- plan ----

export const tooManyRoots = kind(
  "TOO_MANY_ROOTS",
  422,
  (count: number, limit: number) =>
    `${count} roots do not fit into one image name, at most ${limit} do; combine them with symlinkJoin or buildEnv`,
);
export const tooManyClosures = kind(
  "TOO_MANY_CLOSURES",
  422,
  (count: number, limit: number) =>
    `the Pod asks for ${count} different closures, one Pod may have ${limit}; combine store paths with symlinkJoin or buildEnv`,
);
export const tooManyVolumes = kind(
  "TOO_MANY_VOLUMES",
  422,
  (count: number, limit: number) =>
    `the Pod would get ${count} image volumes, the limit is ${limit}; set the annotation nix.closure/strategy: bundle`,
);
export const imageTooLarge = kind(
  "IMAGE_TOO_LARGE",
  422,
  (image: string, size: string, limit: string, fix: string) =>
    `the image of ${image} has ${size}, a single image may have ${limit}, half of the registry's blob budget; ${fix}`,
);
export const objectTooLarge = kind(
  "OBJECT_TOO_LARGE",
  422,
  (size: string, limit: string) =>
    `the patched Pod would have ${size}, the limit is ${limit}; set the annotation nix.closure/strategy: bundle`,
);
export const imageNameInvalid = kind(
  "IMAGE_NAME_INVALID",
  404,
  (name: string, why: string) => `${quote(name)} names no image of this registry: ${why}`,
);
export const closureCheckMismatch = kind(
  "CLOSURE_CHECK_MISMATCH",
  409,
  (name: string, wanted: string, found: string) =>
    `${name} was planned for a closure with check ${wanted}, this registry resolves one with ${found}; do its source and the webhook's differ?`,
);

export const pathNotInClosure = kind(
  "PATH_NOT_IN_CLOSURE",
  404,
  (text: string, roots: readonly string[], near: readonly string[]) =>
    `${quote(text)} is not in the closure of ${listed(roots)}, so it has no volume; did you mean ${listed(near, " or ")}?`,
);
export const pathAmbiguous = kind(
  "PATH_AMBIGUOUS",
  400,
  (text: string, paths: readonly string[]) =>
    `${quote(text)} can be each of ${paths.length} paths of the closure: ${listed(paths)}; write one of them`,
);

// ---- patch ----

export const podInvalid = kind("POD_INVALID", 400, (why: string) => `malformed Pod: ${why}`);
export const annotationUnknown = kind(
  "ANNOTATION_UNKNOWN",
  400,
  (key: string, nearest: string) => `there is no annotation ${quote(key)}; did you mean ${nearest}?`,
);
export const annotationInvalid = kind(
  "ANNOTATION_INVALID",
  400,
  (key: string, why: string) => `annotation ${key}: ${why}`,
);
export const rootsMissing = kind(
  "ROOTS_MISSING",
  400,
  (where: string) => `${where} names no store path; write /nix/store/<32 characters>-<name>`,
);
export const annotationsInvalid = kind("ANNOTATIONS_INVALID", 400, (messages: readonly string[]) =>
  listed(messages, "; "),
);
export const containerUnknown = kind(
  "CONTAINER_UNKNOWN",
  400,
  (key: string, name: string, known: readonly string[]) =>
    `annotation ${key} names container ${quote(name)}, the Pod has: ${listed(known)}`,
);
export const volumeConflict = kind(
  "VOLUME_CONFLICT",
  409,
  (name: string) => `the Pod has a volume named ${name} of its own, a name that nix-closure needs; rename it`,
);
export const mountConflict = kind(
  "MOUNT_CONFLICT",
  409,
  (container: string, mountPath: string, volume: string, fix: string) =>
    `container ${quote(container)} mounts its volume ${quote(volume)} at ${mountPath}, where the closure goes; ${fix}`,
);
export const systemConflict = kind(
  "SYSTEM_CONFLICT",
  409,
  (system: string, wanted: string, found: string) =>
    `annotation nix.closure/system: ${system} needs nodeSelector kubernetes.io/arch: ${wanted}, the Pod has ${quote(found)}; remove one of them`,
);
export const baseImageUnknown = kind(
  "BASE_IMAGE_UNKNOWN",
  400,
  (container: string, image: string) =>
    `container ${quote(container)} has image ${quote(image)}; the base image is written nix.closure/base, without tag or digest`,
);
export const osUnsupported = kind(
  "OS_UNSUPPORTED",
  400,
  (os: string) =>
    `the Pod is for nodes with the operating system ${quote(os)}, and closures are for linux; remove the annotation, or the Pod's os and nodeSelector kubernetes.io/os`,
);
export const namespaceNotAllowed = kind(
  "NAMESPACE_NOT_ALLOWED",
  403,
  (source: string, namespace: string, allowed: readonly string[]) =>
    `source ${quote(source)} may not be used in namespace ${quote(namespace)}, only in: ${allowed.join(", ")}; ask the cluster's admin, or use another source`,
);

// ---- image ----

export const compressionUnsupported = kind(
  "COMPRESSION_UNSUPPORTED",
  502,
  (path: string, compression: string) =>
    `the NAR of ${path} is compressed with ${quote(compression)}; zstd, xz, gzip, br, bzip2 and none can be read`,
);
export const decompressionFailed = kind(
  "DECOMPRESSION_FAILED",
  502,
  (compression: string, why: string) => `the ${compression} data cannot be decompressed: ${why}`,
);
export const narHashMismatch = kind(
  "NAR_HASH_MISMATCH",
  502,
  (path: string, cache: string, wanted: string, found: string) =>
    `the NAR of ${path} from ${cache} has hash ${found}, its narinfo says ${wanted}; nothing was published`,
);
export const narSizeMismatch = kind(
  "NAR_SIZE_MISMATCH",
  502,
  (path: string, cache: string, wanted: number, found: string) =>
    `the NAR of ${path} from ${cache} has ${found} bytes, its narinfo says ${wanted}; nothing was published`,
);
export const contentAddressMismatch = kind(
  "CONTENT_ADDRESS_MISMATCH",
  502,
  (path: string, cache: string, why: string) =>
    `the content of ${path} from ${cache} ${why}, and it has no signature; nothing was published`,
);
export const whiteoutName = kind(
  "WHITEOUT_NAME",
  422,
  (path: string, name: string) =>
    `${path} holds ${quote(name)}; names that start with ".wh." delete files in OCI layers and cannot be put in an image`,
);
export const notADirectory = kind(
  "NOT_A_DIRECTORY",
  422,
  (path: string, type: string) =>
    `${path} is a ${type === "symlink" ? "symlink" : "file"}, so it cannot have an image of its own; its place is in the store image of a closure`,
);
export const blobStoreInUse = kind(
  "BLOB_STORE_IN_USE",
  500,
  (directory: string) =>
    `another process keeps its blobs in ${directory}; stop it, or give this one a registry.blobs.directory of its own`,
);
export const blobBudgetExhausted = kind(
  "BLOB_BUDGET_EXHAUSTED",
  503,
  (needed: string, limit: string) =>
    `${needed} do not fit into the blob store of ${limit} while its blobs are in use; try again, or raise registry.blobs.maxBytes`,
);
export const diskFailed = kind(
  "DISK_FAILED",
  503,
  (what: string, why: string) =>
    `the blob store could not ${what}: ${why}; check the disk of registry.blobs.directory`,
);
export const conversionSlow = kind(
  "CONVERSION_SLOW",
  503,
  (image: string, seconds: number) =>
    `${image} is not ready after ${seconds} s, its conversion goes on; pull again`,
);
export const registryBusy = kind(
  "REGISTRY_BUSY",
  429,
  (limit: number) => `${limit} requests wait for images already; pull again later`,
);

// ---- webhook ----

export const reviewInvalid = kind(
  "REVIEW_INVALID",
  400,
  (why: string) => `the body is not an AdmissionReview of admission.k8s.io/v1: ${why}`,
);

export const shuttingDown = kind("SHUTTING_DOWN", 503, () => "this process is shutting down; try again");

// ---- cluster ----

export const apiServerUnavailable = kind(
  "API_SERVER_UNAVAILABLE",
  503,
  (what: string, why: string) => `the API server could not ${what}: ${why}`,
);
export const imageVolumesUnsupported = kind(
  "IMAGE_VOLUMES_UNSUPPORTED",
  422,
  (why: string) =>
    `${why}, so the Pod would start without its closure; upgrade to Kubernetes 1.35 or later, or turn the gate on in the API server and the kubelets`,
);

// ---- command line and configuration: configuration-errors.ts; ordinary registries: registry-errors.ts;
// closures that were pushed there: pushed-closure-errors.ts ----

export const internal = kind("INTERNAL", 500, (why: string) => `internal error: ${why}; please report it`);
