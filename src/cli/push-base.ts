import { buildCommand } from "@stricli/core";
import { print, type CliContext } from "./context.ts";
import { jsonFlag } from "./flags.ts";

interface Flags {
  readonly json: boolean;
  readonly to: string;
  readonly plainHttp: boolean;
  readonly caFile?: string;
}

export const pushBaseCommand = buildCommand({
  docs: {
    brief: "Put the base image into an ordinary registry",
    fullDescription:
      "Puts the small image that nix.closure/base stands for into a repository of an ordinary registry, for clusters without " +
      "a registry of nix-closure: baseImage of the configuration names it there.",
  },
  parameters: {
    flags: {
      json: jsonFlag,
      to: {
        kind: "parsed",
        parse: String,
        brief: "Repository of an ordinary registry",
        placeholder: "HOST/REPOSITORY",
      },
      plainHttp: {
        kind: "boolean",
        default: false,
        withNegated: false,
        brief: "Speak HTTP to a registry that is not on this machine",
      },
      caFile: {
        kind: "parsed",
        parse: String,
        optional: true,
        brief: "Certificates of authorities to trust too, PEM",
        placeholder: "FILE",
      },
    },
    positional: { kind: "tuple", parameters: [] },
  },
  async func(this: CliContext, { json, to, plainHttp, caFile }: Flags): Promise<void> {
    const [{ pushBaseImage }, { openCredentialStore }, { endingOf }, { parseTarget }, { version }] =
      await Promise.all([
        import("../push/base-image.ts"),
        import("../registry-client/credentials.ts"),
        import("./push-ending.ts"),
        import("./push-flags.ts"),
        import("./version.ts"),
      ]);
    const { tag, digest, outcome } = await pushBaseImage({
      ...parseTarget(to),
      credentials: openCredentialStore({ env: this.process.env ?? {} }),
      ...(caFile !== undefined && { caFile }),
      ...(plainHttp && { plainHttp }),
      userAgent: `nix-closure/${version}`,
      signal: endingOf(this).signal,
    });
    const reference = `${to}:${tag}@${digest}`;
    print(this, json ? `${JSON.stringify({ reference, tag, digest, ...outcome })}\n` : `${reference}\n`);
  },
});
