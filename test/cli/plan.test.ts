/**
 * What `nix-closure plan` prints: test/golden/plan/<case>.txt for a person, .json for a program. UPDATE=1 rewrites them;
 * look at what changed before you commit it.
 */
import { readFile } from "node:fs/promises";
import { describe, expect, test } from "vitest";
import { demoSource, demoUrl, hello, mixed, nginx, python } from "../service/demo-cache.ts";
import { GoldenFolder } from "../patch/golden-files.ts";
import { cli, configFile, type Outcome } from "./fake-process.ts";

const folder = new GoldenFolder("plan/");
const glibc = "/nix/store/ra4afjxdcbsb5s1k7k8phm8wk7f2z9lj-glibc-2.36";
const otherGlibc = "/nix/store/4p9f6482za2nbxkilsbpdjshc2npmkvf-glibc-2.36-9+deb12u14";

async function plan(args: readonly string[], changes: object = {}): Promise<Outcome> {
  const sources = { demo: demoSource(demoUrl), other: demoSource(demoUrl) };
  const config = await configFile({ sources, defaultSource: "demo", ...changes });
  return cli(["plan", "--config", config, ...args]);
}

const perPath = ["--strategy", "per-path"];
const bundle = ["--strategy", "bundle"];
const cases: Readonly<Record<string, readonly string[]>> = {
  hello: [...perPath, hello],
  "hello-bundle": [...bundle, hello],
  "hello-why": [...perPath, hello, "--why", "glibc"],
  "hello-why-itself": [...perPath, hello, "--why", "hello-app"],
  "hello-bundle-why": [...bundle, hello, "--why", "bash"],
  nginx: [...perPath, nginx],
  "nginx-with-python": [...perPath, nginx, "--with", python, "--why", "glibc"],
  "nginx-bundle-why": [...bundle, nginx, "--why", "pcre2"],
  "nginx-bundle-with-python": [...bundle, nginx, "--with", python],
  python: [...perPath, python],
  "python-with-two-pods": [...perPath, python, "--with", nginx, "--with", `${hello} ${mixed}`],
  "python-with-another-source": [...perPath, python, "--with", `other:${python}`],
  mixed: [...perPath, mixed],
  "mixed-with-itself": [...perPath, mixed, "--with", mixed, "--why", "mixed-link"],
  "two-roots": [...perPath, nginx, hello, "--why", glibc],
};

describe("for a person", () => {
  test.for(Object.entries(cases))("%s", async ([name, args]) => {
    const { code, stdout, stderr } = await plan(args);
    expect([code, stderr]).toEqual([0, ""]);
    expect(stdout).toBe(folder.expected(`${name}.txt`, stdout));
    // What a terminal would show as ragged lines, or cut.
    for (const line of stdout.split("\n")) {
      expect(line).toBe(line.trimEnd());
      expect(line.length).toBeLessThanOrEqual(110);
    }
  });
});

test.for(["hello", "hello-bundle-why", "nginx-with-python", "python-with-two-pods"])(
  "for a program: %s",
  async (name) => {
    const { code, stdout, stderr } = await plan([...cases[name]!, "--json"]);
    expect([code, stderr]).toEqual([0, ""]);
    // One line, here in several so that changes can be read.
    const read = `${JSON.stringify(JSON.parse(stdout), null, 2)}\n`;
    expect(stdout).toBe(`${JSON.stringify(JSON.parse(read))}\n`);
    expect(read).toBe(folder.expected(`${name}.json`, read));
  },
);

test("there is a golden file for each case, and no other", () => {
  expect(folder.list().filter((name) => name.endsWith(".txt"))).toEqual(
    Object.keys(cases)
      .map((name) => `${name}.txt`)
      .toSorted(),
  );
});

test("the examples of docs/cli.md are what is printed", async () => {
  const page = await readFile(new URL("../../docs/cli.md", import.meta.url), "utf8");
  expect(page).toContain(`--why pcre2\n${folder.read("nginx-bundle-why.txt")}\`\`\``);
  const [, example = ""] = /^```json\n(\{\n {2}"source".*?)^```$/ms.exec(page) ?? [];
  const printed = await planJson([...perPath, hello, "--with", mixed, "--why", "bash"]);
  expect(JSON.parse(example)).toEqual({ ...printed, volumes: printed.volumes.slice(0, 1) });
});

interface PlanJson {
  readonly volumes: readonly { readonly narSize: number; readonly present?: string }[];
  readonly narSize: number;
  readonly estimate: {
    readonly coldSeconds: { readonly stock: number; readonly tuned: number; readonly configured: number };
    readonly warmSeconds: number;
  };
  readonly shared: {
    readonly images: number;
    readonly narSize: number;
    readonly toPull: { readonly images: number; readonly narSize: number };
  };
  readonly why: { readonly storePath: string; readonly chain: readonly string[] };
}

