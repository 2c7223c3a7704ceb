/** What the documentation says that can be held against the code. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";

import { describe, expect, test } from "vitest";
import { parse as parseYaml } from "yaml";

import { createMetrics } from "../src/admin/metrics.ts";
import { runCli } from "../src/cli/app.ts";
import { exitCodes } from "../src/cli/exit-codes.ts";
import { type Config, parseConfig } from "../src/config.ts";
import { errorKinds, type NixClosureError } from "../src/errors.ts";
import { annotationKeys, parseAnnotations } from "../src/patch/annotations.ts";

const root = fileURLToPath(new URL("..", import.meta.url));
/** Not ours, or made (.gitignore), or binary. */
const skipped = new Set(["node_modules", ".git", "dist", "coverage", "demo/cache"]);

function filesBelow(directory: string): readonly string[] {
  return readdirSync(directory, { withFileTypes: true }).flatMap((entry) => {
    const path = join(directory, entry.name);
    if (skipped.has(relative(root, path)) || /\.(pem|key|tsbuildinfo)$/.test(entry.name)) return [];
    if (entry.isDirectory()) return filesBelow(path);
    return entry.isFile() ? [relative(root, path)] : [];
  });
}

const files = filesBelow(root);
const pages = files.filter((file) => file.endsWith(".md"));
const read = (file: string): string => readFileSync(join(root, file), "utf8");
const packageJson = JSON.parse(read("package.json")) as Record<string, Record<string, string>>;

/** Fenced blocks of a page in one language. */
function blocks(page: string, language: string): readonly string[] {
  return [...read(page).matchAll(/^```(\w*)\n(.*?)^```$/gms)]
    .filter(([, found]) => found === language)
    .map(([, , text = ""]) => text);
}

/** The text below a heading, up to the next one of the same level. */
function section(page: string, heading: string): string {
  const [, below] = read(page).split(`\n${heading}\n`);
  expect(below, `${page} has no heading "${heading}"`).toBeDefined();
  return below!.split(new RegExp(`^${heading.split(" ", 1)[0]} `, "m"))[0]!;
}

/** Rows of all tables in a text, each as its cells. */
function rows(text: string): readonly (readonly string[])[] {
  return [...text.matchAll(/^\|(.*)\|$/gm)]
    .map(([, row = ""]) => row.split(" | ").map((cell) => cell.trim()))
    .filter(([first = ""]) => !/^-+$/.test(first.split(" ")[0]!));
}

/** All words in backticks of the first cells. */
function firstCells(text: string): readonly string[] {
  return rows(text).flatMap(([first = ""]) => [...first.matchAll(/`([^`]+)`/g)].map(([, word = ""]) => word));
}

/** The anchors of a page, as GitHub makes them. */
function anchors(page: string): ReadonlySet<string> {
  const seen = new Map<string, number>();
  const text = read(page).replace(/^```.*?^```$/gms, "");
  const slugs = [...text.matchAll(/^#+ (.*)$/gm)].map(([, heading = ""]) => {
    const slug = heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\s_-]/gu, "")
      .replaceAll(" ", "-");
    const count = seen.get(slug) ?? 0;
    seen.set(slug, count + 1);
    return count === 0 ? slug : `${slug}-${count}`;
  });
  return new Set(slugs);
}

test("there are pages to look at", () => {
  expect(pages).toEqual(expect.arrayContaining(["README.md", "docs/errors.md", "certs/README.md"]));
});

describe.each(pages)("%s", (page) => {
  const prose = read(page)
    .replace(/^```.*?^```$/gms, "")
    .replace(/`[^`\n]*`/g, "");
  const links = [...prose.matchAll(/\]\(([^)\s]+)\)/g)].map(([, target = ""]) => target);

  test("links lead to files and headings that exist", () => {
    for (const link of links.filter((target) => !/^https?:/.test(target))) {
      const [file = "", anchor] = link.split("#");
      const target = file === "" ? page : join(dirname(page), file);
      expect(existsSync(join(root, target)), `${link}: no such file`).toBe(true);
      if (anchor !== undefined) expect(anchors(target), `${link}: no such heading`).toContain(anchor);
    }
  });

  test("npm scripts exist", () => {
    const named = [...read(page).matchAll(/npm (?:run |(?=test|start))([\w:]+)/g)];
    for (const [whole, script = ""] of named) expect(packageJson["scripts"], whole).toHaveProperty(script);
  });

  test("example Pods have annotations that are right", () => {
    const known = { sources: ["nixos", "shop"], defaultSource: "nixos" };
    for (const example of blocks(page, "yaml")) {
      const { metadata } = parseYaml(example) as { metadata?: { annotations?: Record<string, string> } };
      if (metadata?.annotations === undefined) continue;
      const errors: NixClosureError[] = [];
      expect(parseAnnotations(metadata.annotations, known, errors), example).toBeDefined();
      expect(errors).toEqual([]);
    }
  });
});

