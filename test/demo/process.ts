import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const projectRoot = fileURLToPath(new URL("../../", import.meta.url));

export interface RunningScript {
  /** Everything on standard output so far. */
  stdout(): string;
  /** Resolves as soon as standard output holds this; rejects if the process ends before. */
  shows(text: string): Promise<void>;
  interrupt(): void;
  readonly ended: Promise<EndedScript>;
}

export interface EndedScript {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
  /** What it left in the directory for temporary files. */
  readonly leftFiles: readonly string[];
  /** Whether processes of its group are still there. */
  readonly leftProcesses: boolean;
}

/** Starts a script of demo/ in a process group of its own, with a directory for temporary files of its own. */
export function startScript(
  script: string,
  args: readonly string[] = [],
  env: Readonly<Record<string, string>> = {},
): RunningScript {
  const temporary = mkdtempSync(join(tmpdir(), "nix-closure-test-"));
  const child = spawn(process.execPath, [join("demo", script), ...args], {
    cwd: projectRoot,
    detached: true,
    env: { ...process.env, TMPDIR: temporary, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const text = { stdout: "", stderr: "" };
  child.stdout.setEncoding("utf8").on("data", (chunk: string) => (text.stdout += chunk));
  child.stderr.setEncoding("utf8").on("data", (chunk: string) => (text.stderr += chunk));
  const ended = once(child, "close").then(([code]) => {
    const leftFiles = readdirSync(temporary);
    rmSync(temporary, { recursive: true, force: true });
    return { code: code as number | null, ...text, leftFiles, leftProcesses: groupExists(child.pid) };
  });
  return {
    ended,
    stdout: () => text.stdout,
    interrupt: () => child.kill("SIGINT"),
    shows: (wanted) =>
      new Promise((resolve, reject) => {
        const look = (): void => {
          if (text.stdout.includes(wanted)) resolve();
        };
        child.stdout.on("data", look);
        child.once("close", () =>
          reject(new Error(`ended without ${JSON.stringify(wanted)}: ${text.stderr}`)),
        );
        look();
      }),
  };
}

/** Runs a command line in the project's root, as a person would by copy and paste. */
export function runInShell(command: string): { readonly status: number | null; readonly stdout: string } {
  const { status, stdout, stderr } = spawnSync("sh", ["-c", command], { cwd: projectRoot, encoding: "utf8" });
  return { status, stdout: stdout + stderr };
}

function groupExists(pid: number | undefined): boolean {
  if (pid === undefined) return false;
  try {
    process.kill(-pid, 0);
    return true;
  } catch {
    return false;
  }
}
