import { createHash } from "node:crypto";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { cachedDirectory } from "./cache.ts";
import { run } from "./command.ts";

/** Programs of one Go module. Each module is built alone: their dependencies disagree. */
export interface GoModule {
  readonly name: string;
  readonly module: string;
  readonly version: string;
  /** Packages of commands, relative to the module. */
  readonly packages: readonly string[];
  readonly tags?: string;
  readonly cgo?: boolean;
  readonly linkerFlags?: string;
  /** Name of the one program, where it is not the last part of the package. */
  readonly program?: string;
}

/** Where the Go module cache has the files of a module. */
export async function moduleDirectory(module: string, version: string): Promise<string> {
  const { Dir } = JSON.parse(await run("go", ["mod", "download", "-json", `${module}@${version}`])) as {
    Dir: string;
  };
  return Dir;
}

/** Where {@link buildGoModule} keeps the programs of a module; it is there once they are built. */
export function goModuleDirectory(part: GoModule, cache: string): string {
  const key = createHash("sha256")
    .update(JSON.stringify([part]))
    .digest("hex")
    .slice(0, 12);
  return join(cache, `${part.name}-${part.version}-${key}`);
}

/**
 * Builds the programs of a module once.
 *
 * @param cache directory that keeps what was built, one directory a module and version
 * @returns the directory with the programs
 */
export async function buildGoModule(part: GoModule, cache: string): Promise<string> {
  return cachedDirectory(goModuleDirectory(part, cache), async (directory) => {
    const source = join(directory, "source");
    await mkdir(source);
    await writeFile(join(source, "go.mod"), await wrapperModule(part));
    const packages = part.packages.map((name) =>
      name === "." ? part.module : `${part.module}/${name.replace(/^\.\//, "")}`,
    );
    await writeFile(join(source, "tools.go"), wrapperImports(packages));
    const go = (...args: string[]): Promise<string> =>
      run("nice", ["go", ...args], {
        cwd: source,
        env: {
          GOFLAGS: "-mod=mod -buildvcs=false",
          GOWORK: "off",
          CGO_ENABLED: part.cgo === true ? "1" : "0",
        },
      });
    // -e: packages that only tests of dependencies import need not exist.
    await go("mod", "tidy", "-e");
    const flags = ["-trimpath", "-ldflags", `-s -w ${part.linkerFlags ?? ""}`, "-tags", part.tags ?? ""];
    const target = part.program === undefined ? `${directory}/` : join(directory, part.program);
    await go("build", ...flags, "-o", target, ...packages);
  });
}

/**
 * A module that requires the part's module alone. A module that keeps its own dependencies in its tree (Kubernetes,
 * etcd) names them by relative paths, which hold only there: the same modules are published under the version that
 * staging/publishing of Kubernetes gives them, v0.36.3 for 1.36.3.
 */
async function wrapperModule({ module, version }: GoModule): Promise<string> {
  const goMod = await readFile(join(await moduleDirectory(module, version), "go.mod"), "utf8");
  const go = /^go (\S+)$/m.exec(goMod)?.[1] ?? "1.25";
  const staged = [...goMod.matchAll(/^\s*(?:replace )?(k8s\.io\/\S+) => \.\/staging\//gm)].map(
    ([, name]) => `replace ${name} => ${name} ${version.replace(/^v1\./, "v0.")}`,
  );
  return [`module nix-closure.test/part`, `go ${go}`, `require ${module} ${version}`, ...staged, ""].join(
    "\n",
  );
}

/** A file by which `go mod tidy` knows what is needed; it is never compiled. */
function wrapperImports(packages: readonly string[]): string {
  const imports = packages.map((name) => `import _ "${name}"`);
  return ["//go:build tools", "", "package part", "", ...imports, ""].join("\n");
}