async function planJson(args: readonly string[], changes: object = {}): Promise<PlanJson> {
  const { stdout, stderr } = await plan([...args, "--json"], changes);
  expect(stderr).toBe("");
  return JSON.parse(stdout) as PlanJson;
}

test("what is shared and what is pulled are the whole", async () => {
  for (const args of Object.values(cases).filter((words) => words.includes("--with"))) {
    const { shared, volumes, narSize } = await planJson(args);
    expect(shared.images + shared.toPull.images).toBe(volumes.length);
    expect(shared.narSize + shared.toPull.narSize).toBe(narSize);
    const pulled = volumes.filter(({ present }) => present === "nothing");
    expect(pulled.reduce((sum, volume) => sum + volume.narSize, 0)).toBe(shared.toPull.narSize);
  }
});

test("the other Pods have the strategy of this one", async () => {
  const { shared: same } = await planJson([...bundle, nginx, "--with", nginx]);
  expect(same.toPull).toEqual({ images: 0, narSize: 0 });
  const { shared: roots } = await planJson([...bundle, nginx, "--with", python]);
  expect(roots.images).toBe(0);
});

test("the kubelet of the configuration is shown where it is neither of the two", async () => {
  const slow = { kubelet: { registryPullQPS: 1, registryBurst: 3 } };
  const { coldSeconds } = (await planJson([...perPath, nginx], slow)).estimate;
  expect(coldSeconds.configured).toBeGreaterThan(coldSeconds.stock);
  expect(coldSeconds.stock).toBeGreaterThan(coldSeconds.tuned);
  expect((await plan([...perPath, nginx], slow)).stdout).toContain("TUNED KUBELET  CONFIGURED\n");
  const fast = { kubelet: { registryPullQPS: 0 } };
  const { estimate } = await planJson([...perPath, nginx], fast);
  expect(estimate.coldSeconds.configured).toBe(estimate.coldSeconds.tuned);
  expect((await plan([...perPath, nginx], fast)).stdout).toContain("TUNED KUBELET\n");
});

describe("--why", () => {
  test.for([glibc, `${glibc}/lib/libc.so.6`, glibc.slice(11), glibc.slice(11, 43), "glibc-2.36", "glibc"])(
    "%s",
    async (word) => {
      const { why } = await planJson([hello, "--why", word]);
      expect(why.storePath).toBe(glibc);
      expect(why.chain.map((path) => path.slice(44))).toEqual(["hello-app", "hello-2.10", "glibc-2.36"]);
    },
  );

  test("of a path that refers to itself ends there", async () => {
    const { why } = await planJson([glibc, "--why", glibc]);
    expect(why.chain).toEqual([glibc]);
  });

  test("of a path that is not in the closure is refused, with the nearest names", async () => {
    for (const word of [otherGlibc, "glibc-2.35"]) {
      const { code, stdout, stderr } = await plan([hello, "--why", word]);
      expect([code, stdout]).toEqual([3, ""]);
      expect(stderr).toMatch(
        /^nix-closure: "\S+" is not in the closure of .*; did you mean \S+-glibc-2\.36 or /,
      );
      expect(stderr).toMatch(/\[PATH_NOT_IN_CLOSURE, see docs\/errors\.md#path_not_in_closure\]\n$/);
    }
  });

  test("of a name that several paths have is a wrong argument", async () => {
    const { code, stdout, stderr } = await plan([nginx, hello, "--why", "glibc"]);
    expect([code, stdout]).toEqual([2, ""]);
    expect(stderr).toContain(`each of 2 paths of the closure: ${otherGlibc}, ${glibc}; write one of them`);
    expect(stderr).toContain("[PATH_AMBIGUOUS, see docs/errors.md#path_ambiguous]");
  });
});

describe("--with", () => {
  test("takes base names, source prefixes, and several store paths as one Pod", async () => {
    const { stdout } = await plan([python, "--with", `demo:${nginx} ${hello}`, "--json"]);
    for (const word of [`${nginx} ${hello}`, `${nginx.slice(11)},${hello.slice(11)}`])
      expect((await plan([python, "--with", word, "--json"])).stdout).toBe(stdout);
    expect((JSON.parse(stdout) as { shared: { with: unknown } }).shared.with).toEqual([[nginx, hello]]);
  });

  test.for([
    ["x", 2, /"x" is not a store path.*\[STORE_PATH_INVALID/],
    ["nixos:x", 2, /\[ANNOTATIONS_INVALID|\[SOURCE_UNKNOWN|\[STORE_PATH_INVALID/],
    ["/nix/store/00000000000000000000000000000000-nothing", 3, /\[PATH_UNKNOWN/],
  ] as const)("refuses %s", async ([word, exitCode, words]) => {
    const { code, stdout, stderr } = await plan([hello, "--with", word]);
    expect([code, stdout]).toEqual([exitCode, ""]);
    expect(stderr).toMatch(words);
  });
});
