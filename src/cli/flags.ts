/** The file that is read where no --config is given, if it is there. */
export const defaultConfigFile = "nix-closure.yaml";

export const configFlag = {
  kind: "parsed",
  parse: String,
  brief: `Configuration file (default: ${defaultConfigFile} if there is one, else cache.nixos.org alone)`,
  placeholder: "FILE",
  optional: true,
} as const;

export const jsonFlag = {
  kind: "boolean",
  brief: "Print JSON (docs/cli.md)",
  default: false,
  withNegated: false,
} as const;

/** The roots of a command, at least one, or a name. */
export const closureArguments = {
  kind: "array",
  minimum: 1,
  parameter: {
    brief: "store paths, or a name; a prefix <source>: names another source than the default",
    parse: String,
    placeholder: "ROOT",
  },
} as const;
