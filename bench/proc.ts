/** What /proc says of processes. */
import { readdirSync, readFileSync } from "node:fs";

/** Bytes; x86 and most of ARM. */
const pageSize = 4096;

/** Processes that one has started, and those that they have. */
export function descendantsOf(pid: string): readonly string[] {
  const threads = list(`/proc/${pid}/task`);
  const children = threads.flatMap((id) => readProc(`/proc/${pid}/task/${id}/children`).trim().split(" "));
  return children.filter((id) => id !== "").flatMap((id) => [id, ...descendantsOf(id)]);
}

/** Resident memory of a process; 0 once it has ended. */
export function residentBytes(pid: string): number {
  return Number(readProc(`/proc/${pid}/statm`).split(" ")[1] ?? 0) * pageSize;
}

/** Text of a file of /proc; empty for a thread or process that has ended. */
export function readProc(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}

function list(directory: string): readonly string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}
