import { mkdir, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { cli, scratch } from "../cli/fake-process.ts";
import { run } from "../programs/command.ts";
import { MemoryRegistry } from "../push/memory-registry.ts";
import { Pusher } from "../push/pusher.ts";

/** Root builds nothing here, so there need be no users for it. */
const nixConfig = { NIX_CONFIG: "build-users-group =" };

/** A store of its own in a directory, and a link to a program in it. @returns the store's URL */
async function storeWith(directory: string, link: string, files: readonly string[]): Promise<string> {
  const url = `local?root=${join(directory, "root")}`;
  const add = async (path: string) => run("nix-store", ["--store", url, "--add", path], { env: nixConfig });
  for (const name of files) {
    await writeFile(join(directory, name), name);
    await add(join(directory, name));
  }
  await mkdir(join(directory, "app/bin"), { recursive: true });
  await writeFile(join(directory, "app/bin/app"), "#!/bin/sh\necho hello\n", { mode: 0o755 });
  await symlink((await add(join(directory, "app"))).trim(), link);
  return url;
}

test("a link into the local store is pushed with Nix itself, the same from two stores", async () => {
  const registry = await MemoryRegistry.start();
  const pusher = await Pusher.make(registry);
  const push = async (link: string, url: string, repository: string) => {
    const words = pusher.words([link, "--system", "x86_64-linux", "--json"], repository);
    return cli(words, { env: { ...pusher.env, ...nixConfig, NIX_REMOTE: url } });
  };
  const digests: (string | undefined)[] = [];
  for (const files of [[], ["another", "third"]]) {
    const directory = await scratch();
    const link = join(directory, "result");
    const { code, stdout, stderr } = await push(link, await storeWith(directory, link, files), "nix");
    expect(code, stderr).toBe(0);
    const { closures } = JSON.parse(stdout) as { readonly closures: readonly { readonly digest?: string }[] };
    expect(closures).toMatchObject([{ paths: 1, system: "x86_64-linux", unchanged: digests.length > 0 }]);
    digests.push(closures[0]?.digest);
  }
  expect(digests[1]).toBe(digests[0]);
  expect(registry.broken("nix")).toEqual([]);
});

test("what the store does not have is told in Nix's words", async () => {
  const directory = await scratch();
  const pusher = await Pusher.make(await MemoryRegistry.start());
  const url = await storeWith(directory, join(directory, "result"), []);
  const nothing = join(directory, "nothing");
  await symlink("/nix/store/00000000000000000000000000000000-nothing", nothing);
  const env = { ...pusher.env, ...nixConfig, NIX_REMOTE: url };
  const { code, stderr } = await cli(pusher.words([nothing, "--system", "x86_64-linux"]), { env });
  expect(code).toBe(1);
  expect(stderr).toContain('paths of the local store are read with "nix copy", which failed: error: ');
});
