import { kind } from "./error-kind.ts";
import { listed, quote } from "./wording.ts";

/**
 * Errors of closures in an ordinary registry: of pushing them there, of what lies there, and of sources of kind registry. A
 * part of errors.ts, which everyone imports.
 */

// ---- the commands push and generate-key ----

export const pushOptionInvalid = kind(
  "PUSH_OPTION_INVALID",
  400,
  (option: string, text: string, why: string) => `${option} ${quote(text)}: ${why}`,
);
export const signKeyMissing = kind(
  "SIGN_KEY_MISSING",
  400,
  () =>
    'a closure is pushed with a signature, and there is no --sign-key FILE; make a key with "nix-closure generate-key"',
);
export const keyNameInvalid = kind(
  "KEY_NAME_INVALID",
  400,
  (name: string) =>
    `${quote(name)} is no name for a key; write letters, digits, and + - . _ after the first, as in shop-1`,
);
export const keyExists = kind(
  "KEY_EXISTS",
  409,
  (file: string) => `${file} exists, and a key in it would be lost; name another file with --out`,
);
export const localPathInvalid = kind(
  "LOCAL_PATH_INVALID",
  400,
  (text: string, why: string) => `${quote(text)} leads to no store path: ${why}`,
);
export const systemUnclear = kind(
  "SYSTEM_UNCLEAR",
  422,
  (roots: readonly string[], found: readonly string[], known: readonly string[]) =>
    `the closure of ${listed(roots)} has ${found.length === 0 ? "no program" : `programs for ${listed(found, " and ")}`}, so its system is to be named: --system ${listed(known, " or --system ")}`,
);
export const nixFailed = kind(
  "NIX_FAILED",
  500,
  (why: string) =>
    `paths of the local store are read with "nix copy", which failed: ${why}; name a cache with --from where there is no Nix`,
);
export const scratchFailed = kind(
  "SCRATCH_FAILED",
  500,
  (directory: string, why: string) =>
    `the scratch directory ${directory} failed: ${why}; name another one with --scratch`,
);
export const pushInterrupted = kind(
  "PUSH_INTERRUPTED",
  503,
  (signal: string) =>
    `${signal} ended the push; what was sent stays there, and the next push goes on from it`,
);

// ---- what lies in a registry ----

export const closureIndexInvalid = kind(
  "CLOSURE_INDEX_INVALID",
  502,
  (why: string) => `not a closure as "nix-closure push" makes it: ${why}; push it again`,
);
export const planNotPushed = kind(
  "PLAN_NOT_PUSHED",
  422,
  (roots: readonly string[], strategy: string, counts: readonly string[]) => {
    const chosen = strategy === "per-path" || strategy === "bundle";
    const found = counts.length === 0 ? "no plan at all" : `plans of ${listed(counts)} images`;
    const fix = `push it again with "--plan ${chosen ? strategy : "stock"}" among its plans`;
    const way = chosen ? `${fix}, or set the annotation nix.closure/strategy: auto` : fix;
    return `the closure of ${listed(roots)} was pushed with ${found}, and none is for the strategy ${strategy}; ${way}`;
  },
);
export const secretKeyInvalid = kind(
  "SECRET_KEY_INVALID",
  400,
  (why: string) =>
    `not a secret key: ${why}; write <name>:<base64 of 64 bytes>, as "nix key generate-secret --key-name <name>" prints it`,
);
export const tooManyTogether = kind(
  "TOO_MANY_TOGETHER",
  422,
  (count: number, limit: number) =>
    `${count} roots do not fit into one tag, at most ${limit} do; push them one by one, or combine them with symlinkJoin or buildEnv`,
);

export const pushedClosureTooLarge = kind(
  "PUSHED_CLOSURE_TOO_LARGE",
  422,
  (paths: number, bytes: number, maxPaths: number, maxBytes: number) =>
    `a closure of ${paths} paths, ${bytes} bytes when it is written down, does not fit into a registry: at most ${maxPaths} paths and ${maxBytes} bytes do; push its parts as closures of their own`,
);

// ---- a source of kind registry ----

export const registryAbsent = kind(
  "REGISTRY_ABSENT",
  422,
  (what: string, fix: string) =>
    `${what} would come from the registry of nix-closure, and this cluster has none (registry.enabled: false in the configuration); ${fix}`,
);

export const closureNotPushed = kind(
  "CLOSURE_NOT_PUSHED",
  404,
  (roots: string, repository: string, together: boolean) =>
    `the closure of ${roots} was not pushed to ${repository}; check the ${together ? "paths" : "path"}, or push it there with "nix-closure push ${roots} --to ${repository}${together ? " --together" : ""}"`,
);
export const closureUntrusted = kind(
  "CLOSURE_UNTRUSTED",
  403,
  (roots: string, repository: string, found: string, trusted: readonly string[]) =>
    `the closure of ${roots} in ${repository} has no valid signature by a trusted key (${found}; trusted: ${trusted.join(", ")}); push it again with --sign-key, or add its public key to the source`,
);
export const closureRootsDiffer = kind(
  "CLOSURE_ROOTS_DIFFER",
  404,
  (repository: string, asked: string, found: string) =>
    `${repository} has the closure of ${found} where that of ${asked} should be; check the path's name, or push the closure again`,
);
export const closureIncomplete = kind(
  "CLOSURE_INCOMPLETE",
  502,
  (repository: string, roots: string, what: string) =>
    `${repository} has the index of the closure of ${roots}, but not its ${what}; push it again, or copy it there again as a whole`,
);
export const sourceWithoutNars = kind(
  "SOURCE_WITHOUT_NARS",
  400,
  (source: string, repository: string) =>
    `source ${quote(source)} has images, in ${repository}, and no NARs; name a source with caches`,
);

// ---- names ----

export const closureNameInvalid = kind(
  "CLOSURE_NAME_INVALID",
  400,
  (text: string, why: string) => `${quote(text)} is no name of closures: ${why}`,
);
export const nameWithoutRegistry = kind(
  "NAME_WITHOUT_REGISTRY",
  400,
  (name: string, source: string) =>
    `${quote(name)} is a name, and source ${quote(source)} has binary caches, which know store paths only; write the store path, or name a source with a registry`,
);
export const nameNotPushed = kind(
  "NAME_NOT_PUSHED",
  404,
  (name: string, repository: string) =>
    `${repository} has nothing under the name ${quote(name)}; check the name, or push it there with "nix-closure push --name ${name} --system x86_64-linux=ROOT --to ${repository}"`,
);
export const nameDiffers = kind(
  "NAME_DIFFERS",
  404,
  (repository: string, asked: string, found: string) =>
    `${repository} has the name ${quote(found)} where ${quote(asked)} should be; push ${asked} again`,
);
export const strategyNotForNames = kind(
  "STRATEGY_NOT_FOR_NAMES",
  422,
  (strategy: string, name: string) =>
    `the strategy ${strategy} cannot be had with the name ${quote(name)}: volumes of single paths are mounted where the paths of one system are, and a name may be of several; leave nix.closure/strategy out, or write auto or bundle there, or the store path in place of the name`,
);
export const systemNotPushed = kind(
  "SYSTEM_NOT_PUSHED",
  422,
  (closure: string, pushed: readonly string[], why: string, wanted: string, fix: string) =>
    `${closure} was pushed for ${pushed.join(" and ")}, and ${why} ${wanted}; ${fix}`,
);
