/** The layout of the source: which folder may import which, and what every file keeps to. */
import { readdirSync, readFileSync } from "node:fs";
import { dirname, posix } from "node:path";
import { describe, expect, test } from "vitest";

const root = new URL("../", import.meta.url);
const src = new URL("src/", root);

/** Paths below src, with "/". */
const files = readdirSync(src, { recursive: true, encoding: "utf8" })
  .map((name) => name.replaceAll("\\", "/"))
  .filter((name) => name.endsWith(".ts"))
  .toSorted();

const read = (file: string): string => readFileSync(new URL(file, src), "utf8");

/** The modules that a file imports or exports from, types too: static ones and `import("...")`. */
function importsOf(file: string): readonly string[] {
  const code = read(file).replace(/\/\*[^]*?\*\/|^\s*\/\/.*$/gm, "");
  const statements = code.matchAll(/^\s*(?:import|export)\b(?:[^;"'`]*?\bfrom)?\s*["']([^"']+)["']/gm);
  const calls = code.matchAll(/\bimport\(\s*["']([^"']+)["']/g);
  return [...statements, ...calls].map((match) => match[1]!);
}

/** Imports of our own files, as paths below src. */
function ownImportsOf(file: string): readonly string[] {
  return importsOf(file)
    .filter((name) => name.startsWith("."))
    .map((name) => posix.join(dirname(file), name));
}

const everything = "everything";
/** Which folders of ours a folder may import; itself and errors.ts always. */
const folderRule: Readonly<Record<string, readonly string[] | typeof everything>> = {
  nix: [],
  oci: [],
  compression: [],
  "closure-index": ["nix", "oci"],
  "registry-client": ["oci"],
  resolver: ["nix", "oci", "compression", "closure-index", "registry-client"],
  plan: ["nix", "oci", "closure-index"],
  patch: ["nix", "oci", "closure-index", "plan"],
  image: ["nix", "oci", "compression", "resolver", "plan"],
  registry: ["oci", "image", "plan", "resolver"],
  push: ["nix", "oci", "compression", "resolver", "plan", "image", "closure-index", "registry-client"],
  webhook: ["nix", "closure-index", "plan", "patch", "resolver"],
  cluster: ["webhook"],
  admin: [],
  service: [
    "nix",
    "oci",
    "compression",
    "resolver",
    "plan",
    "patch",
    "image",
    "registry",
    "webhook",
    "cluster",
    "admin",
  ],
  cli: everything,
};
/** The same for files that lie in no folder. */
const rootFileRule: Readonly<Record<string, readonly string[] | typeof everything>> = {
  "errors.ts": [
    "configuration-errors.ts",
    "error-kind.ts",
    "pushed-closure-errors.ts",
    "registry-errors.ts",
    "wording.ts",
  ],
  "configuration-errors.ts": ["error-kind.ts"],
  "pushed-closure-errors.ts": ["error-kind.ts", "wording.ts"],
  "registry-errors.ts": ["error-kind.ts", "wording.ts"],
  "error-kind.ts": [],
  "wording.ts": [],
  "config.ts": ["config-cluster.ts", "config-references.ts", "config-sources.ts", "config-values.ts"],
  "config-cluster.ts": ["config-values.ts"],
  "config-references.ts": ["oci", "plan"],
  "config-sources.ts": ["config-values.ts", "nix", "oci", "plan"],
  "config-values.ts": [],
  "clock.ts": [],
  "guarded-lookup.ts": [],
  "local-address.ts": [],
  "log.ts": [],
  "reload.ts": [],
  "retry-after.ts": [],
  "main.ts": everything,
};
/** Root files that only these may import; errors.ts is for all. */
const importers: Readonly<Record<string, readonly string[]>> = {
  "configuration-errors.ts": ["errors.ts"],
  "error-kind.ts": ["errors.ts", "configuration-errors.ts", "pushed-closure-errors.ts", "registry-errors.ts"],
  "pushed-closure-errors.ts": ["errors.ts"],
  "registry-errors.ts": ["errors.ts"],
  "wording.ts": ["errors.ts", "pushed-closure-errors.ts", "registry-errors.ts"],
  "config.ts": ["service", "cli"],
  "config-cluster.ts": ["config.ts"],
  "config-references.ts": ["config.ts"],
  "config-sources.ts": ["config.ts"],
  "config-values.ts": ["config.ts", "config-cluster.ts", "config-sources.ts"],
  "clock.ts": ["resolver", "registry-client"],
  "guarded-lookup.ts": ["resolver", "registry-client"],
  "local-address.ts": ["resolver", "registry", "registry-client"],
  "log.ts": ["service", "cli"],
  "reload.ts": ["cluster", "service", "cli"],
  "retry-after.ts": ["resolver", "registry-client"],
  "main.ts": [],
};

/** The folder of a path below src, or the file itself if it is in none. */
const unitOf = (path: string): string => path.split("/", 1)[0]!;

function mayImport(importer: string, imported: string): boolean {
  if (importer === imported || imported === "errors.ts") return true;
  const only = importers[imported];
  if (only !== undefined) return only.includes(importer);
  const rule = folderRule[importer] ?? rootFileRule[importer];
  return rule === everything || rule?.includes(imported) === true;
}

test("there is something to look at", () => {
  expect(files.length).toBeGreaterThan(100);
  expect(ownImportsOf("patch/inject.ts")).toEqual(
    expect.arrayContaining(["errors.ts", "nix/store-path.ts", "plan/plan.ts", "patch/pod.ts"]),
  );
  expect(importsOf("patch/operations.ts")).toContain("fast-json-patch");
});

test("each folder and root file has a rule", () => {
  const units = new Set(files.map(unitOf));
  const known = [...Object.keys(folderRule), ...Object.keys(rootFileRule)];
  expect([...units].filter((unit) => !known.includes(unit))).toEqual([]);
});

test.for(files)("%s imports only what its folder may", (file) => {
  const wrong = ownImportsOf(file).filter((imported) => !mayImport(unitOf(file), unitOf(imported)));
  expect(wrong).toEqual([]);
});

test("imports are of files that exist, and written with their ending", () => {
  const missing = files.flatMap((file) =>
    ownImportsOf(file)
      .filter((imported) => !files.includes(imported))
      .map((imported) => `${file}: ${imported}`),
  );
  expect(missing).toEqual([]);
});

describe("nix, oci, closure-index, plan and patch", () => {
  const pure = files.filter((file) =>
    ["nix", "oci", "closure-index", "plan", "patch"].includes(unitOf(file)),
  );
  /** Modules of Node that compute, and do nothing else. */
  const computing = ["node:buffer", "node:crypto", "node:path"];

  test.for(pure)("%s does no I/O", (file) => {
    const modules = importsOf(file).filter((name) => name.startsWith("node:"));
    expect(modules.filter((name) => !computing.includes(name))).toEqual([]);
    // Names that need no import.
    expect(read(file)).not.toMatch(
      /\b(?:process\.|fetch\(|setTimeout\(|setInterval\(|Date\.now\(|console\.)/,
    );
  });
});

describe("files", () => {
  test.for(files)("%s is small, in kebab-case, and has no default export", (file) => {
    const text = read(file);
    expect(text.split("\n").length - 1).toBeLessThanOrEqual(400);
    // Declarations describe what packages export.
    if (!file.endsWith(".d.ts"))
      expect(text).not.toMatch(/^\s*export\s+default\b|^\s*export\s*\{[^}]*\bas\s+default\b/m);
    for (const part of file.replace(/(?:\.d)?\.ts$/, "").split("/")) {
      expect(part).toMatch(/^[a-z0-9]+(?:-[a-z0-9]+)*$/);
      expect(part).not.toMatch(/(?:^|-)(?:utils?|helpers?|common|managers?)(?:-|$)/);
    }
  });
});

test("docs/dependencies.md names each production dependency", () => {
  const manifest = JSON.parse(readFileSync(new URL("package.json", root), "utf8")) as {
    readonly dependencies: Readonly<Record<string, string>>;
  };
  const text = readFileSync(new URL("docs/dependencies.md", root), "utf8");
  const mentions = text
    .split("\n")
    .filter((line) => /^(?:\||#)/.test(line))
    .join("\n");
  const names = Object.keys(manifest.dependencies);
  expect(names.length).toBeGreaterThan(0);
  expect(names.filter((name) => !mentions.includes(`\`${name}\``))).toEqual([]);
});
