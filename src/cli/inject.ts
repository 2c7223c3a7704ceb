import { readFile } from "node:fs/promises";
import { buildCommand } from "@stricli/core";
import { fileUnreadable, NixClosureError } from "../errors.ts";
import { podOperations } from "../patch/operations.ts";
import { parsePod } from "../patch/pod.ts";
import { hasPullSecrets } from "../patch/pull-secrets.ts";
import { findPodTemplates, type PodTemplate } from "../patch/workload.ts";
import { note, print, type CliContext } from "./context.ts";
import { configFlag } from "./flags.ts";
import type { ManifestDocument } from "./manifest.ts";
import type { Toolbox } from "./toolbox.ts";

interface Flags {
  readonly config?: string;
  readonly file: string;
}

export const injectCommand = buildCommand({
  docs: {
    brief: "Put closures into the Pods of a manifest, as the webhook would",
    fullDescription:
      "Reads YAML (any number of documents) or JSON, injects each annotated Pod and Pod template, and prints the manifest. " +
      "Comments and the order of the rest are kept. Nothing is sent to a cluster.",
  },
  parameters: {
    flags: {
      config: configFlag,
      file: {
        kind: "parsed",
        parse: String,
        brief: "Manifest to read, - for standard input",
        placeholder: "FILE",
      },
    },
    aliases: { f: "file" },
  },
  async func(this: CliContext, flags: Flags): Promise<void> {
    const [{ parseManifest }, { openToolbox }] = await Promise.all([
      import("./manifest.ts"),
      import("./toolbox.ts"),
    ]);
    const text = await readInput(this, flags.file);
    const documents = parseManifest(text, flags.file);
    await using toolbox = await openToolbox(this, flags.config);
    for (const document of documents) await injectDocument(this, document, toolbox);
    toolbox.progress.end();
    print(this, documents.map((document) => document.toText()).join(""));
  },
});

async function injectDocument(
  context: CliContext,
  document: ManifestDocument,
  toolbox: Toolbox,
): Promise<void> {
  for (const template of findPodTemplates(document.value)) {
    const { owner, ownerAnnotations } = template;
    if (Object.keys(ownerAnnotations).some((key) => key === "nix.closure" || key.includes("nix.closure/"))) {
      toolbox.progress.clear();
      note(
        context,
        `${owner}: its own nix.closure annotations have no effect; they belong on its Pod template`,
      );
    }
    await injectTemplate(context, document, template, toolbox);
  }
}

async function injectTemplate(
  context: CliContext,
  document: ManifestDocument,
  { path, value, namespace, owner }: PodTemplate,
  { admission, progress }: Toolbox,
): Promise<void> {
  try {
    const pod = parsePod(value);
    const injection = await admission.inject(pod, namespace);
    if (injection === undefined) return;
    if (injection.warnings.length > 0) progress.clear();
    for (const warning of injection.warnings) note(context, `${owner}: ${warning}`);
    if (!hasPullSecrets(pod) && hasPullSecrets(injection.pod)) {
      progress.clear();
      note(
        context,
        `${owner}: it has a list imagePullSecrets now, so it does not get that of its ServiceAccount; add what it needs of those`,
      );
    }
    const operations = podOperations(pod, injection.pod);
    if (operations.length > 0) document.apply(path, operations);
  } catch (error) {
    throw error instanceof NixClosureError ? error.within(owner) : error;
  }
}

async function readInput(context: CliContext, file: string): Promise<string> {
  if (file !== "-") {
    try {
      return await readFile(file, "utf8");
    } catch (error) {
      throw fileUnreadable(file, error instanceof Error ? error.message : String(error)).causedBy(error);
    }
  }
  const chunks: Uint8Array[] = [];
  for await (const chunk of context.stdin)
    chunks.push(typeof chunk === "string" ? Buffer.from(chunk) : chunk);
  return Buffer.concat(chunks).toString("utf8");
}
