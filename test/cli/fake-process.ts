import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { stringify } from "yaml";
import { runCli } from "../../src/cli/app.ts";
import type { CliContext } from "../../src/cli/context.ts";
import { demoSource, demoUrl } from "../service/demo-cache.ts";

/** What a command did. */
export interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
  /** Everything that a terminal would have shown, in order. */
  readonly shown: readonly { readonly on: "stdout" | "stderr" | "progress"; readonly text: string }[];
}

/** Runs the command line in a process that is only told of. */
export async function cli(
  args: readonly string[],
  options: {
    readonly stdin?: string;
    /** Standard error is a terminal. */
    readonly terminal?: boolean;
    /** Told of what is shown, at once. */
    readonly onShown?: (text: string) => void;
    readonly ended?: CliContext["ended"];
    readonly env?: Readonly<Record<string, string>>;
  } = {},
): Promise<Outcome> {
  const shown: { on: "stdout" | "stderr" | "progress"; text: string }[] = [];
  const show = (on: "stdout" | "stderr" | "progress") => (text: string) => {
    shown.push({ on, text });
    options.onShown?.(text);
  };
  const context: CliContext = {
    process: {
      stdout: { write: show("stdout") },
      stderr: { write: show("stderr") },
      env: options.env ?? {},
      exitCode: null,
    },
    stdin: (async function* () {
      // In pieces that cut characters in two.
      for (const byte of Buffer.from(options.stdin ?? "")) yield Buffer.of(byte);
    })(),
    progressTo: options.terminal === true ? show("progress") : undefined,
    ended: options.ended ?? (() => new Promise(() => undefined)),
  };
  await runCli(args, context);
  const text = (on: string) =>
    shown
      .filter((part) => part.on === on)
      .map((part) => part.text)
      .join("");
  return {
    code: Number(context.process.exitCode ?? 0),
    stdout: text("stdout"),
    stderr: text("stderr"),
    shown,
  };
}

/** A directory that is gone after the test. */
export async function scratch(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), "nix-closure-cli-"));
  onTestFinished(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

/** Writes a configuration file with the demo's cache as source `demo`, changed by `changes`. */
export async function configFile(changes: object = {}): Promise<string> {
  const file = join(await scratch(), "config.yaml");
  await writeFile(file, stringify({ sources: { demo: demoSource(demoUrl) }, ...changes }));
  return file;
}

/** Writes a file in a directory of its own. */
export async function fileWith(text: string, name = "manifest.yaml"): Promise<string> {
  const file = join(await scratch(), name);
  await writeFile(file, text);
  return file;
}
