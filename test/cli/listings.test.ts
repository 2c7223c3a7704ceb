import { cp, readdir, readFile, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { pathToFileURL } from "node:url";
import { zstdDecompressSync } from "node:zlib";
import { expect, test } from "vitest";
import { demoDirectory, demoSource, demoUrl, hello, mixed, nginx, python } from "../service/demo-cache.ts";
import { podWith } from "../webhook/https-client.ts";
import { cli, configFile, fileWith, scratch } from "./fake-process.ts";

/** The demo's cache with a listing of every path, made from the first words of its NAR where there was none, and without NARs. */
async function cacheOfListings(): Promise<string> {
  const directory = join(await scratch(), "cache");
  await cp(demoDirectory, directory, { recursive: true, filter: (source) => basename(source) !== "nar" });
  const names = await readdir(directory);
  for (const name of names.filter((file) => file.endsWith(".narinfo"))) {
    const listing = name.replace(".narinfo", ".ls");
    if (names.includes(listing)) continue;
    const url = /^URL: (.*)$/m.exec(await readFile(join(directory, name), "utf8"))?.[1] ?? "";
    const nar = zstdDecompressSync(await readFile(join(demoDirectory, url)));
    // The type's word has 8 bytes for its length before it, and so has "type", which is padded to 8.
    const type = /type\0{4}.{8}(directory|regular)/s.exec(nar.subarray(0, 96).toString("latin1"))?.[1];
    const root = type === "directory" ? { type, entries: {} } : { type };
    await writeFile(join(directory, listing), JSON.stringify({ version: 1, root }));
  }
  return directory;
}

test("where every path has a listing, no NAR is needed for the same answers", async () => {
  const directory = await cacheOfListings();
  const configs = await Promise.all(
    [demoUrl, pathToFileURL(directory).href].map((url) => configFile({ sources: { demo: demoSource(url) } })),
  );
  const compare = async (command: string, ...args: readonly string[]): Promise<void> => {
    const [wanted, found] = await Promise.all(
      configs.map(async (config) => cli([command, "--config", config, ...args])),
    );
    expect(wanted?.code, [command, ...args].join(" ")).toBe(0);
    expect(found, [command, ...args].join(" ")).toEqual(wanted);
  };
  for (const root of [hello, nginx, python, mixed]) {
    await compare("resolve", root);
    await compare("resolve", "--json", root);
    for (const strategy of ["auto", "per-path", "packed", "bundle"]) {
      await compare("plan", "--json", "--strategy", strategy, root);
      const pod = podWith({ "nix.closure": root, "nix.closure/strategy": strategy });
      await compare("inject", "-f", await fileWith(JSON.stringify(pod)));
    }
  }
});
