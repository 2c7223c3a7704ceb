import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { projectRoot } from "./cache.ts";
import { run } from "./command.ts";
import { docCommands, planCommands, type Substitution } from "./doc-commands.ts";

/** How commands of a page are run. */
export interface DocRun {
  /** Path in the clone. */
  readonly page: string;
  /** A heading of the page. */
  readonly section: string;
  readonly env: Readonly<Record<string, string>>;
  readonly substitutions?: readonly Substitution[];
  /** Takes each command, and why another one is run instead. */
  readonly onLine: (text: string) => void;
}

/**
 * Runs the commands of one section of a page in one shell, in the clone, until one fails. What they leave running in
 * the background ends with them.
 *
 * @returns what they have written
 * @throws Error if the section has no commands, or one fails
 */
export async function runDocSection(options: DocRun): Promise<string> {
  const { page, section, env, substitutions = [], onLine } = options;
  const all = docCommands(await readFile(new URL(page, projectRoot), "utf8"));
  const commands = planCommands(
    all.filter((command) => command.section === section),
    substitutions,
  );
  if (commands.length === 0) throw new Error(`${page} has no commands below "${section}"`);
  for (const { text, run, reason } of commands) {
    onLine(`$ ${text}`);
    if (reason !== undefined) onLine(`  ${run === undefined ? "not run" : `run as: ${run}`} (${reason})`);
  }
  const script = [
    "trap 'kill $(jobs -p) 2>/dev/null || true' EXIT",
    ...commands.map((command) => command.run ?? ""),
  ];
  return run("bash", ["-euo", "pipefail", "-c", script.join("\n")], {
    cwd: fileURLToPath(projectRoot),
    env,
  });
}

/** The headings of a page that have commands below them, in their order. */
export async function sectionsWithCommands(page: string): Promise<readonly string[]> {
  const commands = docCommands(await readFile(new URL(page, projectRoot), "utf8"));
  return [...new Set(commands.map(({ section }) => section))];
}
