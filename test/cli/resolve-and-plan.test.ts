import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import {
  demoDirectory,
  demoSource,
  demoUrl,
  hello,
  mixed,
  mixedFile,
  nginx,
  python,
} from "../service/demo-cache.ts";
import { cli, configFile } from "./fake-process.ts";

const base = (path: string): string => path.replace("/nix/store/", "");

/** What a narinfo says, read without the product's parser. */
interface Info {
  readonly storePath: string;
  readonly narHash: string;
  readonly narSize: number;
  readonly references: readonly string[];
}

async function narInfo(path: string): Promise<Info> {
  const text = await readFile(join(demoDirectory, `${base(path).slice(0, 32)}.narinfo`), "utf8");
  const field = (name: string): string => new RegExp(`^${name}: ?(.*)$`, "m").exec(text)?.[1] ?? "";
  return {
    storePath: field("StorePath"),
    narHash: field("NarHash"),
    narSize: Number(field("NarSize")),
    references: field("References")
      .split(" ")
      .filter(Boolean)
      .map((name) => `/nix/store/${name}`)
      .sort(),
  };
}

/** The closure of a path, by following references. */
async function closureOf(...roots: string[]): Promise<readonly string[]> {
  const found = new Set(roots);
  for (const path of found) for (const reference of (await narInfo(path)).references) found.add(reference);
  return [...found].sort();
}

async function run(command: string, ...args: readonly string[]): ReturnType<typeof cli> {
  const sources = { demo: demoSource(demoUrl), other: demoSource(demoUrl) };
  return cli([command, "--config", await configFile({ sources, defaultSource: "demo" }), ...args]);
}

const files = new Map([
  [mixedFile, "regular"],
  ["/nix/store/abir7cbzpz5wahbx68yxzcxjskqg200x-mixed-greet", "regular"],
  ["/nix/store/j7ijnwfpdqbkpzr4737zcw1j2r49xqmg-mixed-link", "symlink"],
]);

describe("resolve --json", () => {
  test.each([[[hello]], [[nginx]], [[python]], [[mixed]], [[python, hello]]])("of %o", async (roots) => {
    const { code, stdout, stderr } = await run("resolve", "--json", ...roots);
    expect([code, stderr]).toEqual([0, ""]);
    const paths = await Promise.all(
      (await closureOf(...roots)).map(async (path) => ({
        ...(await narInfo(path)),
        type: files.get(path) ?? "directory",
      })),
    );
    const narSize = paths.reduce((sum, info) => sum + info.narSize, 0);
    // The text, so that names and order of members are held too.
    expect(stdout).toBe(`${JSON.stringify({ roots, paths, narSize })}\n`);
  });
});

describe("resolve", () => {
  test("shows a tree with sizes, each path unfolded once", async () => {
    const { code, stdout, stderr } = await run("resolve", hello);
    expect([code, stderr]).toEqual([0, ""]);
    expect(stdout).toBe(`4vlwxs24hwlvm23q063xvdmkzvlxjw1s-hello-app  872 B
├─ lfxl2j3iwlp4cn809rdp0xdnv9v4n797-hello-2.10  176.0 KiB
│  └─ ra4afjxdcbsb5s1k7k8phm8wk7f2z9lj-glibc-2.36  13.0 MiB
└─ r0hhs9ipmcrcypldz9d9rqiya66f49fi-bash-5.2.15  6.5 MiB
   ├─ ra4afjxdcbsb5s1k7k8phm8wk7f2z9lj-glibc-2.36  13.0 MiB *
   └─ sabfmsa3ld0v07c6p06cd6yv2wpwl3ak-ncurses-lib-6.4  283.4 KiB
      └─ ra4afjxdcbsb5s1k7k8phm8wk7f2z9lj-glibc-2.36  13.0 MiB *
5 paths, 20.0 MiB
`);
  });

  test("counts one path in the singular, and shows every root", async () => {
    const file = "/nix/store/ra4afjxdcbsb5s1k7k8phm8wk7f2z9lj-glibc-2.36";
    expect((await run("resolve", file)).stdout).toBe(`${base(file)}  13.0 MiB\n1 path, 13.0 MiB\n`);
    const { stdout } = await run("resolve", nginx, hello);
    for (const root of [nginx, hello]) expect(stdout).toMatch(new RegExp(`^${base(root)}  `, "m"));
  });
});

