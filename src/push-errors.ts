import { kind } from "./error-kind.ts";
import { listed, quote } from "./wording.ts";

/** Errors of `nix-closure push` and `generate-key`: a part of errors.ts, which everyone imports. */

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
