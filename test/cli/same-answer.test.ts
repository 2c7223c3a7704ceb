import { cp } from "node:fs/promises";
import { basename, join } from "node:path";
import { pathToFileURL } from "node:url";
import { expect, onTestFinished, test } from "vitest";
import {
  demoDirectory,
  demoSource,
  demoUrl,
  DemoCacheServer,
  hello,
  mixed,
  nginx,
  python,
} from "../service/demo-cache.ts";
import { podWith } from "../webhook/https-client.ts";
import { cli, configFile, fileWith, scratch } from "./fake-process.ts";

/** The demo's cache in all its forms. */
async function caches(): Promise<ReadonlyMap<string, string>> {
  const [withListings, without] = await Promise.all([
    DemoCacheServer.start(),
    DemoCacheServer.start({ listings: false }),
  ]);
  onTestFinished(async () => {
    await withListings[Symbol.asyncDispose]();
    await without[Symbol.asyncDispose]();
  });
  const directory = join(await scratch(), "cache");
  await cp(demoDirectory, directory, {
    recursive: true,
    filter: (source) => !basename(source).endsWith(".ls"),
  });
  return new Map([
    ["file://", demoUrl],
    ["file:// without listings", pathToFileURL(directory).href],
    ["http://", withListings.url],
    ["http:// without listings", without.url],
  ]);
}

test.each([hello, nginx, python, mixed])("every copy of the cache gives the same bytes: %s", async (root) => {
  const commands: (readonly string[])[] = [
    ["resolve", root],
    ["resolve", "--json", root],
  ];
  for (const strategy of ["auto", "per-path", "bundle", "packed"])
    commands.push(["plan", "--json", "--strategy", strategy, root]);
  for (const strategy of ["per-path", "packed", "bundle"]) {
    const pod = podWith({ "nix.closure": root, "nix.closure/strategy": strategy });
    commands.push(["inject", "-f", await fileWith(JSON.stringify(pod))]);
  }
  const copies = [...(await caches())];
  const configs = await Promise.all(
    copies.map(async ([, url]) => configFile({ sources: { demo: demoSource(url) } })),
  );
  for (const [command = "", ...args] of commands) {
    const [wanted, ...others] = await Promise.all(
      configs.map(async (config) => {
        const { code, stdout, stderr } = await cli([command, "--config", config, ...args]);
        return { code, stdout, stderr };
      }),
    );
    expect(wanted, [command, ...args].join(" ")).toMatchObject({
      code: 0,
      stderr: "",
      stdout: expect.stringContaining(root.slice(11, 43)),
    });
    for (const [i, other] of others.entries()) expect(other, copies[i + 1]?.[0]).toEqual(wanted);
  }
});
