import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readdir } from "node:fs/promises";
import { join } from "node:path";

import { expect, onTestFinished, test } from "vitest";

import { launcher } from "../cli/child-process.ts";
import { nginx } from "../service/demo-cache.ts";
import { MemoryRegistry } from "./memory-registry.ts";
import { Pusher } from "./pusher.ts";

/** Starts a push as a process of its own. */
function start(pusher: Pusher, args: readonly string[]): ChildProcess {
  const child = spawn(process.execPath, [launcher, ...pusher.words(args)], {
    env: { ...process.env, ...pusher.env },
    stdio: ["ignore", "ignore", "pipe"],
  });
  onTestFinished(() => void child.kill("SIGKILL"));
  return child;
}

/** The writes of a push in their order, by what they are of. */
async function writesOf(registry: MemoryRegistry): Promise<number> {
  const child = start(await Pusher.make(registry), [nginx]);
  const [code] = (await once(child, "exit")) as [number];
  expect(code).toBe(0);
  return registry.writes.length;
}

test("killed at any write, a push leaves no index that names what is missing, and the next one goes on", async () => {
  const all = await writesOf(await MemoryRegistry.start());
  const registry = await MemoryRegistry.start();
  const pusher = await Pusher.make(registry);
  // Nine places, of which the last one is the index itself.
  for (let round = 1; round <= 9; round++) {
    const seen = registry.writes.length;
    const child = start(pusher, [nginx, ...(round % 3 === 0 ? ["--force"] : [])]);
    const exited = once(child, "exit");
    const at = Math.max(1, Math.floor((all * round) / 30));
    registry.interfere = () => {
      if (registry.writes.length - seen >= at) child.kill("SIGKILL");
      return false;
    };
    await exited;
    expect(registry.broken("nix")).toEqual([]);
    for (const name of registry.repository("nix").manifests.keys()) {
      // Nor does a manifest of an image.
      const { layers = [] } = registry.manifest("nix", name) as { layers?: { digest: string }[] };
      for (const { digest } of layers) expect(registry.repository("nix").blobs.has(digest)).toBe(true);
    }
  }
  registry.interfere = () => false;
  const before = registry.blobs.size;
  const { closures, present } = await pusher.push(nginx);
  expect(registry.broken("nix")).toEqual([]);
  expect(closures).toHaveLength(1);
  expect(before).toBeGreaterThan(0);
  expect(closures[0]?.unchanged === true || present.blobs > 0).toBe(true);
  expect(await readdir(join(pusher.cache, "nix-closure/scratch"))).toEqual([]);
});

test("SIGTERM ends a push with its files", async () => {
  const registry = await MemoryRegistry.start();
  const pusher = await Pusher.make(registry);
  const { promise: reached, resolve: reach } = Promise.withResolvers<void>();
  registry.interfere = ({ method, url = "" }) => {
    const isBlob = method === "PUT" && url.includes("/blobs/");
    if (isBlob) reach();
    return isBlob;
  };
  const child = start(pusher, [nginx]);
  let said = "";
  child.stderr?.setEncoding("utf8").on("data", (text: string) => (said += text));
  await reached;
  child.kill("SIGTERM");
  const [code] = (await once(child, "exit")) as [number];
  expect([code, said]).toEqual([4, expect.stringContaining("SIGTERM ended the push")]);
  expect(await readdir(join(pusher.cache, "nix-closure/scratch"))).toEqual([]);
});
