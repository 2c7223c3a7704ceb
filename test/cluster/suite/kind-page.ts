import { clusterEnvironment } from "../kind/cluster.ts";
import { readFile } from "node:fs/promises";
import { projectRoot } from "../kind/cache.ts";
import { docTranscripts, type DocTranscript, type Substitution } from "../kind/doc-commands.ts";
import { runDocSection, sectionsWithCommands } from "../kind/doc-run.ts";
import type { Engine } from "../kind/engine.ts";
import type { Prepared } from "../kind/prepare.ts";

/** The page whose commands make the cluster that the suite runs on. */
export const kindPage = "docs/kind.md";

/** Its sections with commands, by who runs them. */
export const kindSections = {
  /** The suite's set-up. */
  create: "Make a cluster",
  /** The suite's set-up and suite/install.test.ts. */
  install: "Install",
  /** suite/install.test.ts. */
  try: "Try it",
  /** suite/install.test.ts. */
  uninstall: "Uninstall",
  /** The suite's tear-down does more than this: it is not run by itself. */
  remove: "Remove the cluster",
} as const;

/** @throws Error if the page has other sections with commands than those that somebody runs */
export async function checkKindPage(): Promise<void> {
  const found = await sectionsWithCommands(kindPage);
  const known = Object.values(kindSections);
  if (JSON.stringify(found) !== JSON.stringify(known))
    throw new Error(`${kindPage} has commands below ${found.join(", ")}; the suite runs ${known.join(", ")}`);
}

/** What the page shows with its output. */
export async function kindTranscripts(): Promise<readonly DocTranscript[]> {
  return docTranscripts(await readFile(new URL(kindPage, projectRoot), "utf8"));
}

/** Runs one section's commands as they are, or as the substitutions say. */
export function runKindSection(
  name: keyof typeof kindSections,
  engine: Engine,
  onLine: (text: string) => void,
  substitutions: readonly Substitution[] = [],
): Promise<string> {
  const env = clusterEnvironment(engine);
  return runDocSection({ page: kindPage, section: kindSections[name], env, substitutions, onLine });
}

/** What the suite itself, and a machine that cannot pull images, force. */
export function forcedSubstitutions({ engine, base, config, nodeImage }: Prepared): readonly Substitution[] {
  const create: Substitution = {
    pattern: /^kind create cluster\b/,
    replacement: (command) =>
      `${command.replace(/--config[ =]\S+/, `--config '${config.file}'`)} --image '${nodeImage}'`,
    reason:
      engine.kind === "own"
        ? `own node image; ${config.additions.join("; ")}`
        : "the release of Kubernetes that is tested",
  };
  const packages: Substitution = {
    pattern: /^npm ci$/,
    replacement: () => undefined,
    reason: "the suite runs from these packages",
  };
  if (base === undefined) return [packages, create];
  const image: Substitution = {
    pattern: /^npm run image\b/,
    replacement: (command) => `${command}${command.includes(" -- ") ? "" : " --"} --base '${base}'`,
    reason: "no base image can be pulled here",
  };
  return [packages, create, image];
}
