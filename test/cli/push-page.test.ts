/** The commands of docs/push.md, run as they are written. */
import { chmod, mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { installFakeNix } from "../push/fake-nix.ts";
import { MemoryRegistry } from "../push/memory-registry.ts";
import { otherPath } from "../push/other-system.ts";
import { DemoCacheServer, hello } from "../service/demo-cache.ts";
import { Child, launcher } from "./child-process.ts";
import { scratch } from "./fake-process.ts";

const page = await readFile(new URL("../../docs/push.md", import.meta.url), "utf8");
const commands = [...page.matchAll(/^```sh\n(.*?)^```$/gms)].map(([, text = ""]) => text);

test("docs/push.md can be followed from its top to its end", async () => {
  const registry = await MemoryRegistry.start();
  await using cache = await DemoCacheServer.start();
  const directory = await scratch();
  const bin = join(directory, "bin");
  await mkdir(bin);
  // What `nix build` would make, and what it copies, is the demo's.
  await installFakeNix(bin);
  const npx = join(bin, "npx");
  await writeFile(npx, `#!/bin/sh\nshift\nexec '${process.execPath}' '${launcher}' "$@"\n`);
  await chmod(npx, 0o755);
  const script = commands
    .join("\n")
    .replaceAll("registry.example.com", registry.host)
    .replaceAll("https://cache.example.com", cache.url);
  const environment = `export HOME='${directory}' XDG_CACHE_HOME='${directory}/cache' PATH='${bin}':"$PATH"; set -eux; cd '${directory}'\n`;
  const { code, stdout, stderr } = await new Child("/bin/sh", ["-c", environment + script]).ended;
  expect(code, stderr).toBe(0);
  expect(stdout).toMatch(/^shop-1:[A-Za-z0-9+/]{43}=\n/);
  expect(commands.length).toBeGreaterThan(5);
  const tag = hello.slice("/nix/store/".length).slice(0, 32);
  for (const name of ["nix", "shop"]) expect(registry.broken(name)).toEqual([]);
  expect([...registry.repository("shop").tags.keys()]).toEqual([tag]);
  const other = otherPath(hello).slice("/nix/store/".length).slice(0, 32);
  const kept = ["store", "profile"].map((kind): unknown => {
    const roots = [other, tag].join("_");
    return expect.stringMatching(new RegExp(`^${roots}\\.[0-9a-f]{16}\\.${kind}$`));
  });
  const tags = [...registry.repository("nix").tags.keys()];
  expect(tags).toHaveLength(6);
  expect(tags).toEqual(expect.arrayContaining([tag, other, "base-1", "shop-1.2", ...kept]));
});
