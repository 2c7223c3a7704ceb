import { symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { followToStore, isFileName } from "../../src/cli/store-link.ts";
import { failureOf } from "../resolver/fixture.ts";
import { hello } from "../service/demo-cache.ts";
import { scratch } from "./fake-process.ts";

test("names of files are told from store paths and sources", () => {
  for (const name of ["./result", "../x", "/tmp/result", "/nix/var/nix/profiles/default", "/nix/storexyz"])
    expect(isFileName(name), name).toBe(true);
  for (const name of [
    hello,
    "/nix/store",
    hello.slice("/nix/store/".length),
    "nixos",
    "file:///x",
    "https://x/y",
    "",
  ])
    expect(isFileName(name), name).toBe(false);
});

test("links are followed one after the other, into a store that is not there too", async () => {
  const directory = await scratch();
  await symlink(hello, join(directory, "profile-1-link"));
  await symlink("profile-1-link", join(directory, "profile"));
  await symlink(join(directory, "profile"), join(directory, "result"));
  expect(await followToStore(join(directory, "result"))).toBe(hello);
});

test("what leads elsewhere is refused with the place where it ended", async () => {
  const directory = await scratch();
  await symlink("loop", join(directory, "loop"));
  await symlink("file", join(directory, "to-file"));
  await writeFile(join(directory, "file"), "");
  await symlink(`${hello}/bin/hello`, join(directory, "below"));
  for (const [name, code, why] of [
    ["nothing", "LOCAL_PATH_INVALID", /there is no .*nothing$/],
    ["to-file", "LOCAL_PATH_INVALID", /file is no symbolic link into \/nix\/store$/],
    ["loop", "LOCAL_PATH_INVALID", /more than 16 links follow each other$/],
    ["below", "STORE_PATH_INVALID", /points below a store path/],
  ] as const) {
    const error = await failureOf(followToStore(join(directory, name)));
    expect(error.code).toBe(code);
    expect(error.message).toMatch(why);
  }
});
