import { cp, mkdir, mkdtemp, readdir, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { version } from "../../src/cli/version.ts";
import { hello } from "../service/demo-cache.ts";
import { Child, project } from "./child-process.ts";
import { configFile, scratch } from "./fake-process.ts";
import { execFile } from "node:child_process";
import { promisify } from "node:util";

const run = promisify(execFile);

/** The package as npm installs it: compiled, without src. */
let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "nix-closure-package-"));
  const tsc = join(project, "node_modules", "typescript", "bin", "tsc");
  await run(process.execPath, [tsc, "-p", "tsconfig.build.json", "--outDir", join(directory, "dist")], {
    cwd: project,
  });
  await mkdir(join(directory, "bin"));
  for (const name of ["package.json", join("bin", "nix-closure.js")])
    await cp(join(project, name), join(directory, name));
  await symlink(join(project, "node_modules"), join(directory, "node_modules"));
});
afterAll(() => rm(directory, { recursive: true }));

test("the build holds the program and nothing else", async () => {
  const files = await readdir(join(directory, "dist"), { recursive: true });
  expect(files).toContain("main.js");
  expect(files).toContain(join("image", "conversion-worker.js"));
  for (const name of files.filter((file) => file.includes("."))) expect(name).toMatch(/\.(js|d\.ts)$/);
});

test.each(["dist/main.js", "bin/nix-closure.js"])("%s runs", async (entry) => {
  const { stdout } = await run(process.execPath, [join(directory, entry), "--version"]);
  expect(stdout).toBe(`${version}\n`);
});

test("the compiled registry makes images in its threads", async () => {
  const config = await configFile({
    admin: { listen: "127.0.0.1:0" },
    registry: { listen: "127.0.0.1:0", blobs: { directory: await scratch() } },
  });
  const child = new Child(
    process.execPath,
    [join(directory, "bin", "nix-closure.js"), "serve", "--role", "registry", "--config", config],
    { cwd: directory },
  );
  const { registry } = await child.serving();
  const image = `http://127.0.0.1:${registry}/v2/demo/path/${hello.slice(11, 43)}`;
  const document = async (reference: string) =>
    (await (await fetch(`${image}/manifests/${reference}`)).json()) as Record<
      "manifests" | "layers",
      { digest: string; size: number }[]
    >;
  const { manifests } = await document("1");
  const { layers } = await document(manifests[0]!.digest);
  const layer = await fetch(`${image}/blobs/${layers[0]!.digest}`);
  const bytes = Buffer.from(await layer.arrayBuffer());
  expect(bytes).toHaveLength(layers[0]!.size);
  expect(bytes.toString("latin1")).toContain("bin/");
  child.kill("SIGTERM");
  expect(await child.ended).toMatchObject({ code: 0, stderr: "" });
});
