import { setFlagsFromString } from "node:v8";
import { buildCommand } from "@stricli/core";
import type { CliContext } from "./context.ts";
import { configFlag, jsonFlag } from "./flags.ts";
import type { PushFlags } from "./push-flags.ts";

const text = { kind: "parsed", parse: String } as const;
const optionalText = { ...text, optional: true } as const;
const texts = { ...optionalText, variadic: true } as const;
const toggle = { kind: "boolean", default: false, withNegated: false } as const;

export const pushCommand = buildCommand({
  docs: {
    brief: "Put closures into an ordinary registry",
    fullDescription:
      "Makes an image of each directory of a closure, and store images for the plans asked for, signs them together, and " +
      "puts them into a repository of an ordinary registry. What is there already is not sent again. A source of kind " +
      "registry then finds the closure there (docs/push.md).",
  },
  parameters: {
    flags: {
      config: configFlag,
      json: jsonFlag,
      to: { ...text, brief: "Repository of an ordinary registry", placeholder: "HOST/REPOSITORY" },
      from: {
        ...optionalText,
        brief:
          "Where closures are read: a source, the URL of a cache, /nix/store, or a link such as ./result, which is a root too",
        placeholder: "SOURCE",
      },
      publicKey: {
        ...texts,
        brief: "Key that paths of a cache named by its URL are signed with (repeatable)",
        placeholder: "KEY",
      },
      signKey: {
        ...optionalText,
        brief: "File of the secret key that signs what is pushed",
        placeholder: "FILE",
      },
      together: { ...toggle, brief: "Push the roots as one closure, for Pods that name all of them" },
      plan: {
        ...texts,
        brief:
          "Store image to make: stock, tuned, per-path, bundle, or a number of images (repeatable; default: stock and tuned)",
        placeholder: "PLAN",
      },
      name: {
        ...optionalText,
        brief: "Push the closures of several systems under one name, for Pods on nodes of any of them",
        placeholder: "NAME",
      },
      system: {
        ...texts,
        brief:
          "System of the closure, x86_64-linux or aarch64-linux (default: that of its programs); with --name and its root, once for each system",
        placeholder: "SYSTEM[=ROOT]",
      },
      compression: {
        kind: "enum",
        values: ["zstd", "gzip", "none"],
        brief: "Compression of layers",
        default: "zstd",
      },
      mountFrom: {
        ...texts,
        brief: "Another repository of the same registry that may have layers already (repeatable)",
        placeholder: "REPOSITORY",
      },
      dryRun: { ...toggle, brief: "Send nothing, and say what would be sent" },
      force: { ...toggle, brief: "Make and check everything anew, whatever is there already" },
      plainHttp: { ...toggle, brief: "Speak HTTP to a registry that is not on this machine" },
      caFile: {
        ...optionalText,
        brief: "Certificates of authorities to trust too, PEM",
        placeholder: "FILE",
      },
      scratch: {
        ...optionalText,
        brief: "Directory for layers on their way (default: in the user's cache directory)",
        placeholder: "DIR",
      },
    },
    positional: {
      kind: "array",
      parameter: {
        brief:
          "store paths, or links to them such as ./result; a prefix <source>: names another source than the default",
        parse: String,
        placeholder: "ROOT",
      },
    },
  },
  async func(this: CliContext, flags: PushFlags, ...words: readonly string[]): Promise<void> {
    // Nearly all that a push makes is garbage at once: with more room, V8 would only collect it later, at 30 MiB more.
    setFlagsFromString("--semi-space-growth-factor=1");
    const { runPush } = await import("./push-run.ts");
    await runPush(this, flags, words);
  },
});
