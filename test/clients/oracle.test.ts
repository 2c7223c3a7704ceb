/** The trees that all clients are held against: Nix itself unpacks the same, and what differs is seen. */
import { chmod, mkdir, readFile, rename, symlink, truncate, unlink, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { describe, expect, test } from "vitest";
import { demoDirectory } from "../service/demo-cache.ts";
import { run } from "../programs/command.ts";
import { narFiles } from "./expected.ts";
import { expectListing, scratchDirectory, suite } from "./fixture.ts";
import { belowRoot, difference, listDirectory, type Listing, listNar, under } from "./listing.ts";

const nars = [...(await narFiles(demoDirectory)), ...(await narFiles(suite.edgesCache))];

test("there are NARs to look at", () => expect(nars.length).toBe(42));

test.for(nars)("nix-store --restore unpacks $storePath to the same tree", async (nar) => {
  const directory = await scratchDirectory();
  const script = `set -o pipefail; ${nar.compression === "zstd" ? "zstd -dc" : "cat"} < "$1" | nix-store --restore "$2"`;
  await run("bash", ["-c", script, "restore", nar.file, join(directory, "restored")], { env: suite.env });
  // In a directory, so that a root that is a file or a link is an entry too.
  const restored = await listDirectory(directory);
  const wanted = under("restored", suite.nars[nar.storePath] ?? []);
  expectListing(restored.map(asInStore), wanted, basename(nar.storePath));
});

/** Mode, owner and time as a store gives them to what was restored; only "executable" is in a NAR. */
function asInStore(line: string): string {
  const [path = "", kind = "", mode = "", , , ...rest] = line.split(" ");
  const stored = { symlink: "777", directory: "555", file: Number.parseInt(mode, 8) & 0o100 ? "555" : "444" }[
    kind
  ];
  return [path, kind, stored, "0:0", "1", ...rest].join(" ");
}

describe("a tree that differs", () => {
  async function tree(): Promise<string> {
    const directory = await scratchDirectory();
    await mkdir(join(directory, "d"));
    await writeFile(join(directory, "d", "f"), "content");
    await symlink("target", join(directory, "l"));
    return directory;
  }
  const changes: readonly (readonly [string, (directory: string) => Promise<void>])[] = [
    ["in the content of a file", (at) => writeFile(join(at, "d", "f"), "CONTENT")],
    ["in the mode of a file", (at) => chmod(join(at, "d", "f"), 0o600)],
    ["in the mode of a directory", (at) => chmod(join(at, "d"), 0o700)],
    ["in a name", (at) => rename(join(at, "d", "f"), join(at, "d", "g"))],
    ["in the bytes of a name", (at) => rename(join(at, "l"), Buffer.from(`${at}/\xff`, "latin1"))],
    ["in the target of a link", (at) => unlink(join(at, "l")).then(() => symlink("other", join(at, "l")))],
    ["by what is not there", (at) => unlink(join(at, "l"))],
    ["by what is there", (at) => writeFile(join(at, "more"), "")],
  ];

  test.for(changes)("%s is seen", async ([, change]) => {
    const [first, second] = [await tree(), await tree()];
    const listing: Listing = await listDirectory(first);
    const timeless = (lines: Listing): Listing => lines.map((line) => line.replace(/ 0:0 \d+/, ""));
    expect(difference(timeless(await listDirectory(second)), timeless(listing))).toEqual([]);
    await change(second);
    expect(difference(timeless(await listDirectory(second)), timeless(listing))).not.toEqual([]);
  });

  test("a NAR that breaks off, and one with something behind it, are errors", async () => {
    const [nar] = await narFiles(suite.edgesCache);
    const copy = join(await scratchDirectory(), "copy.nar");
    const bytes = await readFile(nar!.file);
    await writeFile(copy, bytes);
    expect(belowRoot(await listNar(copy, "none"))).toEqual(belowRoot(suite.nars[nar!.storePath]!));
    await truncate(copy, bytes.length - 8);
    await expect(listNar(copy, "none")).rejects.toThrow("ends early");
    await writeFile(copy, Buffer.concat([bytes, Buffer.alloc(8)]));
    await expect(listNar(copy, "none")).rejects.toThrow("something comes after the NAR");
  });
});
