import { kind } from "./error-kind.ts";
import { quote } from "./wording.ts";

/**
 * Errors of ordinary registries, those that closures are pushed to: a part of errors.ts, which everyone imports.
 *
 * `name` is `<host>/<repository>`; `doing` tells what was wanted in words that follow "when", such as
 * "reading the manifest 1.2".
 */

export const registryUnavailable = kind(
  "REGISTRY_UNAVAILABLE",
  503,
  (name: string, doing: string, why: string) => `${name} failed when ${doing} (${why}); try again`,
);
export const registryAccessDenied = kind(
  "REGISTRY_ACCESS_DENIED",
  502,
  (name: string, doing: string, why: string, fix: string) =>
    `${name} denied access when ${doing} (${why}); ${fix}`,
);
export const registryRefused = kind(
  "REGISTRY_REFUSED",
  502,
  (name: string, doing: string, why: string) => `${name} refused when ${doing}: ${why}`,
);
export const registryInvalidAnswer = kind(
  "REGISTRY_INVALID_ANSWER",
  502,
  (name: string, doing: string, why: string) => `${name} gave a wrong answer when ${doing}: ${why}`,
);
export const registryLeadsAway = kind(
  "REGISTRY_LEADS_AWAY",
  502,
  (name: string, target: string, why: string) =>
    `${name} leads to ${quote(target)}, which is refused: ${why}`,
);
export const repositoryUnknown = kind(
  "REPOSITORY_UNKNOWN",
  404,
  (name: string, doing: string, why: string) =>
    `${name} is not known to the registry (${why}) when ${doing}; create it there: this registry makes none by itself`,
);
export const credentialsInvalid = kind(
  "CREDENTIALS_INVALID",
  400,
  (file: string, why: string) => `the credentials of registries in ${file} cannot be used: ${why}`,
);
export const credentialHelperFailed = kind(
  "CREDENTIAL_HELPER_FAILED",
  502,
  (helper: string, file: string, host: string, why: string) =>
    `${helper}, which ${file} names for ${host}, failed: ${why}`,
);
