import { fileURLToPath } from "node:url";
import { run } from "../test/programs/command.ts";
import { clientCore, pinned } from "./server-process.ts";

/** The Debian package that has the client. */
export const wrkPackage = { wrk: "wrk", taskset: "util-linux" };

/** What wrk tells of one run. */
export interface Load {
  readonly requests: number;
  readonly seconds: number;
  /** All bytes of all answers, with their headers. */
  readonly bytes: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

/**
 * Asks a server as fast as it answers, over connections that are kept alive, from the client's core.
 *
 * @param options.requests a file with a path to GET or a body to POST in each line
 * @param options.env for instance OPENSSL_CONF
 * @throws Error if any request failed
 */
export async function load(
  url: string,
  options: {
    readonly connections: number;
    readonly seconds: number;
    readonly requests: string;
    readonly env?: Readonly<Record<string, string>>;
  },
): Promise<Load> {
  const { connections, seconds, requests, env = {} } = options;
  const script = fileURLToPath(new URL("wrk.lua", import.meta.url));
  const [file, ...args] = pinned(clientCore, [
    "wrk",
    "--threads=1",
    `--connections=${connections}`,
    `--duration=${seconds}s`,
    "--timeout=30s",
    "--latency",
    `--script=${script}`,
    url,
    "--",
    requests,
  ]);
  const output = await run(file, args, { env });
  const result = JSON.parse(output.trimEnd().split("\n").at(-1) ?? "") as Load & {
    readonly failures: number;
  };
  if (result.failures > 0 || result.requests === 0)
    throw new Error(`${url}: ${result.failures} of ${result.requests} requests failed\n${output}`);
  return result;
}
