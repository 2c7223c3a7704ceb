import { type ChildProcess, spawn } from "node:child_process";
import { readlinkSync } from "node:fs";
import { capture } from "../demo/child.ts";
import { descendantsOf, readProc, residentBytes } from "./proc.ts";

/** What the run of a program took, with all the programs that it ran. */
export interface ProgramRun {
  readonly seconds: number;
  /** The most resident memory at a time, of all processes together. */
  readonly peakBytes: number;
  readonly stdout: string;
}

const sampleIntervalMs = 20;

/**
 * Runs a program to its end, and looks 50 times a second how much memory it has.
 *
 * @throws Error with the end of what it wrote, if it fails
 */
export async function runMeasured(
  [file, ...args]: readonly [string, ...string[]],
  env: Readonly<Record<string, string>> = {},
): Promise<ProgramRun> {
  const started = performance.now();
  const child: ChildProcess = spawn(file, args, {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, ...env },
  });
  let peakBytes = 0;
  const timer = setInterval(() => {
    if (child.pid !== undefined) peakBytes = Math.max(peakBytes, treeBytes(child.pid));
  }, sampleIntervalMs);
  try {
    const { code, stdout, stderr, error } = await capture(child);
    if (code !== 0) {
      throw new Error(
        `${file} ${args.slice(0, 3).join(" ")}: ${error?.message ?? `exit code ${code}`}\n${stderr}`,
      );
    }
    return { seconds: (performance.now() - started) / 1000, peakBytes, stdout };
  } finally {
    clearInterval(timer);
  }
}

/**
 * Resident bytes of a process and its descendants: of the process itself the most so far, of the others those of now. One
 * that still runs its parent's program was forked a moment ago, and shares its parent's memory.
 */
function treeBytes(pid: number): number {
  const own = Number(/^VmHWM:\s*(\d+) kB$/m.exec(readProc(`/proc/${pid}/status`))?.[1] ?? 0) * 1024;
  const program = programOf(String(pid));
  const others = descendantsOf(String(pid)).filter((id) => programOf(id) !== program);
  return others.reduce((sum, id) => sum + residentBytes(id), own);
}

function programOf(pid: string): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/exe`);
  } catch {
    return undefined;
  }
}
