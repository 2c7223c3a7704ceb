/** Names on the command line, and in manifests that are injected there. */
import { beforeEach, describe, expect, test } from "vitest";
import { parse, stringify } from "yaml";
import type { Pod } from "../../src/patch/pod.ts";
import { pathOf, signer } from "../resolver/fake-store.ts";
import { appOf, pushName } from "../resolver/named.ts";
import { push, pushedChain } from "../resolver/pushed.ts";
import { RegistryServer } from "../resolver/registry-server.ts";
import { demoKey, demoUrl, hello } from "../service/demo-cache.ts";
import { cli, configFile, type Outcome } from "./fake-process.ts";

let server: RegistryServer;
let config: string;
beforeEach(async () => {
  server = await RegistryServer.start();
  pushName(server, "web-1.2", appOf("1"));
  config = await configFile({
    sources: {
      shop: { registry: server.repository, publicKeys: [signer.publicKey] },
      demo: { caches: [demoUrl], publicKeys: [demoKey] },
    },
    defaultSource: "shop",
  });
});

async function run(command: string, ...args: readonly string[]): Promise<Outcome> {
  return cli([command, "--config", config, ...args]);
}

describe("plan", () => {
  interface View {
    readonly strategy: string;
    readonly storePaths: number;
    readonly volumes: readonly {
      readonly reference: string;
      readonly mountPath: string;
      readonly storePaths: readonly string[];
      readonly present?: string;
    }[];
    readonly why?: { readonly chain: readonly string[] };
  }
  interface Json {
    readonly source: string;
    readonly name: string;
    readonly systems: Readonly<Record<string, View>>;
  }
  async function plan(...args: readonly string[]): Promise<Json> {
    const { code, stdout, stderr } = await run("plan", "--json", ...args);
    expect([code, stderr]).toEqual([0, ""]);
    return JSON.parse(stdout) as Json;
  }

  test("shows the two volumes of a name, with what is in them on each system", async () => {
    const { source, name, systems } = await plan("shop:web-1.2");
    expect([source, name]).toEqual(["shop", "web-1.2"]);
    const [arm, intel] = [systems["aarch64-linux"]!, systems["x86_64-linux"]!];
    expect(Object.keys(systems)).toEqual(["aarch64-linux", "x86_64-linux"]);
    expect([arm.storePaths, intel.storePaths, arm.strategy]).toEqual([5, 4, "bundle"]);
    for (const { volumes } of [arm, intel]) {
      expect(volumes.map(({ mountPath }) => mountPath)).toEqual([
        "/nix/store",
        "/nix/var/nix/profiles/default",
      ]);
    }
    expect(arm.volumes.map(({ reference }) => reference)).toEqual(
      intel.volumes.map(({ reference }) => reference),
    );
    expect(arm.volumes[0]!.storePaths).toHaveLength(5);
    expect(arm.volumes[1]!.storePaths).toEqual([pathOf("1-arm-0")]);
    const { stdout } = await run("plan", "shop:web-1.2");
    expect(stdout).toMatch(/^web-1\.2 on aarch64-linux\n\n +SIZE .*\n\nweb-1\.2 on x86_64-linux\n\n/s);
    expect(stdout).toContain("bundle: 2 volumes, 5 paths, 4.9 KiB from source shop");
  });

  test("shows what is shared, and why a path is there, on the systems that have it", async () => {
    const { systems } = await plan("shop:web-1.2", "--with", "shop:web-1.2", "--why", pathOf("1-arm-2"));
    expect(Object.keys(systems)).toEqual(["aarch64-linux"]);
    const view = systems["aarch64-linux"]!;
    expect(view.volumes.map(({ present }) => present)).toEqual(["image", "image"]);
    expect(view.why!.chain).toEqual([0, 1, 2].map((at) => pathOf(`1-arm-${at}`)));
    const { code, stderr } = await run("plan", "shop:web-1.2", "--why", hello);
    expect([code, stderr.includes("PATH_NOT_IN_CLOSURE")]).toEqual([3, true]);
  });

  test.for(["per-path", "packed"])("refuses the strategy %s", async (strategy) => {
    const { code, stderr } = await run("plan", "shop:web-1.2", "--strategy", strategy);
    expect([code, stderr.includes("STRATEGY_NOT_FOR_NAMES")]).toEqual([3, true]);
  });
});

describe("resolve", () => {
  test("shows the closure of each system", async () => {
    const { code, stdout } = await run("resolve", "shop:web-1.2");
    expect(code).toBe(0);
    expect(stdout).toMatch(/^web-1\.2 on aarch64-linux\n\w{32}-1-arm-0 .*\n\nweb-1\.2 on x86_64-linux\n/s);
    const json = JSON.parse((await run("resolve", "shop:web-1.2", "--json")).stdout) as {
      systems: Record<string, { roots: string[]; paths: { type: string }[] }>;
    };
    expect(json.systems["x86_64-linux"]!.roots).toEqual([pathOf("1-intel-0")]);
    expect(json.systems["x86_64-linux"]!.paths.map(({ type }) => type).toSorted()).toEqual([
      ...Array(3).fill("directory"),
      "regular",
    ]);
  });

  test.for<[string, string, number]>([
    ["shop:web-1.3", "NAME_NOT_PUSHED", 3],
    ["demo:web-1.2", "NAME_WITHOUT_REGISTRY", 3],
    ["shop:web+1", "CLOSURE_NAME_INVALID", 2],
    ["web-1.2", "STORE_PATH_INVALID", 2],
  ])("%s: %s", async ([word, error, exit]) => {
    const { code, stderr } = await run("resolve", word);
    expect(stderr).toContain(error);
    expect(code).toBe(exit);
  });
});

describe("inject", () => {
  const pod = (annotations: object): string =>
    stringify({
      kind: "Pod",
      metadata: { annotations },
      spec: { containers: [{ name: "app", image: "debian:13" }] },
    });
  async function inject(annotations: object): Promise<Outcome> {
    return cli(["inject", "--config", config, "-f", "-"], { stdin: pod(annotations) });
  }

  test("puts in two volumes, and nothing more the second time", async () => {
    const { code, stdout } = await inject({ "nix.closure": "shop:web-1.2" });
    expect(code).toBe(0);
    const { spec } = parse(stdout) as Pod;
    expect(spec.volumes).toHaveLength(2);
    expect(spec.containers[0]!.volumeMounts!.map(({ mountPath }) => mountPath)).toEqual([
      "/nix/store",
      "/nix/var/nix/profiles/default",
    ]);
    expect((await cli(["inject", "--config", config, "-f", "-"], { stdin: stdout })).stdout).toBe(stdout);
  });

  test("compares the system of a Pod with that of a pushed closure", async () => {
    const closure = pushedChain(3, "arm");
    push(server, { ...closure, system: "aarch64-linux" });
    const annotations = { "nix.closure": `shop:${closure.roots[0]}`, "nix.closure/system": "x86_64-linux" };
    const { code, stderr } = await inject(annotations);
    expect([code, stderr.includes("was pushed for aarch64-linux")]).toEqual([3, true]);
    expect((await inject({ ...annotations, "nix.closure/system": "aarch64-linux" })).code).toBe(0);
  });
});