test("base names and source prefixes name the same as whole paths", async () => {
  for (const [command, ...flags] of [["resolve"], ["resolve", "--json"], ["plan"]] as const) {
    const { stdout: whole } = await run(command, ...flags, hello, nginx);
    expect(whole).not.toBe("");
    for (const roots of [
      [base(hello), base(nginx)],
      [`demo:${hello}`, nginx],
      [`demo:${base(hello)}`, base(nginx)],
      [`demo: ${hello}, ${nginx}`],
      [`${hello},${nginx}`],
    ]) {
      expect((await run(command, ...flags, ...roots)).stdout, roots.join(" ")).toBe(whole);
    }
  }
  expect((await run("plan", `other:${base(hello)}`)).stdout).toContain("from source other");
});

interface PlanJson {
  readonly strategy: string;
  readonly volumes: readonly Record<string, unknown>[];
}

describe("plan --json", () => {
  async function plan(...args: string[]): Promise<PlanJson> {
    const { code, stdout, stderr } = await run("plan", "--json", ...args);
    expect([code, stderr]).toEqual([0, ""]);
    const parsed = JSON.parse(stdout) as PlanJson;
    expect(stdout).toBe(`${JSON.stringify(parsed)}\n`);
    expect(Object.keys(parsed)).toEqual([
      "source",
      "strategy",
      "volumes",
      "storePaths",
      "narSize",
      "estimate",
    ]);
    for (const volume of parsed.volumes)
      expect(Object.keys(volume)).toEqual(["name", "reference", "mountPath", "storePaths", "narSize"]);
    return parsed;
  }
  async function pathVolume(path: string): Promise<object> {
    const hash = base(path).slice(0, 32);
    const reference = `localhost:5417/demo/path/${hash}:1`;
    const { narSize } = await narInfo(path);
    return { name: `nix-${hash}`, reference, mountPath: path, storePaths: [path], narSize };
  }

  test.each([["auto"], ["per-path"]])("%s: a volume for each path, the root first", async (strategy) => {
    const others = (await closureOf(hello)).filter((path) => path !== hello);
    expect(await plan("--strategy", strategy, hello)).toMatchObject({
      strategy: "per-path",
      volumes: await Promise.all([hello, ...others].map(pathVolume)),
    });
  });

  test("files and symlinks are in a store image, mounted first", async () => {
    const { volumes } = await plan(mixed);
    expect(volumes).toHaveLength(6);
    expect(volumes[0]).toEqual({
      name: expect.stringMatching(/^nix-store-[0-9a-f]{16}$/),
      reference: expect.stringMatching(
        /^localhost:5417\/demo\/closure\/qk79bwpv0lwx4gm27p3h754sl2n6rsh7:1-a-[0-9a-f]{16}$/,
      ),
      mountPath: "/nix/store",
      storePaths: [...files.keys()].sort(),
      narSize: expect.any(Number),
    });
    expect(volumes[1]).toEqual(await pathVolume(mixed));
  });

  test("bundle: all but the profile in one store image", async () => {
    const { strategy, volumes } = await plan("--strategy", "bundle", nginx);
    expect([strategy, volumes.length]).toEqual(["bundle", 2]);
    const others = (await closureOf(nginx)).filter((path) => path !== nginx);
    expect(volumes[0]).toMatchObject({ mountPath: "/nix/store", storePaths: others });
    expect(volumes[1]).toEqual(await pathVolume(nginx));
  });

  test("the sizes are those of the closure", async () => {
    for (const strategy of ["per-path", "bundle"]) {
      const { volumes } = await plan("--strategy", strategy, mixed);
      const sum = volumes.reduce((total, volume) => total + Number(volume["narSize"]), 0);
      const resolved = JSON.parse((await run("resolve", "--json", mixed)).stdout) as { narSize: number };
      expect(sum).toBe(resolved.narSize);
    }
  });
});

test("the configuration's strategy and registry are those of a plan", async () => {
  const file = await configFile({
    plan: { strategy: "bundle" },
    registry: { reference: "registry.example" },
  });
  const { stdout } = await cli(["plan", "--config", file, "--json", hello]);
  const { strategy, volumes } = JSON.parse(stdout) as PlanJson;
  expect(strategy).toBe("bundle");
  for (const { reference } of volumes) expect(reference).toMatch(/^registry\.example\/demo\//);
});