describe("docs/configuration.md", () => {
  const page = "docs/configuration.md";
  const [defaults = "", ...examples] = blocks(page, "yaml");
  const [cluster = ""] = examples.filter((example) => example.startsWith("cluster:"));

  test("its first block is the defaults", () => {
    expect(parseConfig(defaults, page)).toEqual(parseConfig("", "defaults"));
  });

  test("its block of the cluster is the defaults there", () => {
    expect(parseConfig(cluster, page)).toEqual(parseConfig("cluster: {}", "defaults"));
  });

  test("its other blocks are configurations", () => {
    expect(examples.length).toBeGreaterThan(0);
    for (const example of examples) expect(() => parseConfig(example, page)).not.toThrow();
  });

  test("its tables name every key, and no other", () => {
    const { sources: _sources, ...rest } = parseConfig("", "defaults");
    const known = Object.keys(parseYaml(cluster).cluster)
      .map((key) => `cluster.${key}`)
      .concat(
        leaves(rest)
          .filter((key) => key !== "cluster")
          .map((key) => key.replace("webhook.certificate.", "webhook.")),
        [
          "caches",
          "registry",
          "publicKeys",
          "namespaces",
          "netrcFile",
          "bearerTokenFile",
          "dockerConfigFile",
          "caFile",
          "plainHTTP",
          "pullSecret",
        ].map((key) => `sources.<name>.${key}`),
      );
    const named = firstCells(read(page)).filter((word) => /^[a-zA-Z]+(\.[a-zA-Z<>]+)*$/.test(word));
    expect([...named].sort()).toEqual([...known].sort());
    const written = leaves(parseYaml(defaults) as object).filter((key) => !key.startsWith("sources."));
    const general = known.filter((key) => !/^(sources|cluster)\./.test(key));
    expect([...written].sort()).toEqual(general.sort());
  });

  test("its metrics are those that are exported", async () => {
    const exported = (await createMetrics("0").scrape()).matchAll(/^# HELP (nix_closure_\w+) /gm);
    const named = firstCells(read(page)).filter((word) => word.startsWith("nix_closure_"));
    expect([...named].sort()).toEqual([...exported].map(([, name = ""]) => name).sort());
  });
});

/** Paths of a configuration's values; an address is one. */
function leaves(value: object, path = ""): readonly string[] {
  return Object.entries(value).flatMap(([key, inner]: [string, unknown]) => {
    const isGroup = typeof inner === "object" && inner !== null && !Array.isArray(inner) && !isAddress(inner);
    return isGroup ? leaves(inner, `${path}${key}.`) : [`${path}${key}`];
  });
}

function isAddress(value: object): value is Config["admin"]["listen"] {
  return "host" in value && "port" in value;
}

test("docs/annotations.md has every annotation, and no other", () => {
  const known = Object.values(annotationKeys).map((key) =>
    key === annotationKeys.container ? `${key}<container>` : key,
  );
  const named = firstCells(read("docs/annotations.md")).filter((word) => word.includes("nix.closure"));
  expect([...named].sort()).toEqual([...known].sort());
  for (const key of Object.values(annotationKeys)) section("docs/annotations.md", `## ${key}`);
});

test("docs/errors.md has the status of every error", () => {
  for (const { code, status } of errorKinds.values()) {
    const temporary = [429, 503, 504].includes(status) ? ", temporary" : "";
    expect(section("docs/errors.md", `## ${code}`).trimStart().split("\n")[0], code).toBe(
      `HTTP ${status}${temporary}.`,
    );
  }
});

describe("docs/cli.md", () => {
  const page = "docs/cli.md";

  test("has the help of every command, word for word", async () => {
    const help = await helpOf();
    const commands = [...help.split("\nCOMMANDS\n")[1]!.matchAll(/^ {2}([a-z-]+)/gm)].map(
      ([, name = ""]) => name,
    );
    expect(commands).toContain("serve");
    const texts = await Promise.all(commands.map((command) => helpOf(command)));
    expect(blocks(page, "text").map((text) => text.trim())).toEqual([help, ...texts]);
    const headings = [...read(page).matchAll(/^## nix-closure (\S+)$/gm)].map(([, name]) => name);
    expect(headings).toEqual(commands);
  });

  test("names no flag that a command does not have", async () => {
    for (const [, command = ""] of read(page).matchAll(/^## nix-closure (\S+)$/gm)) {
      const known = flagsIn(await helpOf(command));
      for (const flag of flagsIn(section(page, `## nix-closure ${command}`))) expect(known).toContain(flag);
    }
  });

  test("has all exit codes", () => {
    const table = rows(section(page, "## Exit codes")).slice(1);
    expect(
      Object.fromEntries(table.map(([code, name = ""]) => [name.replaceAll("`", ""), Number(code)])),
    ).toEqual(exitCodes);
  });
});

function flagsIn(text: string): readonly string[] {
  return [...text.matchAll(/(?<![\w-])--[a-z][a-z-]*/g)].map(([flag]) => flag);
}

async function helpOf(...command: readonly string[]): Promise<string> {
  let out = "";
  const stdout = { write: (text: string) => void (out += text) };
  await runCli([...command, "--help"], {
    process: { stdout, stderr: stdout, env: {}, exitCode: null },
    stdin: (async function* () {})(),
    progressTo: undefined,
    ended: () => Promise.reject(new Error("no command is to run")),
  });
  return out.trim();
}

test("docs/dependencies.md has every dependency, and no other", () => {
  const kinds = ["dependencies", "devDependencies", "optionalDependencies"];
  const known = kinds.flatMap((kind) => Object.keys(packageJson[kind] ?? {}));
  expect([...firstCells(read("docs/dependencies.md"))].sort()).toEqual(known.sort());
});

test("README.md has every folder of src", () => {
  const folders = readdirSync(join(root, "src"), { withFileTypes: true }).filter((entry) =>
    entry.isDirectory(),
  );
  const named = firstCells(section("README.md", "## Develop")).filter((word) => word.startsWith("src/"));
  expect([...named].sort()).toEqual(folders.map(({ name }) => `src/${name}/`).sort());
});

test("no file names a package registry or a place on somebody's machine", () => {
  // In pieces, so that this file is not a finding.
  const hosts = [
    "registry.npmjs",
    "registry.yarnpkg",
    "npm.pkg.github",
    "registry.npmmirror",
    "files.pythonhosted",
  ];
  const homes = ["home", "Users"].map((directory) => `(?<![\\w.~-])/${directory}/[a-z][\\w-]*/`);
  // A directory right below the root, as containers have it, may be meant otherwise.
  const own = [root, `${homedir()}/`]
    .filter((path) => path.split("/").length > 3)
    .map((path) => RegExp.escape(path));
  const wrong = new RegExp([...hosts.map((host) => RegExp.escape(`${host}.`)), ...homes, ...own].join("|"));
  const findings = files.flatMap((file) => {
    const found = wrong.exec(read(file));
    return found === null ? [] : [`${file}: ${found[0]}`];
  });
  expect(findings).toEqual([]);
});
