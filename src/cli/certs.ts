import { buildCommand, numberParser } from "@stricli/core";
import { print, type CliContext } from "./context.ts";
import { startProgress } from "./progress.ts";

interface Flags {
  readonly out: string;
  readonly days: number;
  readonly name?: readonly string[];
  readonly service: string;
  readonly namespace: string;
  readonly keepCaKey: boolean;
  readonly force: boolean;
}

export const certsCommand = buildCommand({
  docs: {
    brief: "Make a development CA and a server certificate for the webhook",
    fullDescription:
      "Writes ca.pem, tls.pem and tls.key. The CA's private key is thrown away, so nobody can make another certificate " +
      "that the CA's clients believe. For a cluster see docs/configuration.md.",
  },
  parameters: {
    flags: {
      out: {
        kind: "parsed",
        parse: String,
        brief: "Directory to write to",
        placeholder: "DIR",
        default: "certs",
      },
      days: {
        kind: "parsed",
        parse: numberParser,
        brief: "Days that both certificates are valid",
        default: "30",
      },
      name: {
        kind: "parsed",
        parse: String,
        brief: "DNS name or IP address beside the usual ones (repeatable)",
        placeholder: "NAME",
        optional: true,
        variadic: true,
      },
      service: {
        kind: "parsed",
        parse: String,
        brief: "Name of the Service",
        default: "nix-closure-webhook",
      },
      namespace: { kind: "parsed", parse: String, brief: "Namespace of the Service", default: "nix-closure" },
      keepCaKey: {
        kind: "boolean",
        brief: "Keep the CA's private key as ca.key",
        default: false,
        withNegated: false,
      },
      force: {
        kind: "boolean",
        brief: "Overwrite files of other origin",
        default: false,
        withNegated: false,
      },
    },
  },
  async func(this: CliContext, flags: Flags): Promise<void> {
    const { developmentNames, writeDevelopmentCertificates } = await import("../webhook/tls/development.ts");
    const { days, keepCaKey, force } = flags;
    const names = [...developmentNames(flags.service, flags.namespace), ...(flags.name ?? [])];
    const progress = startProgress(this);
    progress.update("making keys");
    const made = await writeDevelopmentCertificates(flags.out, {
      names,
      days,
      keepCaKey,
      force,
      now: new Date(),
    }).finally(() => progress.end());
    print(
      this,
      [
        `CA certificate      ${made.caPath}`,
        ...(made.caKeyPath === undefined ? [] : [`CA private key      ${made.caKeyPath}`]),
        `server certificate  ${made.certificatePath}, valid until ${made.notAfter.toISOString()}`,
        `private key         ${made.keyPath}`,
        `names               ${made.names.join(", ")}`,
        `caBundle            ${made.caBundle}`,
        "",
      ].join("\n"),
    );
  },
});
