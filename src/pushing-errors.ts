import { kind } from "./error-kind.ts";
import { listed, quote } from "./wording.ts";

/** Errors of closures in an ordinary registry: a part of errors.ts, which everyone imports. */

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
