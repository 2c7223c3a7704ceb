import { chmod, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";

import { expect, it } from "vitest";

import { findPrograms } from "../../src/compression/programs.ts";
import { temporaryDirectory } from "../resolver/fixture.ts";

it("finds the first program of each name that can be run", async () => {
  const place = await temporaryDirectory();
  const put = async (directory: string, name: string, mode: number): Promise<string> => {
    await mkdir(join(place, directory), { recursive: true });
    const file = join(place, directory, name);
    await writeFile(file, "#!/bin/sh\n");
    await chmod(file, mode);
    return file;
  };
  await put("a", "zstd", 0o644);
  const zstd = await put("b", "zstd", 0o755);
  await put("c", "zstd", 0o755);
  const xz = await put("c", "xz", 0o755);
  const path = ["a", "missing", "b", "c"].map((name) => join(place, name)).join(":");
  expect(await findPrograms(path)).toEqual({ zstd, xz });
});

it.each([undefined, "", ".", "bin:./bin", "::"])("finds nothing with PATH %j", async (path) => {
  expect(await findPrograms(path)).toEqual({});
});
