import { kind } from "./error-kind.ts";

/** Errors of the command line, the configuration and its files: a part of errors.ts, which everyone imports. */

export const configInvalid = kind(
  "CONFIG_INVALID",
  400,
  (file: string, problems: readonly string[]) => `configuration ${file}: ${problems.join("; ")}`,
);
export const fileUnreadable = kind(
  "FILE_UNREADABLE",
  400,
  (file: string, why: string) => `cannot read ${file}: ${why}`,
);
export const fileExists = kind(
  "FILE_EXISTS",
  409,
  (file: string) =>
    `${file} exists and is not one that "nix-closure certs" made; name another directory, or overwrite it with --force`,
);
export const fileUnwritable = kind(
  "FILE_UNWRITABLE",
  500,
  (file: string, why: string) => `cannot write ${file}: ${why}`,
);
export const manifestInvalid = kind(
  "MANIFEST_INVALID",
  400,
  (file: string, why: string) => `${file} is not a Kubernetes manifest: ${why}`,
);
export const certificateInvalid = kind(
  "CERTIFICATE_INVALID",
  400,
  (file: string, why: string) => `certificate ${file}: ${why}; make one with "nix-closure certs"`,
);
export const portUnavailable = kind(
  "PORT_UNAVAILABLE",
  500,
  (address: string, why: string) => `cannot listen on ${address}: ${why}`,
);
