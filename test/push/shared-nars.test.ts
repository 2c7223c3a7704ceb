import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { demoKey, DemoCacheServer, nginx, python } from "../service/demo-cache.ts";
import { MemoryRegistry } from "./memory-registry.ts";
import { Pusher } from "./pusher.ts";

/** The NARs that were asked for, with how often. */
function narsOf({ requests }: DemoCacheServer): ReadonlyMap<string, number> {
  const nars = requests.filter((name) => name.startsWith("nar/"));
  return new Map([...Map.groupBy(nars, (name) => name)].map(([name, all]) => [name, all.length]));
}

/** What is asked for to find out what a path is, where there is no listing. */
async function askedForTypes(root: string): Promise<ReadonlyMap<string, number>> {
  await using cache = await DemoCacheServer.start();
  const pusher = await Pusher.make(await MemoryRegistry.start());
  const from = ["--from", cache.url, "--public-key", demoKey];
  await pusher.push(root, ...from);
  cache.requests.length = 0;
  // All layers are known, and so is the closure: what is left is to plan it.
  expect((await pusher.push(root, ...from)).closures[0]?.unchanged).toBe(true);
  return narsOf(cache);
}

describe.each(["zstd", "none"])("a push from a cache over HTTP, with the compression %s,", (compression) => {
  test("reads each NAR once, though most are in two or three layers", async () => {
    const looks = await askedForTypes(python);
    await using cache = await DemoCacheServer.start();
    const registry = await MemoryRegistry.start();
    const pusher = await Pusher.make(registry);
    const from = ["--from", cache.url, "--public-key", demoKey];
    const plans = ["--plan", "3", "--plan", "bundle", "--compression", compression];
    const { closures } = await pusher.push(python, ...from, ...plans);
    expect(registry.broken("nix")).toEqual([]);
    const nars = narsOf(cache);
    expect(nars.size).toBe(closures[0]?.paths);
    const reads = [...nars].map(([name, count]) => [name, count - (looks.get(name) ?? 0)]);
    expect(reads).toEqual([...nars].map(([name]) => [name, 1]));
    expect(await readdir(join(pusher.cache, "nix-closure/scratch"))).toEqual([]);
  });
});

test("what is pushed is the same as from files, which need no copies", async () => {
  await using cache = await DemoCacheServer.start();
  const registry = await MemoryRegistry.start();
  const [one, other] = [await Pusher.make(registry), await Pusher.make(registry)];
  const plans = ["--plan", "3", "--plan", "bundle"];
  const from = ["--from", cache.url, "--public-key", demoKey];
  const remote = await one.pushTo("one", nginx, ...from, ...plans);
  const local = await other.pushTo("other", nginx, ...plans);
  expect(remote.closures[0]?.digest).toBe(local.closures[0]?.digest);
  expect(remote.sent).toEqual(local.sent);
});
