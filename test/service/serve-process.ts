import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

import { onTestFinished } from "vitest";

import { compileCache } from "../compile-cache.ts";
import type { LogLine } from "./running-service.ts";

const program = fileURLToPath(new URL("../../bin/nix-closure.js", import.meta.url));

/** `nix-closure serve` in a process of its own. */
export interface ServeProcess {
  readonly child: ChildProcess;
  readonly ports: { readonly webhook: number; readonly registry: number; readonly admin: number };
  readonly log: readonly LogLine[];
  readonly exited: Promise<{ readonly code: number | null; readonly signal: NodeJS.Signals | null }>;
  /** The value of a metric without labels. */
  metric(name: string): Promise<number>;
}

/** Starts it with this configuration file; it serves when this returns, and is killed with the test. */
export async function serve(configFile: string): Promise<ServeProcess> {
  const child = spawn(process.execPath, [program, "serve", "--config", configFile], {
    env: { ...process.env, NODE_COMPILE_CACHE: compileCache, KUBECONFIG: "" },
    stdio: ["ignore", "pipe", "inherit"],
  });
  onTestFinished(() => void child.kill("SIGKILL"));
  const exited = (async () => {
    const [code, signal] = (await once(child, "exit")) as [number | null, NodeJS.Signals | null];
    return { code, signal };
  })();
  const log: LogLine[] = [];
  const serving = Promise.withResolvers<ServeProcess["ports"]>();
  createInterface(child.stdout).on("line", (text) => {
    const line = JSON.parse(text) as LogLine;
    log.push(line);
    if (line.msg === "serving") serving.resolve(line["ports"] as ServeProcess["ports"]);
  });
  const ports = await Promise.race([serving.promise, exited]);
  if (!("webhook" in ports)) throw new Error(`it ended: ${JSON.stringify(log)}`);
  return {
    child,
    ports,
    log,
    exited,
    async metric(name) {
      const text = await (await fetch(`http://127.0.0.1:${ports.admin}/metrics`)).text();
      const line = text.split("\n").find((each) => each.startsWith(`nix_closure_${name} `));
      return Number(line?.split(" ")[1]);
    },
  };
}
