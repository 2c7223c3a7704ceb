/**
 * Stands for `nix copy --to file://...`: makes a cache with what the demo's cache has, without its signatures, each path
 * signed with the key that the URL names.
 */
import { sign } from "node:crypto";
import { chmod, cp, readdir, readFile, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { fingerprint, parseNarInfo } from "../../src/nix/narinfo.ts";
import { parseSecretKey } from "../../src/nix/secret-key.ts";
import { demoDirectory, hello } from "../service/demo-cache.ts";
import { makeCacheOfTwoSystems, otherPath } from "./other-system.ts";

/** Puts a program named `nix` into a directory, which may then be the whole PATH. */
export async function installFakeNix(directory: string, body?: string): Promise<void> {
  const file = join(directory, "nix");
  const self = JSON.stringify(new URL(import.meta.url).href);
  const text =
    body ??
    `#!${process.execPath}\nimport(${self}).then(({ copyDemo }) => copyDemo(process.argv.slice(2)));\n`;
  await writeFile(file, text);
  await chmod(file, 0o755);
}

/**
 * @param args of the command line: `build` makes a link to the demo's first app, or to what it would be on another system,
 * `copy` copies.
 */
export async function copyDemo(args: readonly string[]): Promise<void> {
  if (args[0] === "build") {
    const link = args[args.indexOf("--out-link") + 1] ?? "";
    const isOther = args.some((word) => word.includes("aarch64"));
    await symlink(isOther ? otherPath(hello) : hello, args.includes("--out-link") ? link : "result");
    return;
  }
  const to = new URL(args[args.indexOf("--to") + 1] ?? "");
  const { name, key } = parseSecretKey(await readFile(to.searchParams.get("secret-key") ?? "", "utf8"));
  const directory = fileURLToPath(new URL(to.pathname, "file:///"));
  if (args.includes(otherPath(hello))) makeCacheOfTwoSystems(directory);
  else await cp(demoDirectory, directory, { recursive: true });
  for (const file of await readdir(directory)) {
    if (!file.endsWith(".narinfo")) continue;
    const text = (await readFile(join(directory, file), "utf8")).replace(/^Sig: .*\n/gm, "");
    const signature = sign(null, fingerprint(parseNarInfo(Buffer.from(text))), key);
    await writeFile(join(directory, file), `${text}Sig: ${name}:${signature.toString("base64")}\n`);
  }
}
